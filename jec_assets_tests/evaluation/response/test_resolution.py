from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.bins import FLAVORS, INCLUSIVE
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.resolution import BINS, Resolution, relative_width, resolution
from jec_assets.evaluation.sample import Sample
from jec_assets_tests.evaluation.synthetic import calibrated_table


def measured(table: pl.DataFrame) -> dict[tuple[str, str], Resolution]:
    jets = CalibratedJets.from_table(table)
    results = resolution(jets, Resampling().draws(jets.event), (INCLUSIVE,))
    return {(each.region.name, each.correction): each for each in results}


def sample(responses: np.ndarray, weight: np.ndarray | None = None) -> Sample:
    jets = len(responses)
    return Sample({"standard": responses}, np.full(jets, 100.0), np.ones((1, jets), np.uint8), weight)


def test_width_by_hand():
    width = relative_width(sample(np.array([0.8, 1.0, 1.2, 1.4, 1.6])), "standard")
    assert width == pytest.approx([(1.4 - 1.0) / 1.2])


def test_width_of_the_jets_that_weigh_something():
    weight = np.array([1.0, 1, 0, 1, 1, 0, 1])
    width = relative_width(sample(np.array([0.8, 1.0, 5, 1.2, 1.4, 0.1, 1.6]), weight), "standard")
    assert width == pytest.approx([(1.4 - 1.0) / 1.2])


def test_of_a_normal_response():
    responses = np.random.default_rng(0).normal(1, 0.1, 100_000)
    assert relative_width(sample(responses), "standard") == pytest.approx([0.1349], rel=0.02)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0.3, 0.7, 1.1, 1.0 / 3.0]) | st.floats(0.3, 3))
def test_responses_that_are_equal_up_to_rounding_have_no_width_to_improve(constant: float):
    jets = CalibratedJets.from_table(calibrated_table(500))
    equal = replace(
        jets, jet_pt=jets.gen_pt * constant, log_factors={name: np.zeros(len(jets)) for name in jets.log_factors}
    )
    results = resolution(equal, Resampling(3).draws(jets.event), (INCLUSIVE,))
    assert {(each.resolution.value, each.resolution.uncertainty) for each in results} == {(0.0, 0.0)}
    assert {each.beta.note for each in results} == {"the baseline is 0"}


def test_all_flavors_of_a_region_and_interval_enter():
    table = calibrated_table(3000)
    each = measured(table)["barrel", "standard"]
    selected = table.filter((pl.col("genJetEta").abs() < 1.3) & (pl.col("genJetPt") >= 30))
    low, median, high = np.quantile((selected["jetPt"] / selected["genJetPt"]).to_numpy(), (0.25, 0.5, 0.75))
    assert each.resolution.n == len(selected)
    assert each.resolution.value == pytest.approx((high - low) / median, rel=1e-5)


def test_beta_is_the_share_of_width_that_is_gone():
    results = measured(calibrated_table(20_000))
    for region in ("barrel", "endcap"):
        standard, network = results[region, "standard"], results[region, "particle_net"]
        assert (standard.beta.value, standard.beta.uncertainty) == (0, 0)
        assert network.beta.value == pytest.approx(1 - network.resolution.value / standard.resolution.value)
        assert network.beta.value == pytest.approx(0.2, abs=0.05)
        assert network.ratio.value == pytest.approx(1 - network.beta.value)
        assert network.ratio.uncertainty == network.beta.uncertainty
        assert network.beta.uncertainty < standard.resolution.uncertainty / standard.resolution.value  # paired


@settings(max_examples=10, deadline=None)
@given(st.floats(-0.5, 0.5))
def test_scaling_all_responses_leaves_beta_unchanged(shift: float):
    jets = CalibratedJets.from_table(calibrated_table(1500))
    draws = Resampling(5).draws(jets.event)
    scaled = replace(jets, log_factors={name: factor + shift for name, factor in jets.log_factors.items()})
    for before, after in zip(
        resolution(jets, draws, (INCLUSIVE,)), resolution(scaled, draws, (INCLUSIVE,)), strict=True
    ):
        assert after.resolution.value == pytest.approx(before.resolution.value)
        assert after.beta.value == pytest.approx(before.beta.value, abs=1e-9)


