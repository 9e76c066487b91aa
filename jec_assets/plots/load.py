"""Figure of the time to an answer against the load that a server is under.

Belongs here: many clients. Does not belong here: one (`latency.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from jec_assets.plots.latency import label_log_scale
from jec_assets.plots.style import GREY, INK, appearance, cms_style, legend_below, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TIMES = {"p50_ms": ("median", "-"), "p95_ms": ("95 %", "--")}


def load(loads: pl.DataFrame, family: str) -> Figure:
    """Median and 95th percentile of the time to an answer against the requests that come per second, of one family.

    Filled markers: requests that come at random. Open ones: clients that ask again as soon as they are answered, with
    their number. `loads` has the columns family, loop (open, closed), clients, offered_per_second (null of closed
    loops), answered_per_second, the percentiles and knee; loads under which nothing was answered are left out.
    """
    with cms_style():
        figure = new_figure()
        axes = figure.subplots()
        answered = (
            loads.drop_nulls(list(TIMES))
            .filter(family=family)
            .with_columns(pl.coalesce("offered_per_second", "answered_per_second").alias("rate"))
        )
        for loop, fill in (("open", "full"), ("closed", "none")):
            _draw_loop(axes, family, answered.filter(loop=loop), fill)
        for row in answered.filter(loop="closed").iter_rows(named=True):
            place = (row["rate"], row["p50_ms"])
            axes.annotate(f"{row['clients']}", place, (8, -4), textcoords="offset points", fontsize="x-small")
        _mark_knee(axes, answered.filter("knee"))
        _finish(axes, appearance(family).title)
        legend_below(figure, axes, columns=2)
    return figure


def _draw_loop(axes: Axes, family: str, rows: pl.DataFrame, fill: str) -> None:
    look = appearance(family)
    kind = {"full": "at random", "none": "clients"}[fill]
    for column, (title, line) in TIMES.items():
        axes.plot(
            rows["rate"].to_list(),
            rows[column].to_list(),
            line,
            marker=look.marker,
            fillstyle=fill,
            markersize=8,
            color=look.color if fill == "full" else GREY,
            label=f"{kind}, {title}",
        )


def _mark_knee(axes: Axes, knee: pl.DataFrame) -> None:
    for row in knee.iter_rows(named=True):
        axes.axvline(row["rate"], color=INK, linewidth=1, linestyle=":", label=f"knee, {row['rate']:,.0f} per second")


def _finish(axes: Axes, title: str) -> None:
    label_log_scale(axes)
    axes.margins(0.08, 0.12)
    axes.set_xlim(left=0)
    axes.text(0.03, 0.96, title, transform=axes.transAxes, verticalalignment="top")
    axes.set_xlabel("Requests per second, one jet each")
    axes.set_ylabel("Time to the answer [ms]")
