from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.bins import FLAVORS
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.response_curves import EDGES, Quantity, median_responses, response_maps
from jec_assets_tests.evaluation.synthetic import calibrated_table

JETS = CalibratedJets.from_table(calibrated_table(8000))
DRAWS = Resampling(5).draws(JETS.event)


@pytest.mark.parametrize("quantity", EDGES)
def test_medians_are_those_of_the_selected_jets(quantity: Quantity):
    results = median_responses(JETS, DRAWS, quantity)
    assert len(results) == (len(EDGES[quantity]) - 1) * 7 * 3
    for each in results:
        if each.correction == "pfn" and each.flavor in ("all", "g"):
            chosen = each.interval.contains(getattr(JETS, quantity))
            chosen &= (JETS.gen_pt >= 50) | (quantity == "gen_pt")
            chosen &= (JETS.flavor == FLAVORS.get(each.flavor, 0)) | (each.flavor == "all")
            assert each.median.n == np.count_nonzero(chosen)
            if chosen.any():
                assert each.median.value == pytest.approx(np.median(JETS.responses("pfn")[chosen]))


@settings(max_examples=8, deadline=None)
@given(st.floats(0.7, 1.4))
def test_scaling_the_response_scales_its_medians(factor: float):
    scaled = replace(JETS, log_factors={name: value + np.log(factor) for name, value in JETS.log_factors.items()})
    for before, after in zip(median_responses(JETS, DRAWS, "rho"), median_responses(scaled, DRAWS, "rho"), strict=True):
        if before.median.value is None:
            assert after.median == before.median
        else:
            assert after.median.value == pytest.approx(factor * before.median.value)
    for before, after in zip(response_maps(JETS), response_maps(scaled), strict=True):
        np.testing.assert_allclose(after.median, factor * before.median)


def test_weights_choose_the_jets():
    half = np.where(np.arange(len(JETS)) % 2, 0.0, 1.0)
    weighted = replace(JETS, weight=half)
    first = next(each for each in median_responses(weighted, DRAWS, "abs_gen_eta") if each.correction == "pfn")
    chosen = first.interval.contains(JETS.abs_gen_eta) & (JETS.gen_pt >= 50) & (half > 0)
    assert first.median.value == pytest.approx(np.median(JETS.responses("pfn")[chosen]))


def test_a_map_has_every_jet_once_and_no_value_for_few_jets():
    maps = response_maps(JETS)
    assert [each.correction for each in maps] == list(JETS.corrections)
    for each in maps:
        inside = (JETS.gen_pt >= 20) & (JETS.gen_pt < 6500) & (JETS.abs_gen_eta < 2.5)
        assert each.jets.sum() == np.count_nonzero(inside)
        np.testing.assert_array_equal(np.isnan(each.median), each.jets < 50)
        assert np.isfinite(each.median).any()


@pytest.mark.parametrize(("jets", "notes"), [(0, {"no jets"}), (1, {"no jets", "n = 1"})])
def test_hardly_any_jets_are_told(jets: int, notes: set[str]):
    few = CalibratedJets.from_table(calibrated_table(10).head(jets))
    results = median_responses(few, Resampling(3).draws(few.event), "gen_pt")
    assert {each.median.note for each in results} == notes
    assert np.isnan(response_maps(few)[0].median).all()
