"""The jets that networks are timed on."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.jets import PARTICLE_FEATURES, padded, synthetic_jets


def test_multiplicities_are_realistic_and_reach_the_longest() -> None:
    counts = np.diff(synthetic_jets(256, 100, seed=1)["offsets"])
    assert counts.mean() == pytest.approx(35, abs=1)
    assert counts.std() == pytest.approx(16, abs=1)
    assert counts.max() == 100


def test_the_padded_form_holds_the_same_particles() -> None:
    jets = synthetic_jets(5, 20, seed=2)
    dense, real = padded(jets, slots=24)
    assert dense.shape == (5, PARTICLE_FEATURES, 24)
    np.testing.assert_array_equal(dense.transpose(0, 2, 1)[real[:, 0]], jets["particles"])
    np.testing.assert_array_equal(real.sum(axis=(1, 2)), np.diff(jets["offsets"]))
    assert not dense.transpose(0, 2, 1)[~real[:, 0]].any()
