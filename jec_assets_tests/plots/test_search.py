from __future__ import annotations

import pytest

from jec_assets.evaluation.networks.search import EvaluatedTrial
from jec_assets.plots.search import best_so_far, training_history, trial_losses
from jec_assets.training.result import EpochFigures
from jec_assets_tests.plots.figures import check_layout, legend


def trial(number: int, loss: float) -> EvaluatedTrial:
    history = tuple(
        EpochFigures(epoch, loss * (1.2 + 1 / epoch), loss * (1 + 0.5 / epoch), 1e-3, 1.0, 1e4) for epoch in (1, 2, 3)
    )
    return EvaluatedTrial(number, {"layers": number + 1}, loss, 1.01 * loss, history)


TRIALS = {"pfn": [trial(0, 0.071), trial(1, 0.069)], "particle_net": [trial(0, 0.066), trial(1, 0.068)]}


def test_every_trial_has_both_losses_and_the_chosen_one_a_ring():
    figure = trial_losses(TRIALS, 0.078)
    (axes,) = figure.axes
    lines = {str(line.get_label()): line.get_xydata().tolist() for line in axes.lines}
    assert lines["PFN, validation"] == [[0, 0.071], [1, 0.069]]
    assert lines["ParticleNet, test"] == [[0, 0.066 * 1.01], [1, 0.068 * 1.01]]
    rings = [line.get_xydata().tolist() for line in axes.lines if line.get_markersize() == 15]
    assert rings == [[[1, 0.069]], [[0, 0.066]]]
    assert lines["Standard, test"][0][1] == 0.078
    assert "Chosen" in legend(figure)
    assert axes.get_xlabel() == "Trial"
    check_layout(figure)


@pytest.mark.parametrize(("worst", "scale"), [(0.09, "linear"), (9.0, "log")])
def test_losses_far_apart_get_a_logarithmic_axis(worst: float, scale: str):
    figure = trial_losses({"pfn": [trial(0, 0.07), trial(1, worst)]}, 0.078)
    assert figure.axes[0].get_yscale() == scale
    check_layout(figure)


def test_history_shows_the_chosen_trial_in_full_and_the_others_behind_it():
    figure = training_history("particle_net", [*TRIALS["particle_net"], trial(2, 5.0)], chosen=0)
    (axes,) = figure.axes
    assert legend(figure) == ["Trial 0, validation", "Trial 0, training", "Others, validation"]
    assert len(axes.lines) == 4
    best = [epoch.validation_loss for epoch in TRIALS["particle_net"][0].history]
    assert axes.lines[0].get_ydata().tolist() == best
    assert axes.get_ylim()[1] < 0.3  # a diverged trial doesn't set the scale
    assert axes.get_xlabel() == "Epoch"
    check_layout(figure)


def test_lowest_loss_so_far_never_rises():
    figure = best_so_far({"pfn": [trial(1, 0.071), trial(0, 0.07), trial(2, 0.065), trial(3, 5.0)]})
    (axes,) = figure.axes
    steps, points = axes.lines
    assert steps.get_xydata().tolist() == [[0, 0.07], [1, 0.07], [2, 0.065], [3, 0.065]]
    assert points.get_xydata().tolist() == [[0, 0.07], [1, 0.071], [2, 0.065], [3, 5.0]]
    assert axes.get_ylim()[1] < 0.1
    check_layout(figure)


def test_four_families_have_room():
    families = ("pfn", "particle_net", "pfn_committee", "particle_transformer")
    for figure in (
        trial_losses(dict.fromkeys(families, TRIALS["pfn"]), 0.078),
        best_so_far(dict.fromkeys(families, TRIALS["pfn"])),
    ):
        check_layout(figure)
