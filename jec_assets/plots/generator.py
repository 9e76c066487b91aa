"""Figures of the generator uncertainty: shift of the median response from the nominal generator to another.

Belongs here: shifts per flavor. Does not belong here: the medians of one sample (`flavor.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.response.generator import LIGHT_MINUS_GLUON, QUANTITIES
from jec_assets.plots.binned import in_percent
from jec_assets.plots.flavor_panels import FlavorAxes, flavor_panels
from jec_assets.plots.style import GREY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.response.generator import GeneratorShifts

TITLES = {LIGHT_MINUS_GLUON: r"$R_\mathrm{uds} - R_\mathrm{g}$"}
SHOWN = FlavorAxes(tuple(TITLES.get(name, name) for name in QUANTITIES), "Shift of the median response [%]", 0.0)


def generator_shift(results: Sequence[GeneratorShifts], region: Interval, intervals: Sequence[Interval]) -> Figure:
    """Alternative minus nominal median response of each flavor, and of R_uds - R_g, under each correction, in percent.

    Shows one region, with a panel for each interval of pT_gen; with bootstrap error bars.
    """
    panels = {
        interval: {
            each.correction: [in_percent(each.shifts[name].shift) for name in QUANTITIES]
            for each in results
            if (each.region, each.interval) == (region, interval)
        }
        for interval in intervals
    }
    figure = flavor_panels(SHOWN, region, panels)
    for axes in figure.axes:
        axes.axvline(len(QUANTITIES) - 1.5, color=GREY, linewidth=1)  # a difference of responses, not one
    return figure
