"""Figures of the standard correction: its levels, and how well the files' and ours do.

Belongs here: drawing tables of a correction and its results. Does not belong here: deriving (`jec_assets.correction`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import UNBIASED_GEN_PT
from jec_assets.evaluation.response.response_curves import MIN_JETS
from jec_assets.plots.style import (
    COLORS,
    INK,
    MARKERS,
    Appearance,
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
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jec_assets.correction import StandardCorrection
    from jec_assets.evaluation.response.standard_correction import Correction, CorrectionResult, Quantity, View

APPEARANCES: Mapping[Correction, Appearance] = {
    "file": Appearance("In the files", INK, "o"),
    "uncorrected": Appearance("Uncorrected", INK, "o"),
    "derived": Appearance("Derived here", COLORS[0], MARKERS[0]),
}
_AXES: Mapping[Quantity, str] = {
    "gen_pt": r"$p_\mathrm{T,gen}$ [GeV]",
    "abs_gen_eta": r"$|\eta_\mathrm{gen}|$",
    "rho": r"$\rho$ [GeV]",
}


def closure_curves(results: Sequence[CorrectionResult], view: View) -> Figure:
    """Median response, resolution, and the ratio of resolutions in the bins of a view with at least MIN_JETS jets."""
    drawn = [each for each in results if each.view == view and each.median.n >= MIN_JETS]
    names = list(dict.fromkeys(each.correction for each in results))
    with cms_style():
        figure = new_figure(height=7.0)
        upper, middle, lower = figure.subplots(3, sharex=True, height_ratios=(1.6, 1.6, 1))
        if view.quantity == "gen_pt":
            readable_log_axis(upper, "x")
        for place, name in enumerate(names):
            points = [each for each in drawn if each.correction == name]
            x = [_shifted(each, (place - (len(names) - 1) / 2) / 3) for each in points]
            look = APPEARANCES[name]
            draw_numbers(upper, x, [each.median for each in points], look)
            draw_numbers(middle, x, [each.width for each in points], look)
            if place:
                draw_numbers(lower, x, [each.ratio for each in points], look)
        _finish((upper, middle, lower), drawn, view)
        label(upper, _conditions(view))
        legend_below(figure, upper, columns=2)
    return figure


def _shifted(result: CorrectionResult, side: float) -> float:
    """Where a point is drawn: a little to one side of the bin's median, so that none hides another."""
    center = result.center or 0.0
    return center + side * min(center - result.interval.low, result.interval.high - center)


def _finish(panels: tuple[Axes, Axes, Axes], drawn: Sequence[CorrectionResult], view: View) -> None:
    upper, middle, lower = panels
    if drawn:
        upper.set_xlim(drawn[0].interval.low, max(each.interval.high for each in drawn))
    upper.set_ylim(room([0.99, 1.01, *ends(each.median for each in drawn)], above=0.15))
    middle.set_ylim(0, 1.15 * max(ends(each.width for each in drawn), default=0.0) or 1.0)
    lower.set_ylim(room([0.99, 1.01, *ends(each.ratio for each in drawn)]))
    for axes in (upper, lower):
        axes.axhline(1, color=INK, linestyle=":", linewidth=1)
    upper.set_ylabel("Median response", fontsize=13, loc="center")
    middle.set_ylabel("IQR / median", fontsize=13, loc="center")
    lower.set_ylabel("Ratio", fontsize=13, loc="center")
    lower.set_xlabel(_AXES[view.quantity])


def _conditions(view: View) -> str:
    if view.quantity == "gen_pt":
        return region_text(view.abs_gen_eta)
    return rf"$p_\mathrm{{T,gen}} \geq {UNBIASED_GEN_PT:g}$ GeV"


def response_factors(correction: StandardCorrection) -> Figure:
    """L2L3 against the offset-corrected pT per |eta| bin; dotted where it is held constant."""
    low = min(curve.pts[0] for curve in correction.response) / 1.6
    high = max(curve.pts[-1] for curve in correction.response) * 1.6
    with cms_style():
        figure = new_figure(height=5.4)
        axes = figure.subplots()
        readable_log_axis(axes, "x")
        for place, (curve, color) in enumerate(zip(correction.response, _rising_colors(correction), strict=True)):
            edges = correction.response_edges[place : place + 2]
            marker = MARKERS[place % len(MARKERS)]
            name = "{:g}–{:g}".format(*edges)
            axes.plot(curve.pts, curve.factors, marker=marker, markersize=4, color=color, label=name)
            for held, factor in ((low, curve.pts[0]), curve.factors[0]), ((curve.pts[-1], high), curve.factors[-1]):
                axes.plot(held, (factor, factor), ":", color=color)
        axes.set_xlim(low, high)
        axes.set_ylim(room([factor for curve in correction.response for factor in curve.factors], above=0.12))
        axes.set_xlabel(r"$p_\mathrm{T}$ after L1 [GeV]")
        axes.set_ylabel("L2L3 factor")
        label(axes, rf"from $p_\mathrm{{T,gen}} \geq {correction.valid_from:g}$ GeV")
        legend_below(figure, axes, columns=4)
        figure.legends[0].set_title(r"$|\eta|$; dotted where held constant")
    return figure


def offset_slopes(correction: StandardCorrection) -> Figure:
    """The slope of L1 against |eta|: what is taken off the raw pT, per unit of rho times area."""
    with cms_style():
        figure = new_figure(height=3.6)
        axes = figure.subplots()
        edges, slopes = np.array(correction.offset_edges), np.array(correction.offset_slopes)
        axes.stairs(slopes, edges, baseline=None, color=COLORS[0], linewidth=2)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(min(0.0, 1.2 * slopes.min()), max(0.0, 1.2 * slopes.max()) or 1.0)
        axes.set_xlabel(r"$|\eta|$")
        axes.set_ylabel(r"L1 slope $k$")
        label(axes, rf"from $p_\mathrm{{T,gen}} \geq {correction.valid_from:g}$ GeV")
    return figure


def _rising_colors(correction: StandardCorrection) -> list[tuple[float, ...]]:
    """A color per |eta| bin, from dark to light as |eta| rises."""
    from matplotlib import colormaps

    return [colormaps["viridis"](share) for share in np.linspace(0.15, 0.9, len(correction.response))]
