from __future__ import annotations

from itertools import pairwise

import pytest

from jec_assets.correction import StandardCorrection
from jec_assets.correction.standard import ResponseCurve
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.response.response_curves import MIN_JETS
from jec_assets.evaluation.response.standard_correction import (
    CURVES,
    CorrectedJets,
    CorrectionResult,
    View,
    correction_results,
)
from jec_assets.plots.correction import closure_curves, offset_slopes, response_factors
from jec_assets_tests.evaluation.corrected_table import corrected_table, found_correction
from jec_assets_tests.plots.figures import check_layout, legend, points

MANY = tuple(0.25 * edge for edge in range(12))
CORRECTION = StandardCorrection(
    (0.0, 1.3, 2.5),
    (0.5, 0.45),
    MANY,
    tuple(ResponseCurve((50.0, 200.0, 900.0), (1.2 - edge / 50, 1.1, 1.05)) for edge in MANY[1:]),
    50.0,
)


def measured(jets: int, view: View) -> tuple[CorrectionResult, ...]:
    corrected = CorrectedJets.from_table(corrected_table(jets), found_correction())
    return correction_results(corrected, Resampling(5).draws(corrected.event), view)


@pytest.mark.parametrize("view", CURVES)
def test_closure_resolution_and_ratio_are_drawn_where_there_are_jets(view: View) -> None:
    results = measured(6000, view)
    figure = closure_curves(results, view)
    upper, middle, lower = figure.axes
    ours = [each for each in results if each.correction == "derived" and each.median.n >= MIN_JETS]
    assert ours
    assert list(points(upper)) == legend(figure) == ["In the files", "Derived here"]
    assert [y for _, y in points(upper)["Derived here"]] == [each.median.value for each in ours]
    assert [y for _, y in points(middle)["Derived here"]] == [each.width.value for each in ours]
    assert [y for _, y in points(lower)["Derived here"]] == [each.ratio.value for each in ours]
    assert list(points(lower)) == ["Derived here"]
    for (x, _), each in zip(points(upper)["Derived here"], ours, strict=True):
        assert each.interval.contains(x)
    check_layout(figure)


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_leave_the_frames_empty(jets: int) -> None:
    figure = closure_curves(measured(jets, CURVES[0]), CURVES[0])
    assert all(not drawn for drawn in points(figure.axes[0]).values())
    check_layout(figure)


def test_curves_are_dotted_where_they_are_held_constant() -> None:
    figure = response_factors(CORRECTION)
    (axes,) = figure.axes
    assert legend(figure) == [f"{low:g}–{high:g}" for low, high in pairwise(MANY)]
    for curve, name in zip(CORRECTION.response, legend(figure), strict=True):
        (line,) = (line for line in axes.lines if line.get_label() == name)
        assert tuple(line.get_xdata()) == curve.pts
        assert tuple(line.get_ydata()) == curve.factors
    dotted = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert sorted(line.get_ydata()[0] for line in dotted) == sorted(
        factor for curve in CORRECTION.response for factor in (curve.factors[0], curve.factors[-1])
    )
    check_layout(figure)


def test_slopes_are_steps_in_eta() -> None:
    figure = offset_slopes(CORRECTION)
    (steps,) = figure.axes[0].patches
    assert steps.get_data().values.tolist() == [0.5, 0.45]
    assert steps.get_data().edges.tolist() == [0.0, 1.3, 2.5]
    check_layout(figure)
