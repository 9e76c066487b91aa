"""Figures of the flavor dependence: median response per flavor (Figure 9 of the paper).

Belongs here: medians per flavor. Does not belong here: what another generator changes of them (`generator.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import FLAVORS
from jec_assets.plots.style import (
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
    from jec_assets.evaluation.response.flavor import FlavorDependence

PANEL_HEIGHT = 2.0  # inches
SPACING = 0.16  # between the corrections of one flavor, in units of the distance between flavors


def flavor_response(results: Sequence[FlavorDependence], region: Interval, intervals: Sequence[Interval]) -> Figure:
    """Median response of each flavor under each correction, with bootstrap error bars.

    Shows one region, with a panel for each interval of pT_gen.
    """
    with cms_style():
        figure = new_figure(height=1.6 + PANEL_HEIGHT * max(len(intervals), 1.6))
        panels = figure.subplots(len(intervals), sharex=True, squeeze=False)[:, 0]
        for axes, interval in zip(panels, intervals, strict=True):
            _draw_panel(axes, [each for each in results if each.region == region and each.interval == interval])
            axes.text(0.02, 0.95, interval_text(interval), transform=axes.transAxes, va="top", fontsize=13)
        panels[-1].set_xticks(range(len(FLAVORS)), list(FLAVORS))
        panels[-1].set_xlabel("Jet flavor")
        figure.supylabel("Median response", fontsize=15, color=INK)
        label(panels[0], region_text(region))
        legend_below(figure, panels[0], columns=3)
    return figure


def _draw_panel(axes: Axes, results: Sequence[FlavorDependence]) -> None:
    for place, result in enumerate(results):
        shift = (place - (len(results) - 1) / 2) * SPACING
        x = [position + shift for position in range(len(result.medians))]
        draw_numbers(axes, x, list(result.medians.values()), appearance(result.correction))
    axes.axhline(1, color=INK, linestyle=":", linewidth=1)
    _write_notes(axes, results)
    axes.set_xlim(-0.5, len(FLAVORS) - 0.5)
    drawn = ends(median for result in results for median in result.medians.values())
    axes.set_ylim(room([1.0, *drawn], above=0.35))
    axes.xaxis.minorticks_off()


def _write_notes(axes: Axes, results: Sequence[FlavorDependence]) -> None:
    """Say where a median is missing or has no error bar, and why: it's the same for all corrections."""
    for x, median in enumerate(results[0].medians.values() if results else ()):
        if median.note:
            axes.text(x, 0.06, median.note, transform=axes.get_xaxis_transform(), ha="center", fontsize=11)
