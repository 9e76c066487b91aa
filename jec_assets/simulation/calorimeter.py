"""Calorimeters: energies in cells, and the neutral particles that particle flow makes of them.

Belongs here: response, resolution, cells and thresholds of the electromagnetic (ECAL) and hadron (HCAL) calorimeter.
Does not belong here: tracks (`tracker.py`) and pileup's rate (`pileup.py`).

Photons and electrons without a track light up ECAL cells; a cell above threshold is a photon. Hadrons light up HCAL
cells. There, what tracks lead one to expect is subtracted, and an excess that is large enough and significant is a
neutral hadron: the particle-flow way (CMS, JINST 12 (2017) P10003, Section 4.4). Hadrons' share in the ECAL is part of
one response. Beyond the tracker nothing is subtracted; beyond |eta| = 3 candidates carry the forward calorimeter's ids.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.simulation.incidence import (
    CHARGED_HADRON,
    ELECTRON,
    ETA_MAX,
    NEUTRAL_HADRON,
    OUT_OF_TIME,
    PHOTON,
    Incidence,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.simulation.tracker import Tracks

ENDCAP_ETA = 1.4
FORWARD_ETA = 3.0

OUT_OF_TIME_SCALE = 0.5  # of the energy falls into the integration window

# ECAL: cells of 2 x 2 crystals; sigma^2 = (6 %)^2 E + (0.12 GeV)^2 + (1 % E)^2
PHOTON_CELLS_AROUND = 180
PHOTON_STOCHASTIC, PHOTON_NOISE, PHOTON_CONSTANT = 0.06, 0.12, 0.01
PHOTON_ET_MIN_BARREL, PHOTON_ET_MIN_ENDCAP = 0.30, 0.50  # GeV, transverse

# HCAL: response 1 - 0.85 E^-0.28 (E in GeV); sigma / E = 160 % / sqrt(E) (+) 8 %
HADRON_CELLS_AROUND = 72
HADRON_RESPONSE_LOSS, HADRON_RESPONSE_POWER, HADRON_ENDCAP_FACTOR = 0.85, -0.28, 0.85
HADRON_STOCHASTIC, HADRON_CONSTANT = 1.60, 0.08
EXCESS_MIN, EXCESS_SIGMAS = 1.3, 1.3  # GeV, standard deviations of what the tracks lead one to expect
FORWARD_ET_MIN = 0.5  # GeV, transverse, where there are no tracks and energies are high

PHOTON_ID, NEUTRAL_HADRON_ID, FORWARD_HADRON_ID, FORWARD_PHOTON_ID = 22, 130, 1, 2
NEUTRAL_HADRON_MASS = 0.49761  # GeV


@dataclass(frozen=True)
class Grid:
    """Square cells in pseudorapidity and azimuth, of all events of a batch."""

    around: int
    events: int

    @property
    def width(self) -> float:
        """Side of a cell, rad."""
        return 2 * np.pi / self.around

    @property
    def along(self) -> int:
        """Cells in pseudorapidity."""
        return 2 * int(np.ceil(ETA_MAX / self.width))

    @property
    def size(self) -> int:
        """Cells of all events."""
        return self.events * self.along * self.around

    def cell(self, particles: Incidence) -> NDArray[np.int64]:
        """The cell that each particle hits, (particles,)."""
        column = np.floor(particles.calo_eta / self.width).astype(np.int64) + self.along // 2
        row = np.floor((particles.calo_phi + np.pi) / self.width).astype(np.int64) % self.around
        cell: NDArray[np.int64] = (particles.event * self.along + column) * self.around + row
        return cell

    def deposit(self, cells: NDArray[np.int64], values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum of values in every cell, (size,)."""
        return np.bincount(cells, values, minlength=self.size).astype(np.float64, copy=False)

    def event(self, cells: NDArray[np.int64]) -> NDArray[np.int32]:
        """The event of each cell."""
        return (cells // (self.along * self.around)).astype(np.int32)

    def center(self, cells: NDArray[np.int64]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Pseudorapidity and azimuth of cells."""
        column, row = cells // self.around % self.along, cells % self.around
        return (column - self.along // 2 + 0.5) * self.width, (row + 0.5) * self.width - np.pi


@dataclass(frozen=True)
class Clusters:
    """Neutral candidates; every array is (clusters,): event int32, pdg int32, energy and mass in GeV, eta, phi."""

    event: NDArray[np.int32]
    pdg: NDArray[np.int32]
    energy: NDArray[np.floating]
    mass: NDArray[np.floating]
    eta: NDArray[np.floating]
    phi: NDArray[np.floating]

    def take(self, rows: NDArray[np.bool_]) -> Clusters:
        """The clusters of a mask."""
        return Clusters(*(getattr(self, field.name)[rows] for field in fields(self)))


def find_photons(particles: Incidence, tracks: Tracks, events: int, rng: np.random.Generator) -> Clusters:
    """ECAL cells above threshold; an electron with a track is no cluster."""
    tracked = np.zeros(len(particles), bool)
    tracked[tracks.particle] = True
    shower = particles.take(np.isin(particles.kind, (PHOTON, ELECTRON)) & particles.hits_calorimeter & ~tracked)
    grid = Grid(PHOTON_CELLS_AROUND, events)
    deposits = grid.deposit(grid.cell(shower), shower.energy * _integrated(shower))
    cells = np.flatnonzero(deposits)
    true = deposits[cells]
    sigma = np.sqrt(PHOTON_STOCHASTIC**2 * true + PHOTON_NOISE**2 + (PHOTON_CONSTANT * true) ** 2)
    energy = true + sigma * rng.standard_normal(len(cells))
    eta, phi = grid.center(cells)
    threshold = np.where(np.abs(eta) < ENDCAP_ETA, PHOTON_ET_MIN_BARREL, PHOTON_ET_MIN_ENDCAP)
    seen = energy > threshold * np.cosh(eta)
    pdg = np.where(np.abs(eta) < FORWARD_ETA, PHOTON_ID, FORWARD_PHOTON_ID).astype(np.int32)
    mass = np.zeros(len(cells))
    return Clusters(grid.event(cells), pdg, energy, mass, eta, phi).take(seen)


def find_neutral_hadrons(particles: Incidence, tracks: Tracks, events: int, rng: np.random.Generator) -> Clusters:
    """HCAL cells with a significant excess over what the tracks lead one to expect."""
    grid = Grid(HADRON_CELLS_AROUND, events)
    hadrons = particles.take(np.isin(particles.kind, (CHARGED_HADRON, NEUTRAL_HADRON)) & particles.hits_calorimeter)
    mean, variance = _hadron_deposit(hadrons.energy, hadrons.calo_eta)
    scale = _integrated(hadrons)
    hit = grid.cell(hadrons)
    deposits = grid.deposit(hit, mean * scale)
    spread = grid.deposit(hit, variance * scale**2)
    expected, expected_variance = _expectation(particles, tracks, grid)
    cells = np.flatnonzero(deposits)
    eta, phi = grid.center(cells)
    forward = np.abs(eta) >= FORWARD_ETA
    excess = deposits[cells] + np.sqrt(spread[cells]) * rng.standard_normal(len(cells)) - expected[cells]
    least = np.where(forward, FORWARD_ET_MIN * np.cosh(eta), EXCESS_MIN)
    seen = excess > np.maximum(least, EXCESS_SIGMAS * np.sqrt(expected_variance[cells]))
    pdg = np.where(forward, FORWARD_HADRON_ID, NEUTRAL_HADRON_ID).astype(np.int32)
    mass = np.where(forward, 0, NEUTRAL_HADRON_MASS)
    return Clusters(grid.event(cells), pdg, excess, mass, eta, phi).take(seen)


def hadron_response(energy: NDArray[np.floating], eta: NDArray[np.floating]) -> NDArray[np.floating]:
    """Mean measured over true energy of a hadron of that true energy (GeV), between 0 and 1."""
    barrel: NDArray[np.floating] = np.maximum(1 - HADRON_RESPONSE_LOSS * energy**HADRON_RESPONSE_POWER, 0)
    return np.where(np.abs(eta) < ENDCAP_ETA, barrel, HADRON_ENDCAP_FACTOR * barrel)


def _hadron_deposit(
    energy: NDArray[np.floating], eta: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Mean (GeV) and variance (GeV^2) of what a hadron leaves."""
    mean = hadron_response(energy, eta) * energy
    return mean, mean**2 * (HADRON_STOCHASTIC**2 / energy + HADRON_CONSTANT**2)


def _expectation(particles: Incidence, tracks: Tracks, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of what the tracked hadrons leave in every cell, from their measured momenta."""
    tracked = particles.take(tracks.particle)
    chosen = (tracked.kind == CHARGED_HADRON) & tracked.hits_calorimeter
    tracked, pt = tracked.take(chosen), tracks.pt[chosen]
    mean, variance = _hadron_deposit(pt * np.cosh(tracked.eta), tracked.calo_eta)
    hit = grid.cell(tracked)
    return grid.deposit(hit, mean), grid.deposit(hit, variance)


def _integrated(particles: Incidence) -> NDArray[np.float64]:
    """Share of the energy that falls into the integration window."""
    return np.where(particles.source == OUT_OF_TIME, OUT_OF_TIME_SCALE, 1.0)
