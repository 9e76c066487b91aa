from __future__ import annotations

import numpy as np
import pytest

from jec_assets.evaluation.bins import FLAVORS
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.response_curves import EDGES, MedianResponse, Quantity, median_responses
from jec_assets.evaluation.response.response_curves import response_maps as maps_of
from jec_assets.plots.response import response_curves, response_maps, response_per_flavor
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.plots.figures import check_layout, legend, points, texts


def jets(count: int) -> CalibratedJets:
    return CalibratedJets.from_table(calibrated_table(6000).head(count))


def measured(count: int, quantity: Quantity) -> tuple[MedianResponse, ...]:
    return median_responses(jets(count), Resampling(5).draws(jets(count).event), quantity)


@pytest.mark.parametrize("quantity", EDGES)
def test_a_point_per_bin_with_enough_jets(quantity: Quantity):
    results = measured(6000, quantity)
    figure = response_curves(results)
    (axes,) = figure.axes
    assert list(points(axes)) == legend(figure) == ["Standard correction", "PFN", "ParticleNet"]
    expected = [e.median for e in results if (e.flavor, e.correction) == ("all", "pfn") and e.median.n >= 50]
    assert [y for _, y in points(axes)["PFN"]] == [median.value for median in expected]
    assert len(expected) > 3
    assert ("selection-biased" in texts(figure)) == (quantity == "gen_pt")
    check_layout(figure)


@pytest.mark.parametrize("quantity", ["gen_pt", "rho"])
def test_a_panel_per_flavor(quantity: Quantity):
    results = measured(6000, quantity)
    figure = response_per_flavor(results)
    assert len(figure.axes) == len(FLAVORS)
    gluons = [e.median for e in results if (e.flavor, e.correction) == ("g", "pfn") and e.median.n >= 50]
    assert [y for _, y in points(figure.axes[-1])["PFN"]] == [median.value for median in gluons]
    assert set(FLAVORS) <= texts(figure)
    check_layout(figure)


def test_a_map_per_correction_blank_where_there_are_few_jets_and_centered_on_1():
    maps = maps_of(jets(6000))
    figure = response_maps(maps)
    assert {"Standard correction", "PFN", "ParticleNet"} <= texts(figure)
    for axes, each in zip(figure.axes, maps, strict=False):
        (mesh,) = axes.collections
        np.testing.assert_array_equal(np.ma.getmaskarray(mesh.get_array()), np.isnan(each.median).T)
        low, high = mesh.get_clim()
        assert (low + high) / 2 == pytest.approx(1)
    check_layout(figure)


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_jets_leave_the_frames_empty(count: int):
    for quantity in ("gen_pt", "rho"):
        results = measured(count, quantity)
        figures = response_curves(results), response_per_flavor(results)
        assert all(not any(points(figure.axes[0]).values()) for figure in figures)
        for figure in figures:
            check_layout(figure)
    check_layout(response_maps(maps_of(jets(count))))
