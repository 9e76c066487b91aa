from __future__ import annotations

import pytest

from jec_assets.evaluation.networks.search import EvaluatedTrial
from jec_assets.plots.parallel_coordinates import parallel_coordinates
from jec_assets_tests.plots.figures import check_layout, legend, texts


def trials(number: int) -> list[EvaluatedTrial]:
    return [
        EvaluatedTrial(
            each,
            {"units": (50, 100, 400)[each % 3], "dropout": 0.01 * each, "optimizer": ("Adam", "Ranger")[each % 2]},
            0.07 + 0.001 * ((each + 2) % number),
            0.07,
        )
        for each in range(number)
    ]


@pytest.mark.parametrize("number", [1, 3, 60])
def test_a_line_a_trial_and_the_chosen_one_on_top(number: int):
    tried = trials(number)
    figure = parallel_coordinates("particle_net", tried)
    axes = figure.axes[0]
    (lines,) = axes.collections
    assert len(lines.get_segments()) == number
    chosen = min(tried, key=lambda each: each.validation_loss)
    assert legend(figure) == [f"Trial {chosen.number}, chosen"]
    assert lines.get_array().min() == lines.get_array()[-1] == chosen.validation_loss
    assert {"units", "dropout", "optimizer", "50", "Validation loss"} <= texts(figure)
    check_layout(figure)


def test_places_on_the_axes():
    figure = parallel_coordinates("pfn", trials(6))
    lines = figure.axes[0].collections[0].get_segments()
    by_number = dict(zip((3, 2, 1, 0, 5, 4), (segment[:, 1] for segment in lines), strict=True))
    assert by_number[0][1] == 0
    assert by_number[5][1] == 1
    assert by_number[1][1] == pytest.approx(0.2)
    assert by_number[1][0] == pytest.approx(0.5, abs=0.1)
    assert by_number[1][0] != by_number[4][0]
    assert by_number[3][2] > 0.8


def test_a_trial_that_diverged_does_not_fade_the_others():
    tried = [*trials(20), EvaluatedTrial(20, trials(1)[0].hyperparameters, 9.0, 9.0)]
    assert parallel_coordinates("pfn", tried).axes[0].collections[0].norm.vmax < 0.1
