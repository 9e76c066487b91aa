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
from jec_assets.evaluation.response.flavor import FlavorDependence, flavor_dependence, sum_of_absolute_errors
from jec_assets_tests.evaluation.synthetic import calibrated_table

ONE_INTERVAL = (INCLUSIVE,)


def measured(table: pl.DataFrame) -> dict[tuple[str, str], FlavorDependence]:
    jets = CalibratedJets.from_table(table)
    results = flavor_dependence(jets, Resampling().draws(jets.event), 1, ONE_INTERVAL)
    return {(each.region.name, each.correction): each for each in results}


def test_sum_of_absolute_errors_by_hand():
    assert sum_of_absolute_errors(np.array([1.02, 1.02, 1.0, 1.0, 0.98, 0.98])) == pytest.approx(0.08)


@settings(deadline=None)
@given(st.floats(0.5, 2))
def test_identical_flavors_have_none(median: float):
    assert sum_of_absolute_errors(np.full(6, median)) == pytest.approx(0, abs=1e-12)


def test_medians_are_those_of_the_selected_jets():
    table = calibrated_table(3000)
    result = measured(table)["endcap", "pfn"]
    selected = table.filter(
        (pl.col("genJetEta").abs() >= 1.3) & (pl.col("genJetPt") >= 30) & (pl.col("flavor") == FLAVORS["g"])
    )
    expected = (selected["log_factor_pfn"].cast(float).exp() * selected["jetPt"] / selected["genJetPt"]).median()
    assert result.medians["g"].value == pytest.approx(expected)
    assert result.medians["g"].n == len(selected)
    medians = np.array([each.value for each in result.medians.values()])
    assert result.sae.value == pytest.approx(np.abs(medians - medians.mean()).sum())


def test_the_standard_correction_improves_nothing_over_itself():
    for (_, correction), each in measured(calibrated_table(6000)).items():
        if correction == "standard":
            assert (each.alpha.value, each.alpha.uncertainty) == (0, 0)


def test_alpha_is_the_share_of_scatter_that_is_gone():
    # ParticleNet removes the flavors' shifts, the PFN half of them.
    results = measured(calibrated_table(60_000))
    for region in ("barrel", "endcap"):
        standard, pfn = (results[region, name] for name in ("standard", "pfn"))
        assert pfn.alpha.value == pytest.approx(1 - pfn.sae.value / standard.sae.value)
        assert pfn.alpha.value == pytest.approx(0.5, abs=4 * pfn.alpha.uncertainty)
        assert 0 < pfn.alpha.uncertainty < 0.1
        assert results[region, "particle_net"].alpha.value > 0.7


def test_unknown_flavors_do_not_enter():
    table = calibrated_table(4000)
    strange = table.with_columns(
        log_factor_pfn=pl.when(pl.col("flavor") == 0).then(3.0).otherwise(pl.col("log_factor_pfn"))
    )
    before, after = (measured(each)["barrel", "pfn"] for each in (table, strange))
    assert before.sae == after.sae


@settings(max_examples=10, deadline=None)
@given(st.floats(-0.3, 0.3))
def test_scaling_all_responses_leaves_alpha_unchanged(shift: float):
    jets = CalibratedJets.from_table(calibrated_table(2500))
    draws = Resampling(5).draws(jets.event)
    scaled = replace(jets, log_factors={name: factor + shift for name, factor in jets.log_factors.items()})
    for before, after in zip(
        flavor_dependence(jets, draws, 1, ONE_INTERVAL),
        flavor_dependence(scaled, draws, 1, ONE_INTERVAL),
        strict=True,
    ):
        assert after.alpha.value == (None if before.alpha.value is None else pytest.approx(before.alpha.value))
        assert after.sae.value == pytest.approx(np.exp(shift) * before.sae.value)


def test_alpha_needs_a_hundred_jets_of_every_flavor_and_names_those_that_lack():
    table = calibrated_table(6000).filter((pl.col("flavor") != 5) | (pl.int_range(pl.len()) < 300))
    each = measured(table)["barrel", "pfn"]
    few = each.medians["b"].n
    assert 0 < few < 100
    assert each.alpha.value is None
    assert each.alpha.note == "< 100 jets of b"
    assert each.sae.value is not None


def test_an_absent_flavor_is_named():
    each = measured(calibrated_table(3000).filter(pl.col("flavor") != 3))["barrel", "standard"]
    assert each.medians["s"].note == "no jets"
    assert each.sae.note == "no jets of s"
    assert each.noise_floor.note == each.alpha.note == "no jets of s"


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_are_no_crash(jets: int):
    results = measured(calibrated_table(100).head(jets))
    assert len(results) == 2 * 3
    for each in results.values():
        assert each.sae.value is None
        assert each.sae.note.startswith("no jets")
        assert all(median.note in ("no jets", "n = 1") for median in each.medians.values())
        json.dumps(each.alpha.as_json(), allow_nan=False)


