"""The latency report's part on load: how many requests a second the server stands.

Belongs here: its table, figures and sentence. Does not belong here: the times of one client (`latency.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jec_assets.plots.load import load
from jec_assets.reports.report import NOTHING, ReportFigure, Table
from jec_assets.reports.text import count_text, milliseconds_text, title

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

LABELS = ("Network", "Requests come", "Clients")
LOOPS = {"closed": "clients", "open": "at random"}
TIMES = {"mean_ms": "Mean [ms]", "p50_ms": "median [ms]", "p95_ms": "95 % [ms]", "p99_ms": "99 % [ms]"}


def load_summary(loads: pl.DataFrame) -> str:
    """Where each family's knee is, as a sentence with a space before it; nothing if no load was measured."""
    if loads.is_empty():
        return ""
    knees = "; ".join(f"{title(family)} {_knee(loads, family)}" for family in _families(loads))
    return f" Requests for single jets, at random times, that the server keeps up with: {knees}."


def load_table(loads: pl.DataFrame) -> Iterator[Table]:
    """The table, if there is anything in it; columns as `jec_assets.serving.load` measures them."""
    if loads.is_empty():
        return
    yield Table(
        "Load",
        (*LABELS, "Offered per second", "Answered per second", *TIMES.values(), "Failed", "Waiting", "Knee"),
        tuple(_cells(row) for row in loads.iter_rows(named=True)),
        (
            "One jet a request, over HTTP; each answer is compared with what ONNX Runtime computes without a server. "
            "Clients: each asks again as soon as it is answered. At random: a Poisson process over so many "
            "connections; time counts from when a request came; waiting: not answered when the measurement ended. "
            "Knee: the highest rate up to which at most 2 % fail or wait, and the mean time is at most 5 times that "
            "at the lowest rate. Client and server share the machine.",
        ),
        labels=len(LABELS),
    )


def load_figures(loads: pl.DataFrame) -> Iterator[ReportFigure]:
    """A figure for each family of which something was answered."""
    for family in _families(loads.drop_nulls("mean_ms")):
        yield ReportFigure.of(
            load(loads, family),
            f"load_{family}",
            f"Load, {title(family)}",
            f"Time to the answer of {title(family)}, logarithmic, against requests per second, median and 95 %. "
            f"The server keeps up with {_knee(loads, family)}.",
        )


def _families(loads: pl.DataFrame) -> list[str]:
    return loads["family"].unique(maintain_order=True).to_list()


def _knee(loads: pl.DataFrame, family: str) -> str:
    knees = loads.filter("knee", family=family)["offered_per_second"].to_list()
    return f"{knees[0]:,.0f} per second" if knees else "no rate that was tried"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    offered = row["offered_per_second"]
    return (
        title(row["family"]),
        LOOPS[row["loop"]],
        str(row["clients"]),
        NOTHING if offered is None else count_text(round(offered)),
        count_text(round(row["answered_per_second"])),
        *(milliseconds_text(row[name]) for name in TIMES),
        count_text(row["errors"]),
        count_text(row["unanswered"]),
        "knee" if row["knee"] else NOTHING,
    )