def test_figure_10_has_19_bins_a_region():
    jets = CalibratedJets.from_table(calibrated_table(2000))
    results = resolution(jets, Resampling(3).draws(jets.event), BINS)
    assert len(results) == 2 * 19 * 3
    in_bins = sum(each.resolution.n for each in results if each.correction == "standard")
    assert in_bins == np.count_nonzero((jets.gen_pt >= 20) & (jets.gen_pt < 3000))


@pytest.mark.parametrize(("jets", "note"), [(0, "no jets"), (1, "n = 1")])
def test_hardly_any_jets_are_no_crash(jets: int, note: str):
    table = calibrated_table(100).filter((pl.col("genJetEta").abs() < 1.3) & (pl.col("genJetPt") > 30)).head(jets)
    results = measured(table)
    for name in ("standard", "pfn"):
        each = results["barrel", name]
        assert (each.resolution.value, each.resolution.note) == (None, note)
        assert (each.beta.value, each.beta.note) == (None, note)
        assert each.ratio == each.beta
        assert results["endcap", name].resolution.note == "no jets"
        json.dumps(each.resolution.as_json(), allow_nan=False)


def test_equal_responses_have_width_0_and_nothing_to_improve():
    table = calibrated_table(500).with_columns(jetPt=pl.col("genJetPt"), log_factor_pfn=pl.lit(0.0))
    each = measured(table)["barrel", "pfn"]
    assert (each.resolution.value, each.resolution.uncertainty) == (0, 0)
    assert each.beta.note == "the baseline is 0"


def test_each_flavor_has_its_own_resolution():
    table = calibrated_table(6000)
    jets = CalibratedJets.from_table(table)
    results = resolution(jets, Resampling(3).draws(jets.event), (INCLUSIVE,), tuple(FLAVORS))
    assert [each.flavor for each in results[::3]] == 2 * list(FLAVORS)
    gluons = next(each for each in results if each.flavor == "g")
    selected = table.filter(
        (pl.col("genJetEta").abs() < 1.3) & (pl.col("genJetPt") >= 30) & (pl.col("flavor") == FLAVORS["g"])
    )
    low, median, high = np.quantile((selected["jetPt"] / selected["genJetPt"]).to_numpy(), (0.25, 0.5, 0.75))
    assert gluons.resolution.n == gluons.effective_jets == len(selected)
    assert gluons.resolution.value == pytest.approx((high - low) / median, rel=1e-5)


@settings(max_examples=5, deadline=None)
@given(st.floats(1e-6, 1e6))
def test_equal_weights_are_none(weight: float):
    jets = CalibratedJets.from_table(calibrated_table(1500))
    draws = Resampling(5).draws(jets.event)
    weighted = replace(jets, weight=np.full(len(jets), weight))
    for plain, each in zip(
        resolution(jets, draws, (INCLUSIVE,)), resolution(weighted, draws, (INCLUSIVE,)), strict=True
    ):
        assert each.resolution.value == pytest.approx(plain.resolution.value)
        assert each.beta.uncertainty == pytest.approx(plain.beta.uncertainty, abs=1e-9)
        assert each.effective_jets == pytest.approx(plain.effective_jets)


def test_event_weights_leave_the_jets_of_low_pt():
    jets = CalibratedJets.from_table(calibrated_table(6000))
    draws = Resampling(5).draws(jets.event)
    plain, weighted = (resolution(each, draws, (INCLUSIVE,))[0] for each in (jets, jets.weighted_by_event()))
    assert weighted.resolution.value > plain.resolution.value  # low pT is measured worst
    assert weighted.effective_jets < 0.3 * plain.effective_jets
