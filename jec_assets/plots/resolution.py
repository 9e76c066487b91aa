"""Figures of the resolution against pT_gen with ratios to the standard correction (Figure 10 of the paper).

Belongs here: all flavors together, and a panel for each flavor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import FLAVORS, INCLUSIVE, UNBIASED_GEN_PT
from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.plots.binned import shade_biased
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
    from jec_assets.evaluation.response.resolution import Resolution

MIN_JETS_PER_POINT = 50  # below, the quartiles' errors would set the scale of the whole figure; tables show these bins


def resolution_curves(results: Sequence[Resolution], region: Interval) -> Figure:
    """Resolution of each correction in one region against pT_gen, and the ratio to the standard correction below.

    `results` are those of the bins to draw; bins with fewer than 50 jets are left out, bins that the cut on jetPt
    biases are shaded.
    """
    drawn = [each for each in results if each.region == region and each.resolution.n >= MIN_JETS_PER_POINT]
    corrections = list(dict.fromkeys(each.correction for each in results))
    with cms_style():
        figure = new_figure(height=5.8)
        upper, lower = figure.subplots(2, sharex=True, height_ratios=(2.4, 1))
        readable_log_axis(upper, "x")
        for correction, shift in _shifts(corrections):
            points = [each for each in drawn if each.correction == correction]
            _draw(upper, lower, points, shift)
        _finish(upper, lower, drawn)
        label(upper, region_text(region))
        legend_below(figure, upper, columns=3)
    return figure


def flavor_resolution(results: Sequence[Resolution], region: Interval) -> Figure:
    """Ratio of each correction's resolution to the standard correction's in one region, a panel for each flavor.

    `results` are those of the bins to draw, of each flavor; bins below 30 GeV and those with fewer than 50 jets of the
    flavor are left out.
    """
    drawn = [
        each
        for each in results
        if each.region == region
        and each.interval.low >= INCLUSIVE.low
        and each.resolution.n >= MIN_JETS_PER_POINT
        and each.correction != STANDARD
    ]
    corrections = [each for each in dict.fromkeys(each.correction for each in results) if each != STANDARD]
    with cms_style():
        figure = new_figure(height=7.4)
        grid = figure.subplots(3, 2, sharex=True, sharey=True)
        readable_log_axis(grid[0, 0], "x")
        for axes, flavor in zip(grid.flat, FLAVORS, strict=True):
            _draw_ratios(axes, [each for each in drawn if each.flavor == flavor], corrections)
            axes.text(0.04, 0.92, f"{flavor} jets", va="top", transform=axes.transAxes)
        _limits(grid[0, 0], drawn)
        for axes in grid.flat:
            _shade(axes, drawn, name=False)
        grid[0, 0].set_ylim(room([1.0, *ends(each.ratio for each in drawn)], above=0.25))
        grid[-1, -1].set_xlabel(r"$p_\mathrm{T,gen}$ [GeV]")
        figure.supylabel("Resolution, ratio to the standard correction", fontsize=15, color=INK)
        label(grid[0, 0], region_text(region), right=grid[0, 1])
        legend_below(figure, grid[0, 0], columns=3)
    return figure


def _draw_ratios(axes: Axes, results: Sequence[Resolution], corrections: Sequence[str]) -> None:
    for correction, shift in _shifts(corrections):
        points = [each for each in results if each.correction == correction]
        draw_numbers(axes, _places(points, shift), [each.ratio for each in points], appearance(correction))
    axes.axhline(1, color=INK, linestyle=":", linewidth=1)
    if not results:
        axes.text(0.5, 0.1, f"< {MIN_JETS_PER_POINT} jets a bin", ha="center", transform=axes.transAxes, fontsize=11)


def _shifts(corrections: Sequence[str]) -> list[tuple[str, float]]:
    """By which share of a bin, in (-1/2, 1/2), to move each correction's points so that none hides another."""
    return [(name, (place - (len(corrections) - 1) / 2) / len(corrections)) for place, name in enumerate(corrections)]


def _places(points: Sequence[Resolution], shift: float) -> list[float]:
    return [each.interval.low * (each.interval.high / each.interval.low) ** (0.5 + shift / 2) for each in points]


def _draw(upper: Axes, lower: Axes, points: Sequence[Resolution], shift: float) -> None:
    """One correction, moved by `shift` within each bin."""
    if not points:
        return
    look, x = appearance(points[0].correction), _places(points, shift)
    draw_numbers(upper, x, [each.resolution for each in points], look)
    if look != appearance(STANDARD):
        draw_numbers(lower, x, [each.ratio for each in points], look)


def _limits(axes: Axes, drawn: Sequence[Resolution]) -> None:
    if drawn:
        axes.set_xlim(min(each.interval.low for each in drawn), max(each.interval.high for each in drawn))


def _shade(axes: Axes, drawn: Sequence[Resolution], name: bool) -> None:
    """Shade, and name, the region in which the cut on jetPt decides who is there, if anything is drawn there."""
    if any(each.interval.low < UNBIASED_GEN_PT for each in drawn):
        shade_biased(axes, name)


def _finish(upper: Axes, lower: Axes, drawn: Sequence[Resolution]) -> None:
    _limits(upper, drawn)
    _shade(upper, drawn, name=True)
    _shade(lower, drawn, name=False)
    upper.set_ylim(0, 1.1 * max(ends(each.resolution for each in drawn), default=0.0) or 1.0)
    upper.set_ylabel("IQR / median response")
    lower.set_ylim(room([1.0, *ends(each.ratio for each in drawn)]))
    lower.axhline(1, color=INK, linestyle=":", linewidth=1)
    lower.set_ylabel("Ratio to\nstandard", fontsize=13, loc="center")
    lower.set_xlabel(r"$p_\mathrm{T,gen}$ [GeV]")
