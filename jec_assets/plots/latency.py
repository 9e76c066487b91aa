"""Figures of the served networks' speed against batch size (Figure 8 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jec_assets.plots.style import appearance, cms_style, legend_below, new_figure

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Protocol:
    """How a protocol is drawn and called: open markers keep lines apart that lie on one another."""

    title: str
    line: str
    fill: Literal["full", "none"]


PROTOCOLS = {"http": Protocol("HTTP", "-", "full"), "grpc": Protocol("gRPC", "--", "none")}


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
    """One quantity against batch size, a line per family and protocol.

    `latencies` has the columns family, protocol (http, grpc), batch_size and the quantity's.
    """
    with cms_style():
        figure = new_figure()
        axes = figure.subplots()
        ordered = latencies.sort("batch_size", maintain_order=True)
        for (family, name), rows in ordered.group_by(["family", "protocol"], maintain_order=True):
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
        legend_below(figure, axes, columns=2)
    return figure


def _finish(axes: Axes, batch_sizes: list[int], quantity: Quantity) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(batch_sizes, [str(size) for size in batch_sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel("Batch size [jets]")
    axes.set_ylabel(quantity.title)
