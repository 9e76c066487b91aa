"""Figure of the tails: shares of jets whose response is far off, against pT_gen.

Belongs here: this one figure. Does not belong here: the core of the response (`resolution.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import UNBIASED_GEN_PT
from jec_assets.evaluation.response.response_curves import MIN_JETS
from jec_assets.evaluation.response.tails import GAUSSIAN_SHARE, HIGHEST, LOWEST, Tails
from jec_assets.plots.binned import draw_in_bins, frame_bins, in_percent, shade_biased
from jec_assets.plots.style import (
    INK,
    cms_style,
    ends,
    label,
    legend_below,
    new_figure,
    readable_log_axis,
    region_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.number import Number


def tail_shares(results: Sequence[Tails], region: Interval) -> Figure:
    """Shares of jets below and above fixed limits, and beyond three widths of the core, of one region's jets.

    What the selection biases is shaded, and doesn't set the scale: it may lie outside the frame.
    """
    chosen = [each for each in results if each.region == region]
    with cms_style():
        figure = new_figure(height=7.0)
        panels = figure.subplots(3, sharex=True)
        readable_log_axis(panels[0], "x")
        _draw(panels[0], chosen, lambda each: each.below, rf"$R < {LOWEST:g}$")
        _draw(panels[1], chosen, lambda each: each.above, rf"$R > {HIGHEST:g}$")
        _draw(panels[2], chosen, lambda each: each.far, "beyond 3 widths of the core")
        panels[2].axhline(100 * GAUSSIAN_SHARE, color=INK, linestyle=":", linewidth=1)
        frame_bins(panels[0], [(each.interval, each.below) for each in chosen], logarithmic=True)
        for axes in panels:
            shade_biased(axes, name=axes is panels[0])
        panels[2].set_xlabel(r"$p_\mathrm{T,gen}$ [GeV]")
        figure.supylabel("Share of the jets [%]", fontsize=15, color=INK)
        label(panels[0], region_text(region))
        legend_below(figure, panels[0], columns=3)
    return figure


def _draw(axes: Axes, results: Sequence[Tails], share: Callable[[Tails], Number], name: str) -> None:
    points = {
        correction: [(each.interval, in_percent(share(each))) for each in results if each.correction == correction]
        for correction in dict.fromkeys(each.correction for each in results)
    }
    draw_in_bins(axes, points, logarithmic=True)
    sound = [in_percent(share(each)) for each in results if each.interval.low >= UNBIASED_GEN_PT]
    axes.set_ylim(0, 1.3 * max(ends(number for number in sound if number.n >= MIN_JETS), default=0.0) or 1.0)
    axes.text(0.97, 0.92, name, transform=axes.transAxes, ha="right", va="top", fontsize=13)
