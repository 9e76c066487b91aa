from __future__ import annotations

import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.response.jet_resolution import coverages, pulls, resolution_classes
from jec_assets.plots.jet_resolution import coverage, predicted_against_measured, pull_distribution
from jec_assets_tests.evaluation.regressions import perfect_regression, some
from jec_assets_tests.plots.figures import check_layout, legend, points

JETS = perfect_regression(4000)
DRAWS = Resampling(5).draws(JETS.event)


def test_pulls_beside_a_gaussian():
    figure = pull_distribution(pulls(JETS, DRAWS))
    assert legend(figure) == ["PFN", "Unit Gaussian"]
    check_layout(figure)


def test_coverage_in_percent():
    covered = coverages(JETS, DRAWS)
    figure = coverage(covered)
    expected = [
        100 * each.inside.value
        for each in covered
        if (each.region.name, each.flavor) == ("barrel", "all") and each.inside.n >= 50
    ]
    assert [y for _, y in points(figure.axes[0])["PFN"]] == pytest.approx(expected)
    check_layout(figure)


def test_a_single_bin_with_enough_jets_is_drawn_in_its_frame():
    few = some(JETS, JETS.jet_pt < 45)
    figure = coverage(coverages(few, Resampling(5).draws(few.event)))
    assert len(points(figure.axes[0])["PFN"]) == 1
    assert figure.axes[0].get_xlim() == (40, 50)
    check_layout(figure)


def test_predicted_against_measured():
    classes = resolution_classes(JETS, DRAWS)
    figure = predicted_against_measured(classes)
    expected = [(each.predicted.value, each.measured.value) for each in classes if each.region.name == "endcap"]
    assert points(figure.axes[1])["PFN"] == expected
    check_layout(figure)


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_leave_the_frames_empty(jets: int):
    few, draws = some(JETS, slice(jets)), DRAWS[:, :jets]
    for figure in (
        pull_distribution(pulls(few, draws)),
        coverage(coverages(few, draws)),
        predicted_against_measured(resolution_classes(few, draws)),
    ):
        check_layout(figure)
