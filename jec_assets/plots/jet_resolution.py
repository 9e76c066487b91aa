"""Figures of the predicted resolution: pulls, coverage, predicted against measured.

Belongs here: what single jets' resolutions are judged by. Does not belong here: the resolution of groups
(`resolution.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import ALL_FLAVORS, REGIONS
from jec_assets.evaluation.response.jet_resolution import NOMINAL, PULL_EDGES
from jec_assets.plots.binned import draw_in_bins, frame_bins, in_percent, label_grid, sparse_log_axis
from jec_assets.plots.style import (
    INK,
    appearance,
    cms_style,
    ends,
    label,
    legend_below,
    new_figure,
    room,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.response.jet_resolution import Coverage, Pulls, ResolutionClass

PANEL = 3.0  # inches: height of a panel of two side by side
PULL = r"($\log(p_\mathrm{T,gen} / p_\mathrm{T,reco})$ $-$ prediction) / predicted resolution"


def pull_distribution(pulls: Sequence[Pulls]) -> Figure:
    """Density of each family's pulls beside a unit Gaussian."""
    with cms_style():
        figure = new_figure()
        axes = figure.subplots()
        for each in pulls:
            look = appearance(each.family)
            axes.stairs(each.density, PULL_EDGES, color=look.color, linewidth=1.8, label=look.title)
        x = np.linspace(PULL_EDGES[0], PULL_EDGES[-1], 201)
        axes.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), ":", color=INK, label="Unit Gaussian")
        axes.set_xlim(PULL_EDGES[0], PULL_EDGES[-1])
        axes.set_ylim(0, 1.25 * max(0.4, *(float(each.density.max()) for each in pulls)))
        axes.set_xlabel(PULL, fontsize=13)
        axes.set_ylabel("Density")
        label(axes)
        legend_below(figure, axes, columns=3)
    return figure


def coverage(coverages: Sequence[Coverage]) -> Figure:
    """Share of the jets inside the predicted interval against pT_cal, all flavors, barrel and endcap."""
    with cms_style():
        figure = new_figure(height=PANEL + 1.2)
        panels: Sequence[Axes] = figure.subplots(1, len(REGIONS), sharex=True, sharey=True)
        sparse_log_axis(panels[0])
        everywhere = [(each.interval, each.inside) for each in coverages if each.flavor == ALL_FLAVORS]
        frame_bins(panels[0], everywhere, logarithmic=True)
        drawn = []
        for axes, region in zip(panels, REGIONS, strict=True):
            chosen = [each for each in coverages if each.region == region and each.flavor == ALL_FLAVORS]
            points = {
                family: [(each.interval, in_percent(each.inside)) for each in chosen if each.family == family]
                for family in dict.fromkeys(each.family for each in chosen)
            }
            drawn += draw_in_bins(axes, points, logarithmic=True)
            axes.axhline(100 * NOMINAL, color=INK, linestyle=":", linewidth=1)
            axes.set_xlabel(r"$p_\mathrm{T,cal}$ [GeV]")
            _name_region(axes, region)
        panels[0].set_ylim(room([100 * NOMINAL - 4, 100 * NOMINAL + 4, *ends(drawn)], above=0.2))
        panels[0].set_ylabel("Inside 68 % interval [%]")
        label_grid(panels)
        legend_below(figure, panels[0], columns=3)
    return figure


def predicted_against_measured(classes: Sequence[ResolutionClass]) -> Figure:
    """Measured resolution of jets with like predicted ones, barrel and endcap; right ones lie on the diagonal."""
    with cms_style():
        figure = new_figure(height=PANEL + 1.2)
        panels: Sequence[Axes] = figure.subplots(1, len(REGIONS), sharex=True, sharey=True)
        present = [each for each in classes if each.predicted.value is not None and each.measured.value is not None]
        for axes, region in zip(panels, REGIONS, strict=True):
            for family in dict.fromkeys(each.family for each in classes):
                _draw_classes(axes, [each for each in present if (each.family, each.region) == (family, region)])
            axes.axline((0, 0), slope=1, color=INK, linestyle=":", linewidth=1)
            axes.set_xlabel("Predicted resolution")
            _name_region(axes, region)
        highest = max([1e-3, *ends(each.measured for each in present), *ends(each.predicted for each in present)])
        panels[0].set_xlim(0, 1.08 * highest)
        panels[0].set_ylim(0, 1.3 * highest)
        panels[0].set_ylabel("Measured resolution")
        label_grid(panels)
        legend_below(figure, panels[0], columns=3)
    return figure


def _draw_classes(axes: Axes, classes: Sequence[ResolutionClass]) -> None:
    if classes:
        look = appearance(classes[0].family)
        axes.errorbar(
            [each.predicted.value or 0.0 for each in classes],
            [each.measured.value or 0.0 for each in classes],
            [each.measured.uncertainty or 0.0 for each in classes],
            fmt=look.marker,
            color=look.color,
            label=look.title,
        )


def _name_region(axes: Axes, region: Interval) -> None:
    text = rf"{region.name.capitalize()}, ${region.low:g} \leq |\eta| < {region.high:g}$"
    axes.text(0.05, 0.95, text, transform=axes.transAxes, va="top", fontsize=12)
