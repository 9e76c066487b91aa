from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.bins import GEN_PT_INTERVALS, INCLUSIVE, UNBIASED_INCLUSIVE, UNBIASED_LOWEST, Interval
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.resolution import BINS, resolution
from jec_assets.evaluation.response.shrinkage import CorrectedResolution, corrected_resolution, fit_range, slopes
from jec_assets.evaluation.sample import Sample
from jec_assets_tests.evaluation.synthetic import calibrated_table


def pulled_table(pull: float, jets: int = 20_000) -> pl.DataFrame:
    """The "PFN" is the standard correction, pulled towards 300 GeV: ln(pT / 300 GeV) gets smaller by the share."""
    factor = -pull * (pl.col("jetPt").cast(float) / 300).log()
    return calibrated_table(jets).with_columns(log_factor_pfn=factor).drop("log_factor_particle_net")


def measured(table: pl.DataFrame, interval: Interval) -> dict[str, CorrectedResolution]:
    """In the barrel."""
    jets = CalibratedJets.from_table(table)
    results = corrected_resolution(jets, Resampling(10).draws(jets.event), (interval,))
    return {each.correction: each for each in results if each.region.name == "barrel"}


def test_the_slope_of_a_power_of_pt_is_its_exponent():
    gen_pt = np.random.default_rng(1).permutation(np.geomspace(50, 1000, 501))
    jets = Sample({"pfn": 1.1 * gen_pt**-0.2}, gen_pt, np.ones((1, 501), np.uint8), None)
    assert slopes(jets, "pfn") == pytest.approx([-0.2], rel=1e-3)
    weighted = replace(jets, weight=gen_pt**-2.0)
    assert slopes(weighted, "pfn") == pytest.approx([-0.2], rel=0.02)


@pytest.mark.parametrize("interval", [BINS[8], UNBIASED_LOWEST, GEN_PT_INTERVALS[1], UNBIASED_INCLUSIVE])
def test_a_pull_is_no_resolution(interval: Interval):
    # All responses are drawn together by a fifth, which is no knowledge of any jet.
    pull = 0.2
    each = measured(pulled_table(pull), interval)["pfn"]
    assert each.slope.value == pytest.approx(-pull, abs=4 * each.slope.uncertainty)
    assert each.beta.value == pytest.approx(0, abs=max(0.02, 3 * each.beta.uncertainty))


def test_a_pull_passes_as_beta_where_it_is_not_corrected_for():
    jets = CalibratedJets.from_table(pulled_table(0.2))
    each = resolution(jets, Resampling(10).draws(jets.event), (BINS[8],))[1]
    assert (each.correction, each.beta.value) == ("pfn", pytest.approx(0.2, abs=0.03))


def test_a_better_measurement_without_pull_keeps_its_beta():
    jets = CalibratedJets.from_table(calibrated_table(20_000))
    draws = Resampling(10).draws(jets.event)
    for plain, corrected in zip(
        resolution(jets, draws, (GEN_PT_INTERVALS[2],)),
        corrected_resolution(jets, draws, (GEN_PT_INTERVALS[2],)),
        strict=True,
    ):
        assert corrected.slope.value == pytest.approx(0, abs=4 * corrected.slope.uncertainty)
        assert corrected.beta.value == pytest.approx(plain.beta.value, abs=0.03)


def test_the_standard_correction_improves_nothing_over_itself():
    each = measured(calibrated_table(2000), UNBIASED_INCLUSIVE)["standard"]
    assert (each.beta.value, each.beta.uncertainty) == (0, 0)


@settings(max_examples=5, deadline=None)
@given(st.floats(-0.5, 0.5))
def test_scaling_all_responses_changes_nothing(shift: float):
    jets = CalibratedJets.from_table(calibrated_table(3000))
    draws = Resampling(5).draws(jets.event)
    scaled = replace(jets, log_factors={name: factor + shift for name, factor in jets.log_factors.items()})
    intervals = (UNBIASED_INCLUSIVE,)
    for before, after in zip(
        corrected_resolution(jets, draws, intervals), corrected_resolution(scaled, draws, intervals), strict=True
    ):
        assert after.slope.value == pytest.approx(before.slope.value, abs=1e-9)
        assert after.resolution.value == pytest.approx(before.resolution.value)
        assert after.beta.value == pytest.approx(before.beta.value, abs=1e-9)


def test_narrow_intervals_borrow_their_neighbors_jets_but_none_below_50_gev():
    narrow = fit_range(Interval("100-121", 100, 121))
    assert narrow.high / narrow.low == pytest.approx(2)
    assert narrow.low * narrow.high == pytest.approx(100 * 121)
    assert fit_range(Interval("57-75", 57, 75)).low == 50
    assert fit_range(GEN_PT_INTERVALS[1]) == GEN_PT_INTERVALS[1]
    assert fit_range(GEN_PT_INTERVALS[3]) == GEN_PT_INTERVALS[3]


def test_intervals_that_reach_into_the_biased_region_have_none_and_say_so():
    each = measured(calibrated_table(2000), INCLUSIVE)["pfn"]
    assert each.slope.value is each.resolution.value is each.beta.value is None
    assert each.slope.note == each.resolution.note == each.beta.note == "biased < 50 GeV"


def test_few_jets_have_no_slope():
    assert measured(calibrated_table(600), BINS[10])["pfn"].slope.note == "< 100 jets"
    jets = CalibratedJets.from_table(calibrated_table(1000)).weighted_by_event()
    each = corrected_resolution(jets, Resampling(5).draws(jets.event), (UNBIASED_INCLUSIVE,))[0]
    assert each.slope.note == "< 100 effective jets"


@pytest.mark.parametrize(("jets", "note"), [(0, "no jets"), (1, "< 100 jets")])
def test_hardly_any_jets_are_no_crash(jets: int, note: str):
    table = calibrated_table(100).filter((pl.col("genJetEta").abs() < 1.3) & (pl.col("genJetPt") > 100)).head(jets)
    for each in measured(table, UNBIASED_INCLUSIVE).values():
        assert each.slope.note == each.resolution.note == each.beta.note == note
        json.dumps(each.beta.as_json(), allow_nan=False)


def test_responses_that_fall_faster_than_1_over_pt_have_no_corrected_resolution():
    each = measured(pulled_table(1.5), GEN_PT_INTERVALS[1])["pfn"]
    assert each.slope.value == pytest.approx(-1.5, abs=0.2)
    assert each.resolution.value is None
    assert "undefined" in each.resolution.note


def test_equal_responses_have_slope_0():
    table = calibrated_table(2000).with_columns(jetPt=pl.col("genJetPt"), log_factor_pfn=pl.lit(0.0))
    each = measured(table, UNBIASED_INCLUSIVE)["pfn"]
    assert (each.slope.value, each.slope.uncertainty, each.resolution.value) == (0, 0, 0)
    assert each.beta.note == "the baseline is 0"
