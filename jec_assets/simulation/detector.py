"""The detector: from particles to particle-flow candidates.

Belongs here: the container of candidates and the order in which the parts of the detector are read. Does not belong
here: the parts (`incidence.py`, `tracker.py`, `calorimeter.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.simulation.calorimeter import Clusters, find_neutral_hadrons, find_photons
from jec_assets.simulation.tracker import Tracks, find_tracks, hypothesis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.simulation.incidence import Incidence

_TRACK_MASSES = {11: 0.000511, 13: 0.10566, 211: 0.13957}  # GeV
_NEUTRAL_ASSOCIATION = 1  # fromPV of a candidate without a track


@dataclass(frozen=True)
class Candidates:
    """Particle-flow candidates of some events, ordered by event; every array is (candidates,).

    event: int32; pdg: int32, as in PF_id; pt, eta, phi, mass: float32, GeV; from_pv: int32, as in PF_fromPV
    """

    event: NDArray[np.int32]
    pdg: NDArray[np.int32]
    pt: NDArray[np.float32]
    eta: NDArray[np.float32]
    phi: NDArray[np.float32]
    mass: NDArray[np.float32]
    from_pv: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.event)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> Candidates:
        """Some of the candidates, by a mask or by positions."""
        return Candidates(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def subtracted(self) -> NDArray[np.bool_]:
        """Tracks of pileup vertices, which charged-hadron subtraction keeps out of jets."""
        removed: NDArray[np.bool_] = self.from_pv == 0
        return removed


def detect(particles: Incidence, events: int, rng: np.random.Generator) -> Candidates:
    """Candidates of `events` events; within an event tracks come first, then photons, then neutral hadrons."""
    tracks = find_tracks(particles, rng)
    photons = find_photons(particles, tracks, events, rng)
    neutral_hadrons = find_neutral_hadrons(particles, tracks, events, rng)
    parts = (_from_tracks(particles, tracks), _from_clusters(photons), _from_clusters(neutral_hadrons))
    everything = Candidates(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Candidates))
    )
    return everything.take(np.argsort(everything.event, kind="stable"))


def _from_tracks(particles: Incidence, tracks: Tracks) -> Candidates:
    tracked = particles.take(tracks.particle)
    pdg = hypothesis(tracked)
    absolute = np.abs(pdg)
    mass = np.select([absolute == pdg_id for pdg_id in _TRACK_MASSES], list(_TRACK_MASSES.values()))
    return Candidates(tracked.event, pdg, tracks.pt, tracked.eta, tracked.phi, mass.astype(np.float32), tracks.from_pv)


def _from_clusters(clusters: Clusters) -> Candidates:
    momentum = np.sqrt(np.maximum(clusters.energy**2 - clusters.mass**2, 0))
    return Candidates(
        clusters.event,
        clusters.pdg,
        (momentum / np.cosh(clusters.eta)).astype(np.float32),
        clusters.eta.astype(np.float32),
        clusters.phi.astype(np.float32),
        clusters.mass.astype(np.float32),
        np.full(len(clusters.event), _NEUTRAL_ASSOCIATION, np.int32),
    )
