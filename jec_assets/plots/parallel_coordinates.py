"""What was tried, all at once: an axis a hyperparameter, a line a trial, colored by its loss.

Belongs here: this one figure. Does not belong here: losses and histories of trials (`search.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jec_assets.plots.style import INK, appearance, cms_style, label, minus, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from jec_assets.evaluation.networks.search import EvaluatedTrial

HIGHEST_COLORED = 0.9  # quantile of the losses: beyond it all share a color, so that one that diverged fades no other
SPREAD = 0.4  # of the distance of levels
HEIGHT = 5.6  # inches
Value = int | float | str


def parallel_coordinates(family: str, trials: Sequence[EvaluatedTrial]) -> Figure:
    """Every trial's hyperparameters, at least one trial, colored by validation loss; the lowest in ink, on top.

    Numbers with fractions lie on a linear axis between the smallest and the largest, others at equal
    distances, where trials that share a value lie side by side.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize

    ordered = sorted(trials, key=lambda each: (-each.validation_loss, -each.number))
    names = list(ordered[-1].hyperparameters)
    heights = np.stack([_spread([each.hyperparameters[name] for each in ordered]) for name in names], axis=1)
    places = np.arange(len(names))
    losses = np.array([each.validation_loss for each in ordered])
    with cms_style():
        figure = new_figure(HEIGHT)
        axes = figure.subplots()
        lines = LineCollection(
            [np.column_stack([places, row]) for row in heights],
            array=losses,
            cmap="viridis_r",
            norm=Normalize(losses.min(), max(np.quantile(losses, HIGHEST_COLORED), losses.min() + 1e-9)),
            linewidths=1.3,
            alpha=0.7,
        )
        axes.add_collection(lines)
        axes.plot(places, heights[-1], color=INK, linewidth=3, label=f"Trial {ordered[-1].number}, chosen")
        for place, name in enumerate(names):
            _draw_axis(axes, place, [each.hyperparameters[name] for each in ordered])
        axes.set_xlim(-0.2, len(names) - 0.6)
        axes.set_ylim(-0.12, 1.12)
        axes.set_xticks(places, [name.replace("_", " ") for name in names], rotation=40, ha="right", fontsize=12)
        axes.tick_params(axis="x", which="both", length=0)
        axes.yaxis.set_visible(False)
        axes.xaxis.minorticks_off()
        for spine in axes.spines.values():
            spine.set_visible(False)
        extend = "max" if losses.max() > lines.norm.vmax else "neither"
        figure.colorbar(lines, ax=axes, label="Validation loss", orientation="horizontal", extend=extend, aspect=40)
        label(axes, appearance(family).title)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center")
    return figure


def _heights(values: Sequence[Value]) -> NDArray[np.float64]:
    """Where values lie on an axis from 0 to 1, one that is the same in all trials in the middle."""
    if _has_fractions(values):
        numbers = np.array(values, np.float64)
    else:
        levels = sorted(set(values))
        numbers = np.array([levels.index(value) for value in values], np.float64)
    span = np.ptp(numbers)
    return (numbers - numbers.min()) / span if span else np.full(len(numbers), 0.5)


def _spread(values: Sequence[Value]) -> NDArray[np.float64]:
    """Heights at which lines can be told apart: those of one level lie around it, side by side."""
    heights = _heights(values)
    if _has_fractions(values):
        return heights
    levels = np.unique(heights)
    for level in levels:
        here = np.flatnonzero(heights == level)
        heights[here] += SPREAD / len(levels) * (np.arange(len(here)) - (len(here) - 1) / 2) / len(here)
    return heights


def _draw_axis(axes: Axes, place: int, values: Sequence[Value]) -> None:
    axes.axvline(place, color=INK, linewidth=0.8, zorder=1)
    heights = _heights(values)
    fractions = _has_fractions(values)
    chosen = (int(heights.argmin()), int(heights.argmax())) if fractions else range(len(values))
    for value, height in {values[at]: heights[at] for at in chosen}.items():
        axes.annotate(
            minus(f"{value:.2g}".replace("e-0", "e-")) if fractions else str(value),
            (place, height),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=11,
            zorder=4,
        )


def _has_fractions(values: Sequence[Value]) -> bool:
    return any(isinstance(value, float) for value in values)
