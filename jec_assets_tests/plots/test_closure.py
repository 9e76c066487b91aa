from __future__ import annotations

import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.response.closure import ABS_ETA_EDGES, Binned, Closure, closure
from jec_assets.plots.closure import closure_panels
from jec_assets_tests.evaluation.regressions import perfect_regression, some
from jec_assets_tests.plots.figures import check_layout, legend, points, texts


def measured(jets: int) -> tuple[Closure, ...]:
    some_jets = some(perfect_regression(4000), slice(jets))
    return closure(some_jets, Resampling(5).draws(some_jets.event))


def test_a_panel_per_bin_of_eta():
    closures = measured(4000)
    figure = closure_panels(closures, "reconstructed")
    assert len(figure.axes) == len(ABS_ETA_EDGES) - 1
    assert legend(figure) == ["Standard correction", "PFN"]
    first = [each.ratio.value for each in closures if each.correction == "pfn" and each.abs_eta.name == "0-0.8"]
    drawn = [y for _, y in points(figure.axes[0])["PFN"]]
    assert drawn == [value for value in first[: len(drawn)] if value is not None]
    assert "selection-biased" not in texts(figure)
    check_layout(figure)


def test_bins_of_the_true_pt_are_shaded_where_biased():
    figure = closure_panels(measured(4000), "generated")
    assert len(figure.axes) == 2
    assert "selection-biased" in texts(figure)
    check_layout(figure)


@pytest.mark.parametrize("jets", [0, 1])
@pytest.mark.parametrize("binned", ["reconstructed", "generated"])
def test_hardly_any_jets_leave_the_frames_empty(jets: int, binned: Binned):
    figure = closure_panels(measured(jets), binned)
    assert not any(points(figure.axes[0]).values())
    check_layout(figure)
