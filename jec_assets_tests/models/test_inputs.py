"""Constants of standardization: the plain quantiles of few jets, those of a fixed sample of many."""

from __future__ import annotations

import numpy as np
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.models import inputs
from jec_assets.models.inputs import ONE_SIGMA_QUANTILES, Standardization


def some_jets(jets: int, particles: int = 7) -> PackedJets:
    random = np.random.default_rng(2)
    values = random.normal([3, -1, 0], [2, 0.5, 1e-3], (jets * particles, 3)).astype(np.float32)
    offsets = np.arange(jets + 1) * particles
    return PackedJets(values, offsets, random.exponential(5, (jets, 2)).astype(np.float32))


def test_center_and_scale_are_quantiles_of_each_feature() -> None:
    jets = some_jets(500)
    fitted = Standardization.fit(jets)
    for features, center, scale in (
        (jets.particles, fitted.particle_center, fitted.particle_scale),
        (jets.jets, fitted.jet_center, fitted.jet_scale),
    ):
        low, median, high = np.quantile(features, [ONE_SIGMA_QUANTILES[0], 0.5, ONE_SIGMA_QUANTILES[1]], axis=0)
        assert np.array_equal(center, median.astype(np.float32))
        assert np.array_equal(scale, ((high - low) / 2).astype(np.float32))
        assert center.dtype == scale.dtype == np.float32


def test_of_many_jets_a_fixed_even_sample_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MAX_FITTED_JETS", 1000)
    monkeypatch.setattr(inputs, "FITTED_RUN", 100)
    jets = some_jets(5003)
    # Jets between the runs may hold anything: they are not looked at.
    looked_at = np.zeros(5003, bool)
    for start in (number * 4903 // 9 for number in range(10)):
        looked_at[start : start + 100] = True
    assert looked_at.sum() == 1000
    assert looked_at[-1]
    sample = jets.take(np.flatnonzero(looked_at))
    jets.jets[~looked_at] = np.nan
    jets.particles[np.repeat(~looked_at, 7)] = np.nan
    fitted, plain = Standardization.fit(jets), Standardization.fit(sample)
    for name in ("particle_center", "particle_scale", "jet_center", "jet_scale"):
        assert np.array_equal(getattr(fitted, name), getattr(plain, name))


def test_the_jets_are_left_as_they_are() -> None:
    jets = some_jets(300)
    before = jets.particles.copy()
    jets.particles.flags.writeable = False
    Standardization.fit(jets)
    assert np.array_equal(jets.particles, before)


@pytest.mark.parametrize("constant", [4.5, 0.1, 1e-6])
def test_a_constant_feature_is_centered_and_keeps_its_scale(constant: float) -> None:
    jets = some_jets(301)
    jets.particles[:, 1] = constant
    jets.particles[:, 2] = 0
    jets.particles[::100, 2] = 1  # rarer than the quantiles see
    fitted = Standardization.fit(jets)
    assert fitted.particle_center[1] == np.float32(constant)
    assert fitted.particle_scale[1] == 1
    assert fitted.particle_scale[2] == pytest.approx(np.std(jets.particles[:, 2]))


def test_nothing_to_fit_to_is_said() -> None:
    jets = some_jets(4)
    with pytest.raises(ValueError, match="no jets"):
        Standardization.fit(jets.slice(0, 0))
    bare = PackedJets(jets.particles[:0], np.zeros(5, np.int64), jets.jets)
    with pytest.raises(ValueError, match="none of the 4 jets has a particle"):
        Standardization.fit(bare)
