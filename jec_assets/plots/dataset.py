"""Figures of the jets themselves: pT_gen against |eta_gen|, and the target (Figures 1 and 2 of the paper).

Belongs here: histograms of truth. Does not belong here: input features and pileup (`distributions.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.plots.style import COLORS, INK, cms_style, label, minus, new_figure, readable_log_axis

if TYPE_CHECKING:
    from hist import Hist
    from matplotlib.figure import Figure

    from jec_assets.evaluation.jets.dataset import TargetSummary


def gen_kinematics(histogram: Hist[Any]) -> Figure:
    """Heat map of jets in (pT_gen, |eta_gen|), from `evaluation.jets.dataset`; bins without jets stay blank."""
    from matplotlib.colors import LogNorm

    counts = histogram.values()
    with cms_style():
        figure = new_figure()
        axes = figure.subplots()
        drawn = axes.pcolormesh(
            *(axis.edges for axis in histogram.axes),
            np.ma.masked_equal(counts, 0).T,
            norm=LogNorm(1, max(counts.max(), 10)),
            cmap="viridis",
            rasterized=True,
        )
        readable_log_axis(axes, "x")
        axes.set_xlabel(r"$p_\mathrm{T,gen}$ [GeV]")
        axes.set_ylabel(r"$|\eta_\mathrm{gen}|$")
        figure.colorbar(drawn, ax=axes, label="Jets per bin")
        label(axes)
    return figure


def target_distribution(histogram: Hist[Any], summary: TargetSummary) -> Figure:
    """Distribution of the target with its median and quartiles, from `evaluation.jets.dataset`."""
    import mplhep

    with cms_style():
        figure = new_figure()
        axes = figure.subplots()
        mplhep.histplot(histogram, ax=axes, color=COLORS[0], histtype="fill", yerr=False, flow="none")
        if summary.median is not None and summary.lower_quartile is not None and summary.upper_quartile is not None:
            axes.axvline(summary.median, color=INK, label=minus(f"Median {summary.median:.3f}"))
            for quartile in (summary.lower_quartile, summary.upper_quartile):
                axes.axvline(quartile, color=INK, linestyle=":", linewidth=1.2)
            quartiles = minus(f"Quartiles {summary.lower_quartile:.3f}, {summary.upper_quartile:.3f}")
            axes.plot([], [], ":", color=INK, label=quartiles)
            axes.legend(loc="upper right")
        axes.set_xlim(histogram.axes[0].edges[0], histogram.axes[0].edges[-1])
        axes.set_ylim(0, max(histogram.values().max() * 1.3, 1))
        axes.set_xlabel(r"$\log(p_\mathrm{T,gen} / p_\mathrm{T,reco})$")
        axes.set_ylabel(f"Jets / {histogram.axes[0].widths[0]:g}")
        label(axes)
    return figure
