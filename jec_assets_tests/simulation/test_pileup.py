from __future__ import annotations

import numpy as np
import pytest

from jec_assets.simulation.incidence import OUT_OF_TIME, PILEUP
from jec_assets.simulation.pileup import MEAN, OUT_OF_TIME_FRACTION, PileupPool, draw_pileup, join_pools
from jec_assets_tests.simulation.conftest import COLLISIONS

pytestmark = pytest.mark.needs("pythia")


def test_the_pool_has_as_many_collisions_as_asked_for(pool: PileupPool) -> None:
    assert len(pool) == COLLISIONS
    assert pool.offsets[0] == 0
    assert pool.offsets[-1] == len(pool.particles)
    assert np.all(np.diff(pool.offsets) >= 0)


def test_the_pool_survives_its_columns(pool: PileupPool) -> None:
    again = PileupPool.from_columns(pool.columns)
    assert all(np.array_equal(pool.columns[name], again.columns[name]) for name in pool.columns)


def test_joined_pools_hold_all_collisions(pool: PileupPool) -> None:
    both = join_pools([pool, pool])
    assert len(both) == 2 * len(pool)
    first, last = both.offsets[len(pool)], both.offsets[len(pool) + 1]
    assert np.array_equal(both.particles.pt[first:last], pool.particles.pt[: pool.offsets[1]])


def test_the_number_of_collisions_varies_around_its_mean(pool: PileupPool) -> None:
    overlay = draw_pileup(pool, 500, np.random.default_rng(0))
    assert overlay.count.mean() == pytest.approx(MEAN, rel=0.06)
    assert overlay.count.std() == pytest.approx(np.sqrt(MEAN + 7.5**2), rel=0.12)
    assert overlay.mean.min() >= 0
    late = np.sum(overlay.particles.source == OUT_OF_TIME) / np.sum(overlay.particles.source == PILEUP)
    assert late == pytest.approx(OUT_OF_TIME_FRACTION, rel=0.1)


def test_turning_and_reflecting_keep_momenta_and_distances(pool: PileupPool) -> None:
    overlay = draw_pileup(pool, 20, np.random.default_rng(1)).particles
    pooled = set(pool.particles.pt.tolist())
    assert set(overlay.pt.tolist()) <= pooled
    assert np.all(np.abs(overlay.phi) <= np.pi + 1e-5)
    assert np.mean(overlay.eta > 0) == pytest.approx(0.5, abs=0.03)


def test_the_same_random_numbers_give_the_same_pileup(pool: PileupPool) -> None:
    one, other = (draw_pileup(pool, 5, np.random.default_rng(2)) for _ in range(2))
    assert np.array_equal(one.particles.calo_phi, other.particles.calo_phi)
    assert np.array_equal(one.count, other.count)
