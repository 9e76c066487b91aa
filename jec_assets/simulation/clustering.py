"""Jets: anti-kT clustering with FastJet, and matching of jets to particle-level jets.

Belongs here: clustering of many events at once, area ghosts, matching. Does not belong here: flavor (`flavor.py`) and
shapes (`shapes.py`), which read the constituents found here.

anti-kT: M. Cacciari, G. P. Salam, G. Soyez, JHEP 04 (2008) 063; areas by ghosts: JHEP 04 (2008) 005.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.simulation.particles import Momenta, ranges, wrap

if TYPE_CHECKING:
    import awkward as ak
    from numpy.typing import NDArray

RADIUS = 0.4
MATCHING_RADIUS = 0.4

GHOST_ETA_MAX = 3.0  # jets further out have the area of a circle
GHOSTS_ALONG, GHOSTS_AROUND = 40, 42
GHOST_PT = 1e-60  # GeV
GHOST_AREA = 2 * GHOST_ETA_MAX * 2 * np.pi / (GHOSTS_ALONG * GHOSTS_AROUND)


@dataclass(frozen=True)
class Jets:
    """Jets of some events, ordered by event and falling pT; scalars are (jets,).

    event: int32; pt, eta, phi, mass: float64, GeV
    constituents: int64, rows of the clustered momenta, one jet's after another; counts: int64 (jets,)
    """

    event: NDArray[np.int32]
    pt: NDArray[np.float64]
    eta: NDArray[np.float64]
    phi: NDArray[np.float64]
    mass: NDArray[np.float64]
    constituents: NDArray[np.int64]
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.event)

    @property
    def owner(self) -> NDArray[np.int64]:
        """The jet of each constituent, (constituents,)."""
        return np.repeat(np.arange(len(self)), self.counts)

    def keep_constituents(self, kept: NDArray[np.bool_]) -> Jets:
        """The same jets with some of their constituents; `kept` is a mask (constituents,)."""
        counts = np.bincount(self.owner[kept], minlength=len(self))
        return replace(self, constituents=self.constituents[kept], counts=counts)

    def with_constituents(self, constituents: NDArray[np.int64]) -> Jets:
        """The same jets, their constituents named as rows of another table."""
        return replace(self, constituents=constituents)


def anti_kt(momenta: Momenta, events: int, pt_min: float) -> Jets:
    """Anti-kT jets (R = 0.4) above `pt_min` (GeV) of momenta that are ordered by event."""
    import awkward as ak
    import fastjet

    sizes = np.bincount(momenta.event, minlength=events)
    px, py = momenta.pt * np.cos(momenta.phi), momenta.pt * np.sin(momenta.phi)
    pz = momenta.pt * np.sinh(momenta.eta)
    energy = np.sqrt(momenta.pt**2 + pz**2 + momenta.mass**2)
    flat = ak.zip({"px": px, "py": py, "pz": pz, "E": energy}, with_name="Momentum4D")
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS)
    sequence = fastjet.ClusterSequence(ak.unflatten(flat, sizes), definition)
    jets = sequence.inclusive_jets(pt_min)
    constituents = sequence.constituent_index(pt_min)
    return _ordered(jets, constituents, sizes)


def _ordered(jets: ak.Array, constituents: ak.Array, sizes: NDArray[np.int64]) -> Jets:
    """FastJet's answer, flat, ordered by event and falling pT."""
    import awkward as ak

    event = np.repeat(np.arange(len(sizes), dtype=np.int32), ak.to_numpy(ak.num(jets)))
    px, py, pz, energy = (ak.to_numpy(ak.flatten(jets[axis])) for axis in ("px", "py", "pz", "E"))
    counts = ak.to_numpy(ak.flatten(ak.num(constituents, axis=2)))
    local = ak.to_numpy(ak.flatten(constituents, axis=None)).astype(np.int64)
    first = np.cumsum(sizes) - sizes
    rows = local + np.repeat(first[event], counts)
    pt = np.hypot(px, py)
    order = np.lexsort((-pt, event))
    starts = np.cumsum(counts) - counts
    return Jets(
        event=event[order],
        pt=pt[order],
        eta=np.arcsinh(pz / pt)[order],
        phi=np.arctan2(py, px)[order],
        mass=np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))[order],
        constituents=rows[ranges(starts[order], counts[order])],
        counts=counts[order],
    )


def area_ghosts(events: int, rng: np.random.Generator) -> Momenta:
    """Ghosts that tile |eta| < 3 of every event, each at a random place of its tile; 22 of them make a round jet."""
    tiles = np.arange(GHOSTS_ALONG * GHOSTS_AROUND)
    place = rng.random((2, events, len(tiles)))
    eta = (tiles // GHOSTS_AROUND + place[0]) * (2 * GHOST_ETA_MAX / GHOSTS_ALONG) - GHOST_ETA_MAX
    phi = (tiles % GHOSTS_AROUND + place[1]) * (2 * np.pi / GHOSTS_AROUND) - np.pi
    event = np.repeat(np.arange(events, dtype=np.int32), len(tiles))
    nothing = np.zeros(len(event))
    return Momenta(event, np.full(len(event), GHOST_PT), eta.ravel(), phi.ravel(), nothing)


def area(jets: Jets) -> NDArray[np.float64]:
    """Catchment areas of jets whose constituents are area ghosts, (jets,)."""
    covered = np.abs(jets.eta) < GHOST_ETA_MAX - RADIUS
    return np.where(covered, jets.counts * GHOST_AREA, np.pi * RADIUS**2)


def match(jets: Jets, others: Jets) -> NDArray[np.int64]:
    """For each jet the row of its match among `others`, -1 where there is none: int64 (jets,).

    Two jets match where each is the other's nearest in its event and they are closer than 0.4: one to one.
    """
    left, right = pairs(jets.event, others.event)
    distance = np.hypot(jets.eta[left] - others.eta[right], wrap(jets.phi[left] - others.phi[right]))
    close = distance < MATCHING_RADIUS
    left, right, distance = left[close], right[close], distance[close]
    mutual = (distance == _smallest(distance, left, len(jets))) & (distance == _smallest(distance, right, len(others)))
    found = np.full(len(jets), -1, np.int64)
    found[left[mutual]] = right[mutual]
    return found


def pairs(left: NDArray[np.int32], right: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of rows of two tables whose events are equal; `right` is ordered by event."""
    start = np.searchsorted(right, left, side="left")
    counts = np.searchsorted(right, left, side="right") - start
    return np.repeat(np.arange(len(left)), counts), ranges(start, counts)


def _smallest(values: NDArray[np.float64], owner: NDArray[np.int64], owners: int) -> NDArray[np.float64]:
    """For each value, the smallest with the same owner."""
    smallest = np.full(owners, np.inf)
    np.minimum.at(smallest, owner, values)
    return smallest[owner]
