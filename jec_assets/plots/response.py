"""Figures of the median response: against pT, |eta| and pileup, per flavor, and as a map.

Belongs here: medians. Does not belong here: tails (`tails.py`), widths (`resolution.py`) and the gate (`closure.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import ALL_FLAVORS, FLAVORS, UNBIASED_GEN_PT
from jec_assets.evaluation.response.response_curves import MIN_JETS
from jec_assets.plots.binned import (
    draw_in_bins,
    frame_bins,
    label_grid,
    panel_height,
    panels_of,
    shade_biased,
    sparse_log_axis,
)
from jec_assets.plots.style import (
    INK,
    appearance,
    cms_style,
    ends,
    label,
    legend_below,
    new_figure,
    readable_log_axis,
    room,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.figure import Figure

    from jec_assets.evaluation.response.response_curves import MedianResponse, Quantity, ResponseMap

QUANTITIES: dict[Quantity, str] = {
    "gen_pt": r"$p_\mathrm{T,gen}$ [GeV]",
    "abs_gen_eta": r"$|\eta_\mathrm{gen}|$",
    "rho": r"$\rho$ [GeV per unit area]",
    "pileup": "Pileup interactions",
}
ABOVE_THRESHOLD = rf"$p_\mathrm{{T,gen}} \geq {UNBIASED_GEN_PT:g}$ GeV"
SPANS = (0.02, 0.2)  # least and largest range of the colors to either side of 1
FEW_JETS = "#c4c4c8"


def response_curves(results: Sequence[MedianResponse]) -> Figure:
    """Median response of all jets against one quantity, under each correction, with bootstrap error bars.

    Against pT_gen, what the selection biases is shaded, and doesn't set the scale: it may lie outside the frame.
    """
    with cms_style():
        figure = new_figure()
        axes = figure.subplots()
        if results[0].quantity == "gen_pt":
            readable_log_axis(axes, "x")
        _draw(axes, results, ALL_FLAVORS)
        axes.set_ylim(_limits([each for each in results if each.flavor == ALL_FLAVORS]))
        axes.set_xlabel(QUANTITIES[results[0].quantity])
        axes.set_ylabel("Median response")
        label(axes, _conditions(results))
        legend_below(figure, axes, columns=3)
    return figure


def response_per_flavor(results: Sequence[MedianResponse]) -> Figure:
    """The same with a panel for each flavor."""
    with cms_style():
        figure = new_figure(height=panel_height(len(FLAVORS)))
        panels = panels_of(figure, len(FLAVORS), QUANTITIES[results[0].quantity])
        if results[0].quantity == "gen_pt":
            sparse_log_axis(panels[0])
        for axes, flavor in zip(panels, FLAVORS, strict=True):
            _draw(axes, results, flavor)
            axes.text(0.95, 0.93, flavor, transform=axes.transAxes, ha="right", va="top", fontsize=15)
        panels[0].set_ylim(_limits([each for each in results if each.flavor != ALL_FLAVORS]))
        figure.supylabel("Median response", fontsize=15, color=INK)
        label_grid(panels, _conditions(results))
        legend_below(figure, panels[0], columns=3)
    return figure


def response_maps(maps: Sequence[ResponseMap]) -> Figure:
    """Median response of each correction in (pT_gen, |eta_gen|): red above 1, blue below, gray with too few jets."""
    with cms_style():
        figure = new_figure(height=panel_height(len(maps)) + 0.9)
        panels = panels_of(figure, len(maps), QUANTITIES["gen_pt"])
        span = _span(maps)
        meshes = [_draw_map(axes, each, span) for axes, each in zip(panels, maps, strict=True)]
        colors = figure.colorbar(meshes[0], ax=panels, location="bottom", extend="both", aspect=30)
        colors.set_label("Median response (gray: too few jets)")
        figure.supylabel(QUANTITIES["abs_gen_eta"], fontsize=15, color=INK)
        label_grid(panels)
    return figure


def _draw(axes: Axes, results: Sequence[MedianResponse], flavor: str) -> None:
    chosen = [each for each in results if each.flavor == flavor]
    points = {
        correction: [(each.interval, each.median) for each in chosen if each.correction == correction]
        for correction in dict.fromkeys(each.correction for each in chosen)
    }
    against_pt = results[0].quantity == "gen_pt"
    draw_in_bins(axes, points, logarithmic=against_pt)
    frame_bins(axes, [(each.interval, each.median) for each in results], logarithmic=against_pt)
    if against_pt:
        shade_biased(axes)
    axes.axhline(1, color=INK, linestyle=":", linewidth=1)


def _limits(results: Sequence[MedianResponse]) -> tuple[float, float]:
    """The range of the medians that aren't biased by the selection, and 1 +- 0.5 % at least."""
    sound = [
        each.median
        for each in results
        if each.median.n >= MIN_JETS and (each.quantity != "gen_pt" or each.interval.low >= UNBIASED_GEN_PT)
    ]
    return room([0.995, 1.005, *ends(sound)], above=0.12)


def _conditions(results: Sequence[MedianResponse]) -> str:
    return "" if results[0].quantity == "gen_pt" else ABOVE_THRESHOLD


def _draw_map(axes: Axes, each: ResponseMap, span: float) -> QuadMesh:
    axes.set_facecolor(FEW_JETS)
    mesh = axes.pcolormesh(
        each.gen_pt_edges,
        each.abs_gen_eta_edges,
        np.ma.masked_invalid(each.median).T,
        cmap="RdBu_r",
        vmin=1 - span,
        vmax=1 + span,
        rasterized=True,
    )
    sparse_log_axis(axes)
    axes.axvline(UNBIASED_GEN_PT, color=INK, linestyle=":", linewidth=1)
    axes.text(
        0.97, 0.95, appearance(each.correction).title, transform=axes.transAxes, ha="right", va="top", fontsize=13
    )
    return mesh


def _span(maps: Sequence[ResponseMap]) -> float:
    """How far the colors reach to either side of 1: to most of the cells above the threshold."""
    sound = np.concatenate([each.median[np.array(each.gen_pt_edges[:-1]) >= UNBIASED_GEN_PT].ravel() for each in maps])
    distances = np.abs(sound[np.isfinite(sound)] - 1)
    return float(np.clip(np.quantile(distances, 0.95), *SPANS)) if len(distances) else SPANS[0]
