from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.bins import GEN_PT_INTERVALS, INCLUSIVE, REGIONS
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.flavor import FlavorDependence, flavor_dependence
from jec_assets.plots.flavor import flavor_response
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.plots.figures import check_layout, legend, points, texts


def measured(jets: int) -> tuple[FlavorDependence, ...]:
    calibrated = CalibratedJets.from_table(calibrated_table(3000).head(jets))
    return flavor_dependence(calibrated, Resampling(5).draws(calibrated.event), 1)


def test_each_flavor_has_a_point_per_correction():
    results = measured(3000)
    figure = flavor_response(results, REGIONS[0], [INCLUSIVE])
    (axes,) = figure.axes
    drawn = points(axes)
    assert list(drawn) == legend(figure) == ["Standard correction", "PFN", "ParticleNet"]
    standard = next(each for each in results if each.region == REGIONS[0] and each.interval == INCLUSIVE)
    assert [y for _, y in drawn["Standard correction"]] == [median.value for median in standard.medians.values()]
    assert [round(x) for x, _ in drawn["PFN"]] == [0, 1, 2, 3, 4, 5]
    assert len({x for each in drawn.values() for x, _ in each}) == 18  # none hides another
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["u", "d", "s", "c", "b", "g"]
    low, high = axes.get_ylim()
    assert all(low < y < high for each in drawn.values() for _, y in each)
    assert {"Simulation", "Median response", "Jet flavor"} <= texts(figure)
    check_layout(figure)


def test_a_panel_for_each_interval():
    figure = flavor_response(measured(3000), REGIONS[1], GEN_PT_INTERVALS)
    assert len(figure.axes) == 4
    assert any("30 \\leq" in text for text in texts(figure))
    check_layout(figure)


JETS = CalibratedJets.from_table(calibrated_table(600))
DRAWS = Resampling(3).draws(JETS.event)


def drawn_for(jets: CalibratedJets) -> dict[str, list[float]]:
    """The heights of all points of a correction in the barrel."""
    (axes,) = flavor_response(flavor_dependence(jets, DRAWS, 1, (INCLUSIVE,)), REGIONS[0], [INCLUSIVE]).axes
    low, high = axes.get_ylim()
    heights = {name: [y for _, y in each] for name, each in points(axes).items()}
    assert all(low < y < high for each in heights.values() for y in each)
    return heights


@settings(max_examples=5, deadline=None)
@given(st.floats(0.5, 2))
def test_scaling_all_responses_scales_what_is_drawn(factor: float):
    before, after = drawn_for(JETS), drawn_for(replace(JETS, jet_pt=factor * JETS.jet_pt))
    assert list(before) == list(after)
    for name, heights in before.items():
        assert after[name] == pytest.approx([factor * y for y in heights])


@settings(max_examples=5, deadline=None)
@given(st.floats(0.5, 2), st.integers(0, 100))
def test_flavors_with_equal_responses_are_drawn_equally_high(response: float, seed: int):
    flavor = np.random.default_rng(seed).permutation(JETS.flavor)
    heights = drawn_for(replace(JETS, flavor=flavor, jet_pt=response * JETS.gen_pt))
    assert heights["Standard correction"] == pytest.approx(6 * [response])


@pytest.mark.parametrize(("jets", "note"), [(0, "no jets"), (1, "n = 1")])
def test_hardly_any_jets_are_said_to_be_so(jets: int, note: str):
    results = measured(jets)
    told = [texts(flavor_response(results, region, [INCLUSIVE])) for region in REGIONS]
    assert any(note in each for each in told)
    check_layout(flavor_response(results, REGIONS[0], GEN_PT_INTERVALS))
