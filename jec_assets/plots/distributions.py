"""Small multiples of distributions: a panel a quantity, a line a group. Two panels a row, readable on a phone.

Belongs here: laying out many small panels. Does not belong here: binning (`jec_assets.evaluation.jets.distributions`).
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.plots.style import COLORS, cms_style, label, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jec_assets.evaluation.jets.distributions import Distribution

PANELS = 8  # at most, a figure: one page of paper
ACROSS = 2
PANEL_HEIGHT, REST_HEIGHT = 2.0, 0.9  # inches
LINES = ("-", "--", ":", "-", "-", "-")  # groups that lie on one another stay visible
RARE = 0.02  # levels this rare in some group are drawn on a logarithmic axis

# How people write a quantity; others are called by their names.
TITLES = {
    "log_pt": r"$\log(p_\mathrm{T} / \mathrm{GeV})$",
    "log_relative_pt": r"$\log(p_\mathrm{T} / p_\mathrm{T,jet})$",
    "delta_eta": r"$\Delta\eta$",
    "delta_phi": r"$\Delta\phi$ [rad]",
    "delta_theta": r"$\Delta\theta$ [rad]",
    "delta_r": r"$\Delta R$",
    "eta": r"$\eta$",
    "phi": r"$\phi$ [rad]",
    "pt_d": r"$p_\mathrm{T} D$",
    "axis2": r"$\sigma_2$",
    "rho": r"$\rho$ [GeV]",
    "rhoAll": r"$\rho$ [GeV]",
    "Pileup_nPU": "Pileup interactions",
    "PV_npvsGood": "Good primary vertices",
}


def in_figures(distributions: Sequence[Distribution]) -> list[Sequence[Distribution]]:
    """The distributions in as few parts as fit into figures of `PANELS` panels, about equally many in each."""
    figures = max(ceil(len(distributions) / PANELS), 1)
    size = ACROSS * max(ceil(len(distributions) / figures / ACROSS), 1)
    return [distributions[start : start + size] for start in range(0, len(distributions), size)]


def small_multiples(distributions: Sequence[Distribution]) -> Figure:
    """A panel for each distribution, at least one; all have the same groups, whose entries are told in the legend."""
    rows = ceil(len(distributions) / ACROSS)
    with cms_style():
        figure = new_figure(PANEL_HEIGHT * rows + REST_HEIGHT)
        panels = figure.subplots(rows, ACROSS, squeeze=False).ravel()
        for axes, each in zip(panels, distributions, strict=False):
            _draw(axes, each)
        for axes in panels[len(distributions) :]:
            axes.set_axis_off()
        label(panels[0])
        figure.supylabel("Share per bin", fontsize=14)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6), handlelength=1.4)
    return figure


def _draw(axes: Axes, drawn: Distribution) -> None:
    from matplotlib.ticker import NullFormatter

    for place, (group, shares) in enumerate(drawn.shares.items()):
        color, line = COLORS[place % len(COLORS)], LINES[place % len(LINES)]
        if drawn.entries[group]:
            axes.stairs(shares, drawn.edges, linewidth=1.4, color=color, linestyle=line, label=group)
        else:
            axes.plot([], [], color=color, linestyle=line, label=f"{group} (no jets)")
    present = np.array([drawn.shares[group] for group, entries in drawn.entries.items() if entries])
    if drawn.levels and present.size and present[present > 0].min() < RARE:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(0, max(1.15 * present.max(initial=0), 1e-3))
    if drawn.levels:
        axes.set_xticks(np.arange(drawn.edges[0] + 0.5, drawn.edges[-1]))
        axes.xaxis.minorticks_off()
    axes.set_xlim(drawn.edges[0], drawn.edges[-1])
    axes.tick_params(labelsize=11)
    axes.set_xlabel(_title(drawn), fontsize=13, loc="center")


def _title(drawn: Distribution) -> str:
    unit = "" if drawn.unit == "1" else f" [{drawn.unit}]"
    return TITLES.get(drawn.name, drawn.name.replace("_", " ").capitalize() + unit)
