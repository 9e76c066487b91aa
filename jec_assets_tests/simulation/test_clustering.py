from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.simulation.clustering import GHOST_AREA, Jets, anti_kt, area, area_ghosts, match, pairs
from jec_assets.simulation.particles import Momenta
from jec_assets_tests.simulation.builders import jets

pytestmark = pytest.mark.needs("pythia")


def momenta(event: list[int], pt: list[float], eta: list[float], phi: list[float]) -> Momenta:
    columns = (np.array(column, np.float64) for column in (pt, eta, phi, [0.0] * len(pt)))
    return Momenta(np.array(event, np.int32), *columns)


def test_jets_come_by_event_and_falling_pt_with_their_constituents() -> None:
    found = anti_kt(momenta([0, 0, 0, 2, 2], [20, 30, 5, 40, 60], [0, 2, 0.1, 1, -1], [0, 0, 0.1, 3, -3]), 3, 10)
    assert found.event.tolist() == [0, 0, 2, 2]
    np.testing.assert_allclose(found.pt, [30, 24.99, 60, 40], atol=0.05)
    np.testing.assert_allclose(found.eta, [2, 0.02, -1, 1], atol=0.01)
    members = np.split(found.constituents, np.cumsum(found.counts)[:-1])
    assert [sorted(rows.tolist()) for rows in members] == [[1], [0, 2], [4], [3]]


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_momentum_and_particles_are_conserved(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = Momenta(
        np.sort(rng.integers(0, 3, 40)).astype(np.int32),
        rng.exponential(5, 40) + 0.1,
        rng.uniform(-4, 4, 40),
        rng.uniform(-3.1, 3.1, 40),
        np.full(40, 0.14),
    )
    found = anti_kt(inputs, 3, 0.0)
    assert sorted(found.constituents.tolist()) == list(range(40))
    np.testing.assert_allclose(np.sum(found.pt * np.cos(found.phi)), np.sum(inputs.pt * np.cos(inputs.phi)), atol=1e-9)
    assert np.array_equal(inputs.event[found.constituents], found.event[found.owner])


def test_an_isolated_jet_has_the_area_of_a_circle() -> None:
    rng = np.random.default_rng(0)
    events = 50
    ghosts = area_ghosts(events, rng)
    hard = momenta(list(range(events)), [50.0] * events, [0.5] * events, [1.0] * events)
    joined = Momenta(*(np.concatenate([getattr(hard, name), getattr(ghosts, name)]) for name in vars(hard)))
    order = np.argsort(joined.event, kind="stable")
    found = anti_kt(Momenta(*(getattr(joined, name)[order] for name in vars(joined))), events, 20)
    ghostly = found.keep_constituents(order[found.constituents] >= events)
    assert len(found) == events
    np.testing.assert_allclose(found.pt, 50)
    assert area(ghostly).mean() == pytest.approx(np.pi * 0.4**2, rel=0.02)
    assert area(ghostly).std() < 4 * GHOST_AREA


def test_jets_beyond_the_ghosts_have_the_area_of_a_circle() -> None:
    assert area(jets(4.0, 0.0, counts=3))[0] == pytest.approx(np.pi * 0.4**2)


def test_the_nearest_jets_match_one_to_one() -> None:
    reconstructed = jets([0.0, 0.3, 2.0], [0.0, 0.0, 1.0])
    particle_level = jets([0.05, 2.5], [0.0, 1.0])
    assert match(reconstructed, particle_level).tolist() == [0, -1, -1]


def test_jets_match_across_the_seam_and_not_across_events() -> None:
    reconstructed = jets([0.0, 0.0], [3.1, 3.1], event=[0, 1])
    particle_level = jets(0.0, -3.1, event=1)
    assert match(reconstructed, particle_level).tolist() == [-1, 0]


@given(st.integers(0, 10_000))
def test_matching_is_symmetric(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def some() -> Jets:
        event = np.sort(rng.integers(0, 4, 12))
        return jets(rng.uniform(-1, 1, 12), rng.uniform(-1, 1, 12), event=event)

    left, right = some(), some()
    forth, back = match(left, right), match(right, left)
    for row, partner in enumerate(forth):
        assert partner == -1 or back[partner] == row


def test_pairs_are_those_of_equal_events() -> None:
    left, right = pairs(np.array([0, 2, 2], np.int32), np.array([0, 0, 1, 2], np.int32))
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 3), (2, 3)]
