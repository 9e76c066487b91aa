"""The tensors that a served network takes and gives.

Belongs here: their names, the padded batch, its checks, and how jets are put into batches. Does not belong here:
sending them (`client.py`) and computing with them (`runtime.py`).

These names and shapes are the contract between the ONNX file, Triton's configuration and every client.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets

PARTICLES = "particles"
PARTICLE_COUNT = "particle_count"
JETS = "jets"
INPUTS = (PARTICLES, PARTICLE_COUNT, JETS)
LOG_FACTOR = "log_factor"
LOG_FACTOR_QUANTILES = "log_factor_quantiles"
# With how many numbers per jet. Only a network that was trained for them has the quantiles, at 16 % and 84 %.
OUTPUTS = {LOG_FACTOR: 1, LOG_FACTOR_QUANTILES: 2}

MAX_JETS = 1024  # per request
MAX_SLOTS = 1 << 17  # particle slots per request: a few MB
# Per jet, a few times what the fullest jets have: ParticleTransformer's memory grows with the square, and a single jet
# of 20,000 slots fills a machine's.
MAX_PARTICLES = 512
# Triton puts requests together as they come, and only where they have the same number of slots: small ones have one of
# very few numbers. What that pads is sent and not computed, graphs leave it out.
FEW_JETS, SLOT_STEP = 16, 128


class BatchError(ValueError):
    """A batch that no network can answer; `field` is the tensor at fault."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


def output_tensors(outputs: int) -> tuple[str, ...]:
    """The tensors that hold so many outputs of a network, in order; ValueError for a number that none has."""
    names = tuple(OUTPUTS)
    for count in range(1, len(names) + 1):
        if sum(OUTPUTS[name] for name in names[:count]) == outputs:
            return names[:count]
    raise ValueError(f"networks that are served have 1 or 3 outputs, see `jec_assets.models.outputs`, not {outputs}")


@dataclass(frozen=True)
class PaddedJets:
    """A batch as it is served, in physical units.

    particles: float32 (jets, slots, particle features); what stands behind a jet's last particle is ignored
    particle_count: int64 (jets, 1), 1 to slots
    jets: float32 (jets, jet features)
    """

    particles: NDArray[np.float32]
    particle_count: NDArray[np.int64]
    jets: NDArray[np.float32]

    @classmethod
    def of(cls, packed: PackedJets) -> PaddedJets:
        """Packed jets, padded to the longest of them."""
        return cls(packed.padded(), packed.counts[:, np.newaxis], np.ascontiguousarray(packed.jets))

    def in_steps(self) -> PaddedJets:
        """The same jets, with the number of slots rounded up to a multiple of SLOT_STEP."""
        more = -self.particles.shape[1] % SLOT_STEP
        padded = np.pad(self.particles, ((0, 0), (0, more), (0, 0)))
        return PaddedJets(padded, self.particle_count, self.jets)

    def __len__(self) -> int:
        return len(self.jets)

    @property
    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """The tensors by name."""
        return {PARTICLES: self.particles, PARTICLE_COUNT: self.particle_count, JETS: self.jets}

    def check(self) -> None:
        """BatchError, naming the tensor, if shapes disagree, a count is impossible or a real number is not finite."""
        self._check_shapes()
        slots = self.particles.shape[1]
        if slots > MAX_PARTICLES:
            raise BatchError(PARTICLES, f"may have {MAX_PARTICLES} slots per jet, not {slots}")
        if self.particle_count.size and not 1 <= self.particle_count.min() <= self.particle_count.max() <= slots:
            first, last = self.particle_count.min(), self.particle_count.max()
            raise BatchError(PARTICLE_COUNT, f"must be in 1..{slots}, the slots of {PARTICLES}, not {first}..{last}")
        if not np.isfinite(self.jets).all():
            raise BatchError(JETS, "holds NaN or infinite values")
        if not np.isfinite(self.particles).all():
            real = np.arange(slots) < self.particle_count
            if not np.isfinite(self.particles[real]).all():
                raise BatchError(PARTICLES, "holds NaN or infinite values among the real particles")

    def _check_shapes(self) -> None:
        if self.particles.ndim != 3:
            raise BatchError(PARTICLES, f"must be (jets, slots, features), not {self.particles.shape}")
        if self.jets.ndim != 2 or len(self.jets) != len(self.particles):
            raise BatchError(JETS, f"must be ({len(self.particles)}, features), not {self.jets.shape}")
        if self.particle_count.shape != (len(self.particles), 1):
            raise BatchError(PARTICLE_COUNT, f"must be ({len(self.particles)}, 1), not {self.particle_count.shape}")


