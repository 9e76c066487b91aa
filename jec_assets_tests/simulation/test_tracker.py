from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.simulation import tracker
from jec_assets.simulation.incidence import HARD, OUT_OF_TIME, PILEUP, Incidence
from jec_assets_tests.simulation.builders import incidence

EVENTS, AROUND = 400, 50
MANY = EVENTS * AROUND


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def spread(pdg: int, pt: float, eta: float, source: int = HARD) -> Incidence:
    """Many particles, each alone in its cell."""
    phi = np.tile(np.linspace(-3.1, 3.1, AROUND), EVENTS)
    found = incidence(np.full(MANY, pdg), pt, eta, phi, source)
    return dataclasses.replace(found, event=np.repeat(np.arange(EVENTS, dtype=np.int32), AROUND))


@given(st.floats(0.21, 1000), st.floats(-2.49, 2.49))
def test_efficiency_is_a_probability_and_rises_to_the_plateau(pt: float, eta: float) -> None:
    low, high = tracker.efficiency(incidence([211, 211], [pt, pt + 1], eta))
    assert 0.4 < low <= high <= 0.9


@pytest.mark.parametrize(("eta", "plateau"), [(0.5, 0.90), (2.0, 0.78)])
def test_found_tracks_are_as_many_as_the_efficiency_says(eta: float, plateau: float) -> None:
    found = len(tracker.find_tracks(spread(211, 5.0, eta), rng()).pt) / MANY
    assert found == pytest.approx(plateau, abs=4 * np.sqrt(0.2 / MANY))


def test_displaced_particles_are_found_less_often() -> None:
    prompt = spread(211, 5.0, 0.0)
    displaced = dataclasses.replace(prompt, radius=np.full(MANY, 250, np.float32))
    ratio = tracker.efficiency(displaced) / tracker.efficiency(prompt)
    np.testing.assert_allclose(ratio, np.exp(-1), rtol=1e-5)


@given(st.integers(1, 60))
def test_dense_cores_lose_tracks_but_not_all(neighbors: int) -> None:
    crowded = tracker.core_efficiency(incidence(np.full(neighbors, 211), 50.0, 0.01))
    assert np.all(crowded == max(1 - tracker.CORE_LOSS * (neighbors - 1), tracker.CORE_MIN))


def test_neutral_soft_forward_and_out_of_time_particles_give_no_track() -> None:
    untrackable = [
        incidence(22, 50.0, 0.0),
        incidence(211, 0.19, 0.0),
        incidence(211, 50.0, 2.6),
        incidence(211, 50.0, 0.0, 0.0, OUT_OF_TIME),
    ]
    for particle in untrackable:
        assert len(tracker.find_tracks(particle, rng()).pt) == 0


@pytest.mark.parametrize("pt", [1.0, 100.0])
def test_momenta_are_smeared_by_the_resolution(pt: float) -> None:
    particles = spread(211, pt, 0.0)
    tracks = tracker.find_tracks(particles, rng())
    ratio = tracks.pt / particles.pt[tracks.particle]
    assert ratio.mean() == pytest.approx(1, abs=1e-3)
    assert ratio.std() == pytest.approx(np.hypot(0.008, 1.2e-4 * pt), rel=0.05)


def test_twelve_percent_of_pileup_survive() -> None:
    tracks = tracker.find_tracks(spread(211, 5.0, 0.0, PILEUP), rng())
    assert (tracks.from_pv > 0).mean() == pytest.approx(0.12, abs=0.01)
    assert tracks.from_pv.max() < 3


def test_prompt_tracks_belong_to_the_primary_vertex() -> None:
    tracks = tracker.find_tracks(spread(211, 5.0, 0.0), rng())
    assert tracks.from_pv.min() >= 1
    assert (tracks.from_pv == 3).mean() == pytest.approx(0.95, abs=0.01)


def test_hypotheses_keep_the_charge_and_take_hadrons_for_pions() -> None:
    pdg = np.array([211, -211, 11, -11, 13, -13])
    assert tracker.hypothesis(incidence(pdg, 10.0, 0.0)).tolist() == pdg.tolist()
