from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.simulation import calorimeter
from jec_assets.simulation.calorimeter import Grid, find_neutral_hadrons, find_photons, hadron_response
from jec_assets.simulation.incidence import HARD, OUT_OF_TIME, Incidence
from jec_assets.simulation.tracker import Tracks
from jec_assets_tests.simulation.builders import incidence

EVENTS, AROUND = 80, 50
MANY = EVENTS * AROUND
NO_TRACKS = Tracks(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int32))


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def many(pdg: int, pt: float, eta: float, source: int = HARD) -> Incidence:
    """Many particles, each alone in its cell."""
    phi = np.tile(np.linspace(-3.1, 3.1, AROUND), EVENTS)
    found = incidence(np.full(MANY, pdg), pt, eta, phi, source)
    return dataclasses.replace(found, event=np.repeat(np.arange(EVENTS, dtype=np.int32), AROUND))


@given(st.floats(-5.19, 5.19), st.floats(-3.14, 3.14), st.sampled_from([72, 180]))
def test_a_particle_lies_in_the_cell_that_it_hits(eta: float, phi: float, around: int) -> None:
    grid = Grid(around, events=3)
    particle = dataclasses.replace(incidence(22, 1.0, eta, phi), event=np.array([2], np.int32))
    cell = grid.cell(particle)
    center_eta, center_phi = grid.center(cell)
    assert 0 <= cell[0] < grid.size
    assert grid.event(cell)[0] == 2
    assert abs(center_eta[0] - particle.calo_eta[0]) <= grid.width / 2 + 1e-4
    assert abs(center_phi[0] - particle.calo_phi[0]) <= grid.width / 2 + 1e-4


@given(st.floats(0.1, 5000), st.floats(1.01, 10), st.floats(-5, 5))
def test_hadron_response_rises_with_energy_and_stays_below_one(energy: float, ratio: float, eta: float) -> None:
    low, high = hadron_response(np.array([energy, energy * ratio]), np.full(2, eta))
    assert 0 <= low <= high < 1


def test_photons_are_measured_without_bias() -> None:
    photons = find_photons(many(22, 50.0, 0.5), NO_TRACKS, EVENTS, rng())
    energy = 50 * np.cosh(0.5)
    assert len(photons.energy) == MANY
    assert set(photons.pdg) == {22}
    assert photons.energy.mean() == pytest.approx(energy, rel=1e-3)
    assert photons.energy.std() == pytest.approx(np.sqrt(0.06**2 * energy + 0.12**2 + (0.01 * energy) ** 2), rel=0.05)


def test_soft_photons_are_not_seen() -> None:
    assert len(find_photons(many(22, 0.05, 0.0), NO_TRACKS, EVENTS, rng()).energy) < 0.05 * MANY


def test_neutral_hadrons_are_measured_low() -> None:
    hadrons = find_neutral_hadrons(many(130, 100.0, 0.0), NO_TRACKS, EVENTS, rng())
    assert set(hadrons.pdg) == {130}
    assert hadrons.energy.mean() == pytest.approx(100 * (1 - 0.85 * 100**-0.28), rel=0.02)


def test_collisions_out_of_time_count_half() -> None:
    late = many(22, 50.0, 0.5, OUT_OF_TIME)
    assert find_photons(late, NO_TRACKS, EVENTS, rng()).energy.mean() == pytest.approx(25 * np.cosh(0.5), rel=1e-3)


def test_a_tracked_hadron_is_no_neutral_hadron_too() -> None:
    pions = many(211, 20.0, 0.0)
    tracks = Tracks(np.arange(MANY), pions.pt, np.full(MANY, 3, np.int32))
    tracked, lost = (find_neutral_hadrons(pions, found, EVENTS, rng()) for found in (tracks, NO_TRACKS))
    assert len(tracked.energy) < 0.12 * MANY
    assert len(lost.energy) > 0.95 * MANY


def test_a_tracked_electron_is_no_photon() -> None:
    electrons = many(11, 20.0, 0.0)
    tracks = Tracks(np.arange(MANY), electrons.pt, np.full(MANY, 3, np.int32))
    assert len(find_photons(electrons, tracks, EVENTS, rng()).energy) == 0
    assert len(find_photons(electrons, NO_TRACKS, EVENTS, rng()).energy) == MANY


def test_forward_candidates_carry_the_forward_calorimeters_ids() -> None:
    both = incidence([22, 130], 50.0, 4.0)
    assert set(find_photons(both, NO_TRACKS, 1, rng()).pdg) == {calorimeter.FORWARD_PHOTON_ID}
    assert set(find_neutral_hadrons(both, NO_TRACKS, 1, rng()).pdg) == {calorimeter.FORWARD_HADRON_ID}


def test_neighbors_in_one_cell_are_one_candidate() -> None:
    pair = incidence([22, 22], [10.0, 20.0], [0.010, 0.012], [0.010, 0.012])
    photons = find_photons(pair, NO_TRACKS, 1, rng())
    assert len(photons.energy) == 1
    assert photons.energy[0] == pytest.approx(30, rel=0.1)