def check_jets(jets: PackedJets) -> None:
    """BatchError, naming the tensor, if not every one of these jets can be in a batch."""
    given: tuple[tuple[str, NDArray[np.generic], type], ...] = (
        (PARTICLES, jets.particles, np.float32),
        (PARTICLE_COUNT, jets.offsets, np.int64),
        (JETS, jets.jets, np.float32),
    )
    for name, array, wanted in given:
        if array.dtype != wanted:
            raise BatchError(name, f"must be {np.dtype(wanted)}, not {array.dtype}: convert it with astype")
    fewest, most = jets.counts.min(initial=MAX_PARTICLES), jets.counts.max(initial=1)
    if most > MAX_PARTICLES:
        raise BatchError(PARTICLES, f"may have {MAX_PARTICLES} slots per jet, not {most}")
    if fewest < 1:
        raise BatchError(PARTICLE_COUNT, f"must be in 1..{MAX_PARTICLES}, not {fewest}")
    for name, values in ((PARTICLES, jets.particles), (JETS, jets.jets)):
        with np.errstate(invalid="ignore"):  # inf - inf, which is found
            total = values.sum(dtype=np.float64)  # finite if all are, and needs no memory
        if not np.isfinite(total):
            raise BatchError(name, "holds NaN or infinite values")


def concatenate(batches: list[PaddedJets]) -> PaddedJets:
    """Join batches with the same number of slots, at least one."""
    if len(batches) == 1:
        return batches[0]
    return PaddedJets(
        np.concatenate([batch.particles for batch in batches]),
        np.concatenate([batch.particle_count for batch in batches]),
        np.concatenate([batch.jets for batch in batches]),
    )


def padded_batches(jets: PackedJets) -> Iterator[tuple[NDArray[np.int64], PaddedJets]]:
    """All jets in batches fit for one request: each batch with the positions of its jets."""
    for indices in batches_by_length(jets.counts):
        yield indices, padded_batch(jets, indices)


def padded_batch(jets: PackedJets, indices: NDArray[np.int64]) -> PaddedJets:
    """The jets at `indices`, of like particle counts, in a batch fit for one request."""
    batch = PaddedJets.of(jets.take(indices))
    return batch.in_steps() if len(batch) <= FEW_JETS else batch


def batches_by_length(
    counts: NDArray[np.int64], max_jets: int = MAX_JETS, max_slots: int = MAX_SLOTS
) -> Iterator[NDArray[np.int64]]:
    """Indices of jets, batch by batch, every jet once, jets of like particle counts together so that little is padded.

    counts: particles per jet. A batch holds at most `max_jets` jets, and at most `max_slots` slots (jets times the
    longest of them) unless one jet alone has more.
    """
    order = np.argsort(counts, kind="stable")
    start = 0
    while start < len(order):
        stop = min(start + max_jets, len(order))
        slots = counts[order[start:stop]] * np.arange(1, stop - start + 1)
        # Sorted counts make the slots of ever longer batches grow.
        fitting = int(np.searchsorted(slots, max_slots, side="right"))
        stop = start + max(fitting, 1)
        yield order[start:stop]
        start = stop
