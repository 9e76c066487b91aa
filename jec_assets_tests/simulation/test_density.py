from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.simulation.density import densities, median_density
from jec_assets.simulation.detector import Candidates
from jec_assets_tests.simulation.builders import candidates


def uniform(count: int, seed: int = 0) -> Candidates:
    rng = np.random.default_rng(seed)
    return candidates(np.full(count, 22), 0.5, rng.uniform(-5, 5, count), rng.uniform(-np.pi, np.pi, count))


def test_a_uniform_event_has_its_mean_density() -> None:
    expected = 20_000 * 0.5 / (10 * 2 * np.pi)
    assert median_density(uniform(20_000), 1, 5.0)[0] == pytest.approx(expected, rel=0.03)


@settings(deadline=None)
@given(st.floats(10, 5000), st.floats(-2, 2), st.floats(-3, 3))
def test_one_hard_jet_does_not_change_the_median(pt: float, eta: float, phi: float) -> None:
    quiet = uniform(5_000)
    hard = candidates(22, pt, eta, phi)
    both = Candidates(*(np.concatenate([getattr(quiet, name), getattr(hard, name)]) for name in vars(quiet)))
    assert median_density(both, 1, 5.0)[0] == pytest.approx(median_density(quiet, 1, 5.0)[0], rel=0.02)


def test_an_empty_event_has_density_zero() -> None:
    assert median_density(uniform(0), 2, 2.5).tolist() == [0, 0]


def test_each_density_sees_its_own_candidates() -> None:
    rng = np.random.default_rng(1)
    count = 30_000
    pdg = np.where(np.arange(count) % 2, 211, 22)
    from_pv = np.where(np.arange(count) % 4 == 1, 0, 3)
    found = densities(candidates(pdg, 1.0, rng.uniform(-5, 5, count), rng.uniform(-3.14, 3.14, count), from_pv), 1)
    assert found.all[0] == pytest.approx(found.central[0], rel=0.05)
    assert found.central_neutral[0] == pytest.approx(found.central[0] / 2, rel=0.06)
    assert found.central_charged_pileup[0] == pytest.approx(found.central[0] / 4, rel=0.08)
