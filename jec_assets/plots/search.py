"""Figures of the hyperparameter search: losses of all trials, and how the chosen one was trained.

Belongs here: trials by number and epoch. Does not belong here: hyperparameters (`parallel_coordinates.py`).
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from jec_assets.plots.style import (
    GREY,
    INK,
    appearance,
    cms_style,
    label,
    legend_below,
    new_figure,
    readable_log_axis,
    room,
    whole_numbers,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jec_assets.evaluation.networks.search import EvaluatedTrial

LOG_FROM_RATIO = 3.0  # losses that differ by more are drawn on a logarithmic axis


def trial_losses(trials: Mapping[str, Sequence[EvaluatedTrial]], standard_loss: float) -> Figure:
    """Validation and test loss of every trial by number, per family; the lowest validation loss of each is ringed."""
    losses = [loss for tried in trials.values() for each in tried for loss in (each.validation_loss, each.test_loss)]
    with cms_style():
        figure = new_figure()
        axes = figure.subplots()
        for family, tried in trials.items():
            _draw_trials(axes, family, tried)
        axes.axhline(standard_loss, color=INK, linestyle=":", label="Standard, test")
        axes.plot([], [], "o", color=INK, fillstyle="none", markersize=13, label="Chosen")
        if losses and max(losses) > LOG_FROM_RATIO * min(losses):
            readable_log_axis(axes, "y")
        else:
            axes.set_ylim(room([*losses, standard_loss]))
        whole_numbers(axes)
        axes.set_xlabel("Trial")
        axes.set_ylabel("Loss")
        label(axes)
        legend_below(figure, axes, columns=2)
    return figure


def best_so_far(trials: Mapping[str, Sequence[EvaluatedTrial]]) -> Figure:
    """Lowest validation loss up to each trial, a line a family; each trial's own is a point.

    The axis spans the lines; worse trials may leave it.
    """
    with cms_style():
        figure = new_figure()
        axes = figure.subplots()
        spanned = []
        for family, tried in trials.items():
            look, ordered = appearance(family), sorted(tried, key=lambda each: each.number)
            numbers, losses = [each.number for each in ordered], _losses(ordered)
            lowest = list(accumulate(losses, min))
            axes.step(numbers, lowest, where="post", color=look.color, label=look.title)
            axes.plot(numbers, losses, look.marker, color=look.color, markersize=5, alpha=0.6)
            spanned += [*lowest, sorted(losses)[len(losses) // 2]]
        axes.set_ylim(room(spanned))
        whole_numbers(axes)
        axes.set_xlabel("Trial")
        axes.set_ylabel("Lowest validation loss so far")
        label(axes)
        legend_below(figure, axes, columns=2)
    return figure


def training_history(family: str, trials: Sequence[EvaluatedTrial], chosen: int) -> Figure:
    """Losses by epoch: training and validation of the chosen trial (by number), validation of the others in grey.

    The axis spans the chosen trial's losses; others may leave it.
    """
    look = appearance(family)
    best = next(each for each in trials if each.number == chosen)
    training = [each.training_loss for each in best.history]
    with cms_style():
        figure = new_figure()
        axes = figure.subplots()
        axes.plot(_epochs(best), _validation(best), color=look.color, label=f"Trial {chosen}, validation")
        axes.plot(_epochs(best), training, "--", color=look.color, label=f"Trial {chosen}, training")
        for place, other in enumerate(each for each in trials if each.number != chosen):
            title = "_" if place else "Others, validation"
            axes.plot(_epochs(other), _validation(other), color=GREY, zorder=1, label=title)
        axes.set_ylim(room([*training, *_validation(best)], above=0.3))
        whole_numbers(axes)
        axes.set_xlabel("Epoch")
        axes.set_ylabel("Loss")
        label(axes, look.title)
        legend_below(figure, axes, columns=3)
    return figure


def _losses(trials: Sequence[EvaluatedTrial]) -> list[float]:
    return [each.validation_loss for each in trials]


def _epochs(trial: EvaluatedTrial) -> list[int]:
    return [each.epoch for each in trial.history]


def _validation(trial: EvaluatedTrial) -> list[float]:
    return [each.validation_loss for each in trial.history]


def _draw_trials(axes: Axes, family: str, trials: Sequence[EvaluatedTrial]) -> None:
    look = appearance(family)
    numbers = [each.number for each in trials]
    validation = [each.validation_loss for each in trials]
    test = [each.test_loss for each in trials]
    axes.plot(numbers, validation, look.marker, color=look.color, label=f"{look.title}, validation")
    axes.plot(numbers, test, look.marker, color=look.color, fillstyle="none", label=f"{look.title}, test")
    chosen = min(trials, key=lambda each: (each.validation_loss, each.number))
    axes.plot(chosen.number, chosen.validation_loss, "o", color=INK, fillstyle="none", markersize=15)
