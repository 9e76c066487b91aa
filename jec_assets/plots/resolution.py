"""Figures of the resolution against pT_gen with ratios to the standard correction (Figure 10 of the paper)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.plots.style import (
    INK,
    appearance,
    cms_style,
    draw_numbers,
    ends,
    label,
    legend_below,
    new_figure,
    readable_log_axis,
    region_text,
    room,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.resolution import Resolution

MIN_JETS_PER_POINT = 50  # below, the quartiles' errors would set the scale of the whole figure; tables show these bins


def resolution_curves(results: Sequence[Resolution], region: Interval) -> Figure:
    """Resolution of each correction in one region against pT_gen, and the ratio to the standard correction below.

    `results` are those of the bins to draw; bins with fewer than 50 jets are left out.
    """
    drawn = [each for each in results if each.region == region and each.resolution.n >= MIN_JETS_PER_POINT]
    corrections = list(dict.fromkeys(each.correction for each in results))
    with cms_style():
        figure = new_figure(height=5.8)
        upper, lower = figure.subplots(2, sharex=True, height_ratios=(2.4, 1))
        readable_log_axis(upper, "x")
        for place, correction in enumerate(corrections):
            points = [each for each in drawn if each.correction == correction]
            shift = (place - (len(corrections) - 1) / 2) / len(corrections)
            _draw(upper, lower, points, shift)
        _finish(upper, lower, drawn)
        label(upper, region_text(region))
        legend_below(figure, upper, columns=3)
    return figure


def _draw(upper: Axes, lower: Axes, points: Sequence[Resolution], shift: float) -> None:
    """One correction; `shift`, in (-1/2, 1/2), moves its points within each bin so that none hides another."""
    if not points:
        return
    look = appearance(points[0].correction)
    x = [each.interval.low * (each.interval.high / each.interval.low) ** (0.5 + shift / 2) for each in points]
    draw_numbers(upper, x, [each.resolution for each in points], look)
    if look != appearance(STANDARD):
        draw_numbers(lower, x, [each.ratio for each in points], look)


def _finish(upper: Axes, lower: Axes, drawn: Sequence[Resolution]) -> None:
    if drawn:
        upper.set_xlim(min(each.interval.low for each in drawn), max(each.interval.high for each in drawn))
    upper.set_ylim(0, 1.1 * max(ends(each.resolution for each in drawn), default=0.0) or 1.0)
    upper.set_ylabel("IQR / median response")
    lower.set_ylim(room([1.0, *ends(each.ratio for each in drawn)]))
    lower.axhline(1, color=INK, linestyle=":", linewidth=1)
    lower.set_ylabel("Ratio to\nstandard", fontsize=13, loc="center")
    lower.set_xlabel(r"$p_\mathrm{T,gen}$ [GeV]")
