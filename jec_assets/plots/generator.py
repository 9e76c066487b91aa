"""Figures of the generator uncertainty: shift of the median response from the nominal generator to another.

Belongs here: shifts per flavor. Does not belong here: the medians of one sample (`flavor.py`).
"""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from jec_assets.evaluation.number import Number
from jec_assets.evaluation.response.generator import LIGHT_MINUS_GLUON, QUANTITIES
from jec_assets.plots.style import (
    GREY,
    INK,
    appearance,
    cms_style,
    draw_numbers,
    ends,
    interval_text,
    label,
    legend_below,
    new_figure,
    region_text,
    room,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.response.generator import GeneratorShifts

PANEL_HEIGHT = 2.0  # inches
SPACING = 0.16  # between the corrections of one quantity, in units of the distance between quantities
NOTE_LETTERS = 12  # what fits between two quantities
TITLES = {LIGHT_MINUS_GLUON: r"$R_\mathrm{uds} - R_\mathrm{g}$"}


def generator_shift(results: Sequence[GeneratorShifts], region: Interval, intervals: Sequence[Interval]) -> Figure:
    """Alternative minus nominal median response of each flavor, and of R_uds - R_g, under each correction, in percent.

    Shows one region, with a panel for each interval of pT_gen; with bootstrap error bars.
    """
    with cms_style():
        figure = new_figure(height=1.6 + PANEL_HEIGHT * max(len(intervals), 1.6))
        panels = figure.subplots(len(intervals), sharex=True, squeeze=False)[:, 0]
        for axes, interval in zip(panels, intervals, strict=True):
            _draw_panel(axes, [each for each in results if each.region == region and each.interval == interval])
            axes.text(0.02, 0.95, interval_text(interval), transform=axes.transAxes, va="top", fontsize=13)
        panels[-1].set_xticks(range(len(QUANTITIES)), [TITLES.get(name, name) for name in QUANTITIES])
        panels[-1].set_xlabel("Jet flavor")
        figure.supylabel("Shift of the median response [%]", fontsize=15, color=INK)
        label(panels[0], region_text(region))
        legend_below(figure, panels[0], columns=3)
    return figure


def _draw_panel(axes: Axes, results: Sequence[GeneratorShifts]) -> None:
    drawn = []
    for place, result in enumerate(results):
        shift = (place - (len(results) - 1) / 2) * SPACING
        percent = [_percent(result.shifts[name].shift) for name in QUANTITIES]
        draw_numbers(axes, [x + shift for x in range(len(percent))], percent, appearance(result.correction))
        drawn += percent
    axes.axhline(0, color=INK, linestyle=":", linewidth=1)
    axes.axvline(len(QUANTITIES) - 1.5, color=GREY, linewidth=1)  # a difference of responses, not one
    for x, number in enumerate(drawn[: len(QUANTITIES)]):
        if number.note:
            note = fill(number.note, NOTE_LETTERS)
            axes.text(x, 0.84, note, transform=axes.get_xaxis_transform(), ha="center", va="top", fontsize=11)
    axes.set_xlim(-0.5, len(QUANTITIES) - 0.5)
    axes.set_ylim(room([0.0, *ends(drawn)], above=0.35))  # room for the interval, and for notes below it
    axes.xaxis.minorticks_off()


def _percent(number: Number) -> Number:
    return Number(_times_100(number.value), _times_100(number.uncertainty), number.n, number.note)


def _times_100(value: float | None) -> float | None:
    return None if value is None else 100 * value
