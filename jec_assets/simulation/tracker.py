"""Charged-particle tracks: which particles have one, and what momentum it gives.

Belongs here: efficiency, momentum resolution and association to the primary vertex. Does not belong here: bending
(`incidence.py`), which happens whether a track is found or not.

The numbers are chosen to come close to the CMS tracker (JINST 9 (2014) P10009, Figures 12 and 17: efficiency and
resolution of pions), without its details.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.simulation.incidence import ELECTRON, HARD, MUON, OUT_OF_TIME, Incidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

ETA_MAX = 2.5
ENDCAP_ETA = 1.4
PT_MIN = 0.2  # GeV
PLATEAU_PT = 1.0  # GeV, from here the efficiency no longer depends on pT
LOW_PT_FRACTION = 0.62  # of the plateau, at PT_MIN
EFFICIENCY_BARREL, EFFICIENCY_ENDCAP, EFFICIENCY_MUON = 0.90, 0.78, 0.98
DISPLACEMENT = 250.0  # mm; a track that starts so far out is found e times less often
CORE_CELL = 0.035  # width in eta and phi of the cells in which neighbors are counted
CORE_LOSS = 0.03  # of the efficiency, for each further charged particle in the same cell
CORE_MIN = 0.5  # of the efficiency, in the densest cores
RESOLUTION, RESOLUTION_PER_GEV, RESOLUTION_ENDCAP_FACTOR = 0.008, 1.2e-4, 2.0

# Association to the primary vertex, as fromPV: 3 used in its fit, 2 and 1 compatible with it, 0 from another vertex.
PROMPT_RADIUS = 0.1  # mm
PROMPT_ASSOCIATION = (0.0, 0.02, 0.03, 0.95)
DISPLACED_ASSOCIATION = (0.02, 0.33, 0.35, 0.30)
PILEUP_ASSOCIATION = (0.88, 0.08, 0.04, 0.0)  # 12 % of pileup's tracks survive charged-hadron subtraction


@dataclass(frozen=True)
class Tracks:
    """Tracks that were found; every array is (tracks,).

    particle: int64, positions of their particles in the `Incidence`; pt: float32, GeV, as measured; from_pv: int32
    """

    particle: NDArray[np.int64]
    pt: NDArray[np.float32]
    from_pv: NDArray[np.int32]


def find_tracks(particles: Incidence, rng: np.random.Generator) -> Tracks:
    """Tracks of the charged particles of collisions in time."""
    trackable = np.flatnonzero(
        (particles.charge != 0)
        & (particles.source != OUT_OF_TIME)
        & (particles.pt > PT_MIN)
        & (np.abs(particles.eta) < ETA_MAX)
    )
    charged = particles.take(trackable)
    found = rng.random(len(charged)) < efficiency(charged) * core_efficiency(charged)
    charged, rows = charged.take(found), trackable[found]
    smear = 1 + resolution(charged) * rng.standard_normal(len(rows))
    pt = charged.pt * np.maximum(smear, 0.05)
    return Tracks(rows, pt.astype(np.float32), _association(charged, rng))


def efficiency(charged: Incidence) -> NDArray[np.floating]:
    """Probability of an isolated particle to give a track, (particles,)."""
    plateau = np.where(np.abs(charged.eta) < ENDCAP_ETA, EFFICIENCY_BARREL, EFFICIENCY_ENDCAP)
    rise = np.clip((charged.pt - PT_MIN) / (PLATEAU_PT - PT_MIN), 0, 1)
    prompt = np.where(charged.kind == MUON, EFFICIENCY_MUON, plateau * (LOW_PT_FRACTION + (1 - LOW_PT_FRACTION) * rise))
    displaced: NDArray[np.floating] = prompt * np.exp(-charged.radius / DISPLACEMENT)
    return displaced


def core_efficiency(charged: Incidence) -> NDArray[np.floating]:
    """What is left of the efficiency where hits of several particles merge, (particles,)."""
    side = int(2 * ETA_MAX / CORE_CELL) + 1
    around = int(2 * np.pi / CORE_CELL) + 2
    column = ((charged.eta + ETA_MAX) / CORE_CELL).astype(np.int64)
    row = ((charged.phi + np.pi) / CORE_CELL).astype(np.int64)
    cell = (charged.event.astype(np.int64) * side + column) * around + row
    neighbors = np.bincount(cell)[cell] - 1
    left: NDArray[np.floating] = np.maximum(1 - CORE_LOSS * neighbors, CORE_MIN)
    return left


def resolution(charged: Incidence) -> NDArray[np.floating]:
    """Relative resolution of pT, (particles,)."""
    barrel: NDArray[np.floating] = np.hypot(RESOLUTION, RESOLUTION_PER_GEV * charged.pt)
    return np.where(np.abs(charged.eta) < ENDCAP_ETA, barrel, RESOLUTION_ENDCAP_FACTOR * barrel)


def _association(charged: Incidence, rng: np.random.Generator) -> NDArray[np.int32]:
    chance = rng.random(len(charged))
    prompt, displaced, pileup = (
        np.searchsorted(np.cumsum(probabilities)[:-1], chance, side="right")
        for probabilities in (PROMPT_ASSOCIATION, DISPLACED_ASSOCIATION, PILEUP_ASSOCIATION)
    )
    hard = np.where(charged.radius < PROMPT_RADIUS, prompt, displaced)
    return np.where(charged.source == HARD, hard, pileup).astype(np.int32)


def hypothesis(charged: Incidence) -> NDArray[np.int32]:
    """PDG id that particle flow gives a track: the charge is known, hadrons are taken for pions, (particles,)."""
    # A PDG id is positive for pi+ and for e-, mu-.
    positive = np.select([charged.kind == ELECTRON, charged.kind == MUON], [-11, -13], 211)
    return (positive * charged.charge.astype(np.int32)).astype(np.int32)
