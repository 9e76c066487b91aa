from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.jet_resolution import PULL_EDGES, coverages, pulls, resolution_classes
from jec_assets_tests.evaluation.regressions import SIGMA, perfect_regression, some
from jec_assets_tests.evaluation.synthetic import calibrated_table

JETS = perfect_regression()
DRAWS = Resampling().draws(JETS.event)


def widened(factor: float) -> CalibratedJets:
    """The jets with predicted resolutions larger by a factor."""
    low, high = JETS.quantiles["pfn"]
    middle, half = (low + high) / 2, (high - low) / 2
    return replace(JETS, quantiles={"pfn": np.stack([middle - factor * half, middle + factor * half])})


def test_pulls_of_right_quantiles_are_those_of_a_unit_gaussian():
    (each,) = pulls(JETS, DRAWS)
    assert each.family == "pfn"
    for number, expected in ((each.mean, 0), (each.median, 0), (each.core_width, 1)):
        assert number.value == pytest.approx(expected, abs=4 * number.uncertainty)
        assert 0 < number.uncertainty < 0.02
    assert np.sum(each.density * np.diff(PULL_EDGES)) == pytest.approx(1)
    assert each.disordered == 0


def test_the_interval_of_a_gaussian_covers_68_percent_everywhere():
    far = 0
    found = coverages(JETS, DRAWS)
    for each in found:
        if each.inside.n >= 200:
            expected = np.sqrt(0.68 * 0.32 / each.inside.n)
            assert each.inside.uncertainty == pytest.approx(expected, rel=0.6)
            assert each.inside.value == pytest.approx(0.68, abs=4.5 * expected)
            assert each.inside.value + each.below.value + each.above.value == pytest.approx(1)
            far += abs(each.inside.value - 0.68) > 2 * expected
    assert far < 0.15 * len(found)
    assert len(found) == 2 * 9 * 7


@settings(max_examples=8, deadline=None)
@given(st.floats(0.5, 2.0))
def test_pulls_are_as_much_too_wide_as_the_resolution_is_too_small(factor: float):
    (right,), (wrong,) = pulls(JETS, DRAWS[:3]), pulls(widened(factor), DRAWS[:3])
    assert wrong.core_width.value == pytest.approx(right.core_width.value / factor)


def test_predicted_against_measured():
    wide = widened(1.5)
    for each in resolution_classes(wide, DRAWS):
        assert each.predicted.value == pytest.approx(1.5 * 0.99446 * SIGMA)
        assert each.measured.value == pytest.approx(SIGMA, abs=5 * each.measured.uncertainty)
    assert len(resolution_classes(wide, DRAWS)) == 2 * 10


def test_quantiles_out_of_order_are_counted():
    low, high = JETS.quantiles["pfn"]
    crossed = np.arange(len(JETS)) < 7
    jets = replace(JETS, quantiles={"pfn": np.stack([np.where(crossed, high, low), np.where(crossed, low, high)])})
    (each,) = pulls(jets, DRAWS)
    assert (each.disordered, each.mean.n) == (7, len(JETS) - 7)


def test_weights_count_in_everything():
    ones, half = np.ones(len(JETS)), np.where(np.arange(len(JETS)) % 2, 0.0, 1.0)
    assert pulls(replace(JETS, weight=ones), DRAWS)[0].core_width.value == pytest.approx(
        pulls(JETS, DRAWS)[0].core_width.value
    )
    kept = some(JETS, half > 0)
    (expected,) = pulls(kept, DRAWS[:, half > 0])
    (weighted,) = pulls(replace(JETS, weight=half), DRAWS)
    assert weighted.mean.value == pytest.approx(expected.mean.value)
    np.testing.assert_allclose(weighted.density, expected.density)


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_are_no_crash(jets: int):
    few, draws = some(JETS, slice(jets)), DRAWS[:, :jets]
    (each,) = pulls(few, draws)
    assert each.mean.note == ("no jets" if jets == 0 else "n = 1")
    assert np.isfinite(each.density).all()
    assert {cover.inside.note for cover in coverages(few, draws)} <= {"no jets", "n = 1"}
    assert {found.measured.note for found in resolution_classes(few, draws)} <= {"no jets", "n = 1"}


def test_families_without_quantiles_are_not_there():
    jets = CalibratedJets.from_table(calibrated_table(50))
    draws = Resampling(3).draws(jets.event)
    assert pulls(jets, draws) == coverages(jets, draws) == resolution_classes(jets, draws) == ()
