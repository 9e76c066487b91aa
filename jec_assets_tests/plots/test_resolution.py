from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.bins import FLAVORS, REGIONS
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.resolution import BINS, Resolution, resolution
from jec_assets.plots.resolution import MIN_JETS_PER_POINT, flavor_resolution, resolution_curves
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.plots.figures import check_layout, legend, points, texts


def measured(jets: int) -> tuple[Resolution, ...]:
    calibrated = CalibratedJets.from_table(calibrated_table(4000).head(jets))
    return resolution(calibrated, Resampling(5).draws(calibrated.event), BINS)


def test_curves_and_ratios():
    results = measured(4000)
    figure = resolution_curves(results, REGIONS[0])
    upper, lower = figure.axes
    drawn = [each for each in results if each.region == REGIONS[0] and each.resolution.n >= MIN_JETS_PER_POINT]
    pfn = [each for each in drawn if each.correction == "pfn"]
    assert 0 < len(pfn) <= len(BINS)
    assert list(points(upper)) == legend(figure) == ["Standard correction", "PFN", "ParticleNet"]
    assert [y for _, y in points(upper)["PFN"]] == [each.resolution.value for each in pfn]
    assert list(points(lower)) == ["PFN", "ParticleNet"]
    assert [y for _, y in points(lower)["PFN"]] == [each.ratio.value for each in pfn]
    for (x, _), each in zip(points(upper)["PFN"], pfn, strict=True):
        assert each.interval.contains(x)
    assert upper.get_xscale() == "log"
    assert lower.get_xlabel() == r"$p_\mathrm{T,gen}$ [GeV]"
    assert upper.get_ylabel() == "IQR / median response"
    assert upper.get_ylim()[0] == 0
    check_layout(figure)


@settings(max_examples=5, deadline=None)
@given(st.floats(0.5, 2))
def test_scaling_all_responses_moves_no_point(factor: float):
    jets = CalibratedJets.from_table(calibrated_table(2000))
    draws = Resampling(3).draws(jets.event)
    before, after = (
        resolution_curves(resolution(each, draws, BINS), REGIONS[0]).axes
        for each in (jets, replace(jets, jet_pt=factor * jets.jet_pt))
    )
    for axes, scaled in zip(before, after, strict=True):
        assert list(points(axes)) == list(points(scaled))
        for name, drawn in points(scaled).items():
            np.testing.assert_allclose(drawn, points(axes)[name])
        assert scaled.get_ylim() == pytest.approx(axes.get_ylim())


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_leave_the_frame_empty(jets: int):
    figure = resolution_curves(measured(jets), REGIONS[0])
    assert points(figure.axes[0]) == {}
    check_layout(figure)


def test_only_bins_that_the_cut_on_jetpt_biases_are_shaded():
    results = measured(4000)
    upper, lower = resolution_curves(results, REGIONS[0]).axes
    for axes in (upper, lower):
        (shade,) = axes.patches
        assert shade.get_extents().transformed(axes.transData.inverted()).x1 == pytest.approx(50)
    unbiased = [each for each in results if each.interval.low >= 50]
    assert not any(axes.patches for axes in resolution_curves(unbiased, REGIONS[0]).axes)


def flavors_measured(jets: int) -> tuple[Resolution, ...]:
    calibrated = CalibratedJets.from_table(calibrated_table(20_000).head(jets))
    return resolution(calibrated, Resampling(5).draws(calibrated.event), BINS, tuple(FLAVORS))


def test_a_panel_of_ratios_for_each_flavor():
    results = flavors_measured(20_000)
    figure = flavor_resolution(results, REGIONS[1])
    assert len(figure.axes) == 6
    assert legend(figure) == ["PFN", "ParticleNet"]
    assert {f"{flavor} jets" for flavor in FLAVORS} <= texts(figure)
    gluons = [
        each
        for each in results
        if (each.region, each.flavor, each.correction) == (REGIONS[1], "g", "pfn")
        and each.interval.low >= 30
        and each.resolution.n >= MIN_JETS_PER_POINT
    ]
    drawn = points(figure.axes[-1])["PFN"]
    assert [y for _, y in drawn] == [each.ratio.value for each in gluons]
    low, high = figure.axes[-1].get_xlim()
    assert all(low < x < high for x, _ in drawn)
    check_layout(figure)


@pytest.mark.parametrize("jets", [0, 1])
def test_a_flavor_of_few_jets_is_said_to_be_so(jets: int):
    figure = flavor_resolution(flavors_measured(jets), REGIONS[0])
    assert "< 50 jets a bin" in texts(figure)
    check_layout(figure)
