"""Where particles meet the calorimeters.

Belongs here: the helix in the magnetic field, and the container of particles with their place on the calorimeter's
surface. Does not belong here: what tracker and calorimeters measure (`tracker.py`, `calorimeter.py`).

The detector is a cylinder: barrel calorimeters at a radius, endcaps at a distance along the beam, a homogeneous field
along the beam inside. A charged particle that circles inside the cylinder meets no calorimeter.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.simulation.particles import Particles, charge_of, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FIELD = 3.8  # T
CALORIMETER_RADIUS = 1.29  # m
CALORIMETER_HALF_LENGTH = 3.17  # m
ETA_MAX = 5.2

# What a particle does to the detector.
CHARGED_HADRON, NEUTRAL_HADRON, PHOTON, ELECTRON, MUON = range(5)

# Where a particle comes from. Out of time: from collisions of neighboring bunches, seen by the calorimeters only.
HARD, PILEUP, OUT_OF_TIME = range(3)


@dataclass(frozen=True)
class Incidence:
    """Particles on their way through the detector; every array is (particles,).

    event: int32; source: int8, HARD, PILEUP or OUT_OF_TIME; kind: int8, CHARGED_HADRON, ... MUON; charge: int8, e
    pt, energy: float32, GeV; eta, phi: float32, at production; radius: float32, mm, of the production
    calo_eta, calo_phi: float32, seen from the detector's center; hits_calorimeter: bool
    """

    event: NDArray[np.int32]
    source: NDArray[np.int8]
    kind: NDArray[np.int8]
    charge: NDArray[np.int8]
    pt: NDArray[np.float32]
    energy: NDArray[np.float32]
    eta: NDArray[np.float32]
    phi: NDArray[np.float32]
    radius: NDArray[np.float32]
    calo_eta: NDArray[np.float32]
    calo_phi: NDArray[np.float32]
    hits_calorimeter: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.event)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> Incidence:
        """Some of the particles, by a mask or by positions."""
        return Incidence(*(getattr(self, field.name)[rows] for field in fields(self)))

    def with_event(self, event: NDArray[np.int32]) -> Incidence:
        """The same particles, of other events."""
        return replace(self, event=event)


def join(parts: Sequence[Incidence]) -> Incidence:
    """Particles of several sources in one container; at least one part."""
    return Incidence(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Incidence)))


def propagate(particles: Particles, source: int) -> Incidence:
    """Follow particles to the calorimeters; those beyond |eta| = 5.2 are left out."""
    particles = particles.take(np.abs(particles.eta) < ETA_MAX)
    charge = charge_of(particles.pdg)
    calo_eta, turn, hits = helix_end(particles.pt, particles.eta, charge)
    return Incidence(
        event=particles.event,
        source=np.full(len(particles), source, np.int8),
        kind=_kind(particles.pdg, charge),
        charge=charge,
        pt=particles.pt,
        energy=particles.energy,
        eta=particles.eta,
        phi=particles.phi,
        radius=particles.radius,
        calo_eta=calo_eta,
        calo_phi=wrap(particles.phi + turn).astype(np.float32),
        hits_calorimeter=hits,
    )


def helix_end(
    pt: NDArray[np.float32], eta: NDArray[np.float32], charge: NDArray[np.int8]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Pseudorapidity and change of azimuth (rad) at the calorimeter's surface, and whether it is reached.

    A charged particle moves on a circle of radius rho = pT / (0.3 B) [GeV, T, m]. A chord that spans the turn t has the
    length 2 rho sin t and belongs to the arc 2 rho t, over which z grows by 2 rho t sinh(eta).
    """
    diameter = np.where(charge == 0, np.float32(1e6), 2 * pt / np.float32(0.3 * FIELD)).astype(np.float32)
    slope = np.sinh(np.clip(eta, -ETA_MAX, ETA_MAX))
    turn_barrel = np.arcsin(np.minimum(CALORIMETER_RADIUS / diameter, 1))
    z_barrel = diameter * turn_barrel * slope
    in_barrel = (diameter > CALORIMETER_RADIUS) & (np.abs(z_barrel) < CALORIMETER_HALF_LENGTH)
    turn_endcap = CALORIMETER_HALF_LENGTH / np.maximum(np.abs(slope) * diameter, 1e-6)
    in_endcap = ~in_barrel & (turn_endcap < np.pi / 2)
    turn = np.where(in_barrel, turn_barrel, np.minimum(turn_endcap, np.pi / 2))
    z = np.where(in_barrel, z_barrel, np.copysign(CALORIMETER_HALF_LENGTH, slope))
    radius = np.where(in_barrel, CALORIMETER_RADIUS, np.maximum(diameter * np.sin(turn), 1e-3))
    calo_eta = np.arcsinh(z / radius)
    hits = (in_barrel | in_endcap) & (np.abs(calo_eta) < ETA_MAX)
    return calo_eta.astype(np.float32), (-charge * turn).astype(np.float32), hits


def _kind(pdg: NDArray[np.int32], charge: NDArray[np.int8]) -> NDArray[np.int8]:
    absolute = np.abs(pdg)
    hadron = np.where(charge == 0, NEUTRAL_HADRON, CHARGED_HADRON)
    return np.select([absolute == 22, absolute == 11, absolute == 13], [PHOTON, ELECTRON, MUON], hadron).astype(np.int8)
