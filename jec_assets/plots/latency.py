"""Figures of the networks' speed against batch size, served and in one process (Figure 8 of the paper).

Belongs here: one client. Does not belong here: many at once (`load.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jec_assets.plots.style import GREY, appearance, cms_style, new_figure

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


COLUMNS = 3  # of the legend
SHORT = 50.0  # an axis from some value to so many times that


@dataclass(frozen=True)
class Protocol:
    """How a way to an answer is drawn and called: open markers keep lines apart that lie on one another."""

    title: str
    line: Literal["-", "--", ":"]
    fill: Literal["full", "none", "bottom"]


PROTOCOLS = {
    "http": Protocol("HTTP", "-", "full"),
    "grpc": Protocol("gRPC", "--", "none"),
    "in_process": Protocol("in process", ":", "bottom"),
}


@dataclass(frozen=True)
class Quantity:
    """A column of the table of latencies and what its axis is called."""

    column: str
    title: str


ROUND_TRIP = Quantity("round_trip_mean_ms", "Round trip [ms]")
COMPUTE = Quantity("compute_ms", "Compute [ms]")
OVERHEAD = Quantity("overhead_ms", "Overhead [ms]")
THROUGHPUT = Quantity("jets_per_second", "Jets per second")
QUANTITIES = (ROUND_TRIP, COMPUTE, OVERHEAD, THROUGHPUT)


def latency(latencies: pl.DataFrame, quantity: Quantity) -> Figure:
    """One quantity against batch size, a line per family and protocol that has it.

    `latencies` has the columns family, protocol (http, grpc, in_process), batch_size and the quantity's, which is null
    where a protocol does not have it.
    """
    with cms_style():
        figure = new_figure()
        axes = figure.subplots()
        ordered = latencies.drop_nulls(quantity.column).sort("batch_size", maintain_order=True)
        groups = ordered.group_by(["family", "protocol"], maintain_order=True)
        for (family, name), rows in groups:
            look, protocol = appearance(str(family)), PROTOCOLS[str(name)]
            axes.plot(
                rows["batch_size"].to_list(),
                rows[quantity.column].to_list(),
                protocol.line,
                marker=look.marker,
                fillstyle=protocol.fill,
                markersize=8,
                color=look.color,
                label=f"{look.title}, {protocol.title}",
            )
        _finish(axes, sorted(set(latencies["batch_size"])), quantity)
        handles = _legend(ordered)
        figure.legend(handles=handles, loc="outside lower center", ncols=COLUMNS)
    return figure


def _legend(drawn: pl.DataFrame) -> list[Line2D]:
    """Colors and markers are families, lines and fillings protocols: their product would be too much for a legend."""
    from matplotlib.lines import Line2D

    families = [appearance(family) for family in drawn["family"].unique(maintain_order=True)]
    protocols = [PROTOCOLS[name] for name in drawn["protocol"].unique(maintain_order=True)]
    return [
        *(Line2D([], [], color=look.color, marker=look.marker, linestyle="", label=look.title) for look in families),
        *(
            Line2D([], [], color=GREY, marker="o", linestyle=each.line, fillstyle=each.fill, label=each.title)
            for each in protocols
        ),
    ]


def _finish(axes: Axes, batch_sizes: list[int], quantity: Quantity) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log", base=2)
    axes.set_xticks(batch_sizes, [str(size) for size in batch_sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    label_log_scale(axes)
    axes.set_xlabel("Batch size [jets]")
    axes.set_ylabel(quantity.title)


def label_log_scale(axes: Axes) -> None:
    """A logarithmic y axis with plain numbers, at 2 and 5 too where there is room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.yaxis.set_minor_formatter(plain if high < SHORT * low else NullFormatter())
