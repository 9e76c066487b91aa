"""Figures of the closure: the median of pT_gen / pT_cal in the bins of the gate.

Belongs here: drawing the gate. Does not belong here: its verdict (`jec_assets.evaluation.response.closure`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.evaluation.response.closure import TOLERANCE, Binned, Closure
from jec_assets.plots.binned import (
    draw_in_bins,
    frame_bins,
    label_grid,
    panel_height,
    panels_of,
    shade_biased,
    sparse_log_axis,
)
from jec_assets.plots.style import GREY, INK, cms_style, ends, legend_below, new_figure, room

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jec_assets.evaluation.bins import Interval

PT = {"reconstructed": r"$p_\mathrm{T,cal}$ [GeV]", "generated": r"$p_\mathrm{T,gen}$ [GeV]"}
ABS_ETA = {"reconstructed": r"|\eta|", "generated": r"|\eta_\mathrm{gen}|"}
RATIO = r"Median of $p_\mathrm{T,gen} / p_\mathrm{T,cal}$"


def closure_panels(closures: Sequence[Closure], binned: Binned) -> Figure:
    """The ratio of every correction against pT, a panel for each bin of |eta|; lines 1 % about what is expected.

    Bins of pT_gen that the selection biases are shaded and don't set the scale: they may lie outside the frame.
    """
    chosen = [each for each in closures if each.binned == binned]
    regions = list(dict.fromkeys(each.abs_eta for each in chosen))
    with cms_style():
        figure = new_figure(height=panel_height(len(regions)) + 0.4)
        panels = panels_of(figure, len(regions), PT[binned])
        sparse_log_axis(panels[0])
        frame_bins(panels[0], [(each.pt, each.ratio) for each in chosen], logarithmic=True)
        for axes, region in zip(panels, regions, strict=True):
            _draw(axes, [each for each in chosen if each.abs_eta == region])
            axes.text(
                0.95, 0.94, _region_text(region, binned), transform=axes.transAxes, ha="right", va="top", fontsize=12
            )
        sound = [each.ratio for each in chosen if each.ratio.value is not None and not each.biased]
        panels[0].set_ylim(room([1 - 2 * TOLERANCE, 1 + 2 * TOLERANCE, *ends(sound)], above=0.2))
        figure.supylabel(RATIO, fontsize=15, color=INK)
        label_grid(panels)
        legend_below(figure, panels[0], columns=3)
    return figure


def _draw(axes: Axes, closures: Sequence[Closure]) -> None:
    points = {
        correction: [(each.pt, each.ratio) for each in closures if each.correction == correction]
        for correction in dict.fromkeys(each.correction for each in closures)
    }
    draw_in_bins(axes, points, logarithmic=True)
    if closures[0].binned == "generated":
        shade_biased(axes)
    _draw_tolerance(axes, closures)
    axes.axhline(1, color=INK, linestyle=":", linewidth=1)


def _draw_tolerance(axes: Axes, closures: Sequence[Closure]) -> None:
    """Lines 1 % above and below what is expected of the families, on average, in each bin."""
    pts = list(dict.fromkeys(each.pt for each in closures))
    families = [each for each in closures if each.correction != STANDARD] or closures
    expected = np.array([np.mean([each.expected for each in families if each.pt == pt]) for pt in pts])
    edges = [pts[0].low, *(pt.high for pt in pts)]
    for limit in (expected - TOLERANCE, expected + TOLERANCE):
        axes.stairs(limit, edges, baseline=None, color=GREY, linewidth=1)


def _region_text(region: Interval, binned: Binned) -> str:
    return rf"${region.low:g} \leq {ABS_ETA[binned]} < {region.high:g}$"
