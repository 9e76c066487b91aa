"""Figures of the flavor dependence: median response per flavor (Figure 9 of the paper).

Belongs here: medians per flavor. Does not belong here: what another generator changes of them (`generator.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import FLAVORS
from jec_assets.plots.flavor_panels import FlavorAxes, flavor_panels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.response.flavor import FlavorDependence

SHOWN = FlavorAxes(tuple(FLAVORS), "Median response", 1.0)


def flavor_response(results: Sequence[FlavorDependence], region: Interval, intervals: Sequence[Interval]) -> Figure:
    """Median response of each flavor under each correction, with bootstrap error bars.

    Shows one region, with a panel for each interval of pT_gen.
    """
    panels = {
        interval: {
            each.correction: list(each.medians.values())
            for each in results
            if (each.region, each.interval) == (region, interval)
        }
        for interval in intervals
    }
    return flavor_panels(SHOWN, region, panels)
