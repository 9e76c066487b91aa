"""A number per flavor and correction, in a panel for each interval of pT_gen.

Belongs here: laying these out, and saying where a number is missing and why. Does not belong here: which numbers
(`flavor.py`, `generator.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

from jec_assets.plots.style import (
    INK,
    appearance,
    cms_style,
    draw_numbers,
    ends,
    interval_text,
    label,
    legend_below,
    new_figure,
    region_text,
    room,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.number import Number

PANEL_HEIGHT = 2.0  # inches
SPACING = 0.16  # between the corrections of one flavor, in units of the distance between flavors
NOTE_LETTERS = 12  # what fits between two flavors


@dataclass(frozen=True)
class FlavorAxes:
    """What the panels show: the flavors' names, the quantity, and the value that it has where all is well."""

    names: tuple[str, ...]
    quantity: str
    reference: float


def flavor_panels(
    shown: FlavorAxes, region: Interval, panels: Mapping[Interval, Mapping[str, Sequence[Number]]]
) -> Figure:
    """A figure of one region; for each interval, the numbers of each correction, as many as there are names."""
    with cms_style():
        figure = new_figure(height=1.6 + PANEL_HEIGHT * max(len(panels), 1.6))
        drawn = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
        for axes, (interval, corrections) in zip(drawn, panels.items(), strict=True):
            _draw(axes, shown, corrections)
            axes.text(0.02, 0.95, interval_text(interval), transform=axes.transAxes, va="top", fontsize=13)
        drawn[-1].set_xticks(range(len(shown.names)), list(shown.names))
        drawn[-1].set_xlabel("Jet flavor")
        figure.supylabel(shown.quantity, fontsize=15, color=INK)
        label(drawn[0], region_text(region))
        legend_below(figure, drawn[0], columns=3)
    return figure


def _draw(axes: Axes, shown: FlavorAxes, corrections: Mapping[str, Sequence[Number]]) -> None:
    for place, (correction, numbers) in enumerate(corrections.items()):
        shift = (place - (len(corrections) - 1) / 2) * SPACING
        draw_numbers(axes, [x + shift for x in range(len(numbers))], list(numbers), appearance(correction))
    axes.axhline(shown.reference, color=INK, linestyle=":", linewidth=1)
    # Why a number is missing or has no error bar is the same for all corrections.
    for x, number in enumerate(next(iter(corrections.values()), ())):
        if number.note:
            note = fill(number.note, NOTE_LETTERS)
            axes.text(x, 0.06, note, transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=11)
    axes.set_xlim(-0.5, len(shown.names) - 0.5)
    everything = [number for numbers in corrections.values() for number in numbers]
    axes.set_ylim(room([shown.reference, *ends(everything)], above=0.35))  # room for the interval
    axes.xaxis.minorticks_off()
