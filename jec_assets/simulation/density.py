"""Energy densities: the median transverse momentum per unit area of an event.

Belongs here: the four densities of the JetNTuple. Does not belong here: how they correct jets
(`jec_assets.correction`).

A fixed grid of square tiles, 0.55 wide, covers the events; rho is the median over tiles of the scalar sum of pT in a
tile, divided by its area (fixedGridRho; M. Cacciari and G. P. Salam, Phys. Lett. B 659 (2008) 119).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.simulation.detector import Candidates

TILE = 0.55
ETA_MAX, ETA_MAX_CENTRAL = 5.0, 2.5


@dataclass(frozen=True)
class Densities:
    """rho of some events, GeV; every array is float32 (events,). Central means |eta| < 2.5, all means |eta| < 5."""

    all: NDArray[np.float32]
    central: NDArray[np.float32]
    central_neutral: NDArray[np.float32]
    central_charged_pileup: NDArray[np.float32]


def densities(candidates: Candidates, events: int) -> Densities:
    """The densities of `events` events, from all candidates, also those that charged-hadron subtraction removes."""
    neutral = ~np.isin(np.abs(candidates.pdg), (11, 13, 211))
    return Densities(
        all=median_density(candidates, events, ETA_MAX),
        central=median_density(candidates, events, ETA_MAX_CENTRAL),
        central_neutral=median_density(candidates.take(neutral), events, ETA_MAX_CENTRAL),
        central_charged_pileup=median_density(candidates.take(candidates.subtracted), events, ETA_MAX_CENTRAL),
    )


def median_density(candidates: Candidates, events: int, eta_max: float) -> NDArray[np.float32]:
    """Median of pT per unit area over the tiles in |eta| < eta_max, GeV, float32 (events,)."""
    along, around = round(2 * eta_max / TILE), round(2 * np.pi / TILE)
    inside = candidates.take(np.abs(candidates.eta) < eta_max)
    column = ((inside.eta + eta_max) * (along / (2 * eta_max))).astype(np.int64)
    row = ((inside.phi + np.pi) * (around / (2 * np.pi))).astype(np.int64)
    tile = (inside.event * along + np.minimum(column, along - 1)) * around + np.minimum(row, around - 1)
    sums = np.bincount(tile, inside.pt, minlength=events * along * around).reshape(events, -1)
    area = (2 * eta_max / along) * (2 * np.pi / around)
    density: NDArray[np.float32] = (np.median(sums, axis=1) / area).astype(np.float32)
    return density
