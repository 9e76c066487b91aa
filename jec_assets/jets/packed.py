"""Jets as flat arrays: the form in which they go from files to networks.

Belongs here: the one container and how to slice, take and join it. Does not belong here: where jets come from
(`dataset.py`), their truth (`labels.py`: recorded jets have none) or tensors (`jec_assets.training.loader`).

A jet has any number of particles. Instead of a padded array, all particles of all jets stand one after another, and
`offsets` says where each jet's begin: jet i owns `particles[offsets[i]:offsets[i + 1]]`. Nothing is padded or cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class PackedJets:
    """What a network sees of some jets, unpadded, in physical units (not standardized).

    particles: float32 (particles of all jets, particle features)
    offsets: int64 (jets + 1,), offsets[0] == 0; a jet without particles has two equal ones
    jets: float32 (jets, jet features)
    """

    particles: NDArray[np.float32]
    offsets: NDArray[np.int64]
    jets: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.jets)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Particles per jet, int64 (jets,)."""
        return np.diff(self.offsets)

    def take(self, indices: NDArray[np.integer]) -> PackedJets:
        """The jets at `indices` (0 and up), in that order; particles are gathered in one vectorized pass."""
        starts = self.offsets[indices]
        counts = self.offsets[indices + 1] - starts
        offsets = np.zeros(len(indices) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        rows = np.repeat(starts - offsets[:-1], counts)
        rows += np.arange(offsets[-1])
        # np.take copies whole rows, twice as fast as indexing with brackets; what was found above needs no check.
        particles = np.take(self.particles, rows, axis=0, mode="clip")
        return PackedJets(particles, offsets, np.take(self.jets, indices, axis=0, mode="clip"))

    def slice(self, start: int, stop: int) -> PackedJets:
        """Jets start to stop (half-open), as views where NumPy gives views."""
        stop = min(stop, len(self))
        first, last = self.offsets[start], self.offsets[stop]
        return PackedJets(self.particles[first:last], self.offsets[start : stop + 1] - first, self.jets[start:stop])

    def padded(self) -> NDArray[np.float32]:
        """Particles as float32 (jets, longest jet, particle features), zeros behind each jet's last particle."""
        counts = self.counts
        dense = np.zeros((len(self), int(counts.max(initial=1)), self.particles.shape[1]), np.float32)
        slot = np.arange(len(self.particles)) - np.repeat(self.offsets[:-1], counts)
        dense[np.repeat(np.arange(len(self)), counts), slot] = self.particles
        return dense


def joined(parts: list[PackedJets]) -> PackedJets:
    """The jets of all parts in order; at least one part.

    The list is empty afterwards: each part is let go once it is copied, so that memory holds the jets about once.
    """
    particles, jets = sum(len(part.particles) for part in parts), sum(map(len, parts))
    first = parts[0]
    whole = PackedJets(
        np.empty((particles, first.particles.shape[1]), np.float32),
        np.zeros(jets + 1, np.int64),
        np.empty((jets, first.jets.shape[1]), np.float32),
    )
    del first
    parts.reverse()
    jet = particle = 0
    while parts:
        part = parts.pop()
        rows = slice(jet, jet + len(part))
        whole.particles[particle : particle + len(part.particles)] = part.particles
        whole.offsets[rows.start + 1 : rows.stop + 1] = part.offsets[1:] + particle
        whole.jets[rows] = part.jets
        jet, particle = rows.stop, particle + len(part.particles)
    return whole
