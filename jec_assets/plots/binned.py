"""Numbers in bins, several corrections side by side: what figures of the response share.

Belongs here: where a point stands in its bin, panels, and the mark of bins that the selection biases. Does not belong
here: what is drawn.
"""

from __future__ import annotations

from dataclasses import replace
from math import isinf, sqrt
from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import UNBIASED_GEN_PT
from jec_assets.evaluation.response.response_curves import MIN_JETS
from jec_assets.plots.style import ENERGY, GREY, appearance, draw_numbers, readable_log_axis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.number import Number

PANEL_HEIGHT = 2.1  # inches
COLUMNS = 2


def panel_height(panels: int) -> float:
    """Height in inches of a figure with so many panels, in two columns, labels and legend included."""
    return 1.6 + PANEL_HEIGHT * -(-panels // COLUMNS)


def panels_of(figure: Figure, count: int, x_label: str) -> list[Axes]:
    """So many panels in two columns with common axes; a place that is left over stays empty."""
    grid = figure.subplots(-(-count // COLUMNS), COLUMNS, sharex=True, sharey=True, squeeze=False)
    panels: list[Axes] = list(grid.flat)
    for unused in panels[count:]:
        unused.remove()
    for axes in panels[:count][-COLUMNS:]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(x_label)
    return panels[:count]


def sparse_log_axis(axes: Axes) -> None:
    """A logarithmic x axis labelled 30, 100, 300 ..., for panels too narrow for `style.readable_log_axis`."""
    from matplotlib.ticker import LogLocator

    readable_log_axis(axes, "x")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))


def label_grid(panels: Sequence[Axes], conditions: str = "") -> None:
    """What `style.label` writes, spread over the first two of several panels."""
    import mplhep

    mplhep.add_text("Simulation", ax=panels[0], loc="over left", fontstyle="italic", fontsize=15)
    right = f"{conditions}   ({ENERGY})" if conditions else f"({ENERGY})"
    mplhep.add_text(right, ax=panels[:COLUMNS][-1], loc="over right", fontsize=13)


def draw_in_bins(
    axes: Axes, points: Mapping[str, Sequence[tuple[Interval, Number]]], logarithmic: bool
) -> list[Number]:
    """Each correction's numbers in their bins, moved sideways so that none hides another; returns what was drawn.

    Bins with fewer than MIN_JETS jets are left out: their errors would set the scale of the figure.
    """
    drawn: list[Number] = []
    for place, (correction, binned) in enumerate(points.items()):
        kept = [(interval, number) for interval, number in binned if number.n >= MIN_JETS]
        share = 0.25 + 0.5 * (place + 1) / (len(points) + 1)
        x = [position(interval, share, logarithmic) for interval, _ in kept]
        draw_numbers(axes, x, [number for _, number in kept], appearance(correction))
        drawn += [number for _, number in kept]
    return drawn


def frame_bins(axes: Axes, binned: Sequence[tuple[Interval, Number]], logarithmic: bool) -> None:
    """End the x axis behind the last bin with enough jets, or the very last one where there is none."""
    filled = [interval for interval, number in binned if number.n >= MIN_JETS]
    last = max(filled or [interval for interval, _ in binned], key=lambda interval: interval.low)
    axes.set_xlim(binned[0][0].low, position(last, 1.0, logarithmic))


def position(interval: Interval, share: float, logarithmic: bool) -> float:
    """Where the share (0 to 1) of a bin's width on the axis lies; a bin without end is drawn 20 % of its start wide."""
    high = 1.2 * interval.low if isinf(interval.high) else interval.high
    if logarithmic:
        return float(interval.low * (high / interval.low) ** share)
    return float(interval.low + (high - interval.low) * share)


def in_percent(number: Number) -> Number:
    """A share as percent."""
    if number.value is None:
        return number
    return replace(
        number,
        value=100 * number.value,
        uncertainty=None if number.uncertainty is None else 100 * number.uncertainty,
    )


def shade_biased(axes: Axes, name: bool = True) -> None:
    """Shade where the selection decides the median response, and name it."""
    low, _ = axes.get_xlim()
    axes.axvspan(low, UNBIASED_GEN_PT, color=GREY, alpha=0.25, linewidth=0)
    axes.set_xlim(left=low)
    if name:
        at = sqrt(low * UNBIASED_GEN_PT), 0.04
        place = axes.get_xaxis_transform()
        axes.text(*at, "selection-biased", transform=place, rotation=90, ha="center", va="bottom", fontsize=11)