def test_equal_responses_have_nothing_to_improve():
    table = calibrated_table(6000).with_columns(jetPt=pl.col("genJetPt"), log_factor_pfn=pl.lit(0.0))
    each = measured(table)["barrel", "pfn"]
    assert each.sae.value == 0
    assert each.alpha.note == "the baseline is 0"


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0.3, 0.7, 1.1, 1.0 / 3.0]) | st.floats(0.3, 3))
def test_responses_that_are_equal_up_to_rounding_have_nothing_to_improve(constant: float):
    jets = CalibratedJets.from_table(calibrated_table(6000))
    equal = replace(
        jets,
        jet_pt=jets.gen_pt * constant,
        log_factors={name: np.full(len(jets), 0.01 * place) for place, name in enumerate(jets.log_factors)},
    )
    results = flavor_dependence(equal, Resampling(3).draws(jets.event), 1, ONE_INTERVAL)
    assert {(each.sae.value, each.sae.uncertainty) for each in results} == {(0.0, 0.0)}
    assert {(each.alpha.value, each.alpha.note) for each in results} == {(None, "the baseline is 0")}


def test_the_errors_of_a_flavor_that_one_event_has_are_not_known():
    table = calibrated_table(6000)
    strange = table.filter(pl.col("flavor") == 3, pl.col("genJetEta").abs() < 1.3, pl.col("genJetPt") > 30)
    table = pl.concat(
        [table.filter(pl.col("flavor") != 3), strange.head(3).with_columns(event_hash=pl.lit(7, pl.UInt64))]
    )
    each = measured(table)["barrel", "pfn"]
    assert each.medians["s"].note == "n = 3: too few events"
    assert each.sae.value is not None
    assert each.sae.uncertainty is None


@settings(max_examples=5, deadline=None)
@given(st.floats(1e-6, 1e6))
def test_equal_weights_are_none(weight: float):
    jets = CalibratedJets.from_table(calibrated_table(4000))
    draws = Resampling(5).draws(jets.event)
    weighted = replace(jets, weight=np.full(len(jets), weight))
    for plain, each in zip(
        flavor_dependence(jets, draws, 1, ONE_INTERVAL),
        flavor_dependence(weighted, draws, 1, ONE_INTERVAL),
        strict=True,
    ):
        assert each.sae.value == pytest.approx(plain.sae.value)
        assert each.sae.uncertainty == pytest.approx(plain.sae.uncertainty)
        assert each.noise_floor.value == pytest.approx(plain.noise_floor.value)
        assert each.alpha.value == (None if plain.alpha.value is None else pytest.approx(plain.alpha.value))
        assert each.effective_jets == pytest.approx(plain.effective_jets)


def test_weights_decide_which_jets_are_seen_and_how_many_they_are_worth():
    table = calibrated_table(8000)
    jets = CalibratedJets.from_table(table)
    draws = Resampling(5).draws(jets.event)
    kept = jets.gen_pt > 200
    weighted = flavor_dependence(replace(jets, weight=kept.astype(float)), draws, 1, ONE_INTERVAL)
    few = CalibratedJets.from_table(table.filter(kept))
    for each, expected in zip(weighted, flavor_dependence(few, draws[:, kept], 1, ONE_INTERVAL), strict=True):
        assert each.sae == replace(expected.sae, n=each.sae.n)
        assert each.effective_jets == pytest.approx(expected.sae.n)


def test_few_effective_jets_have_no_alpha():
    jets = CalibratedJets.from_table(calibrated_table(8000))
    plain, weighted = (
        flavor_dependence(each, Resampling(5).draws(jets.event), 1, ONE_INTERVAL)[1]
        for each in (jets, jets.weighted_by_event())
    )
    assert plain.alpha.value is not None
    assert plain.effective_jets == plain.sae.n == weighted.sae.n
    assert weighted.effective_jets < plain.effective_jets / 3
    assert weighted.alpha.value is None
    assert weighted.alpha.note.startswith("< 100 effective jets of ")


def test_equal_seeds_give_equal_numbers_and_others_other_shuffles():
    jets = CalibratedJets.from_table(calibrated_table(4000))
    first, again, other = (flavor_dependence(jets, Resampling(5).draws(jets.event), seed) for seed in (1, 1, 2))
    assert first == again
    assert first[0].sae == other[0].sae
    assert first[0].noise_floor.value != other[0].noise_floor.value
