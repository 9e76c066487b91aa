"""Latency report: how fast the networks answer, served and in one process (Figure 8), and how many requests at once.

Belongs here: the round trips of one client, and putting the report together. Does not belong here: its parts on graph
levels (`levels.py`) and load (`load.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from jec_assets.plots.latency import PROTOCOLS, QUANTITIES, Quantity, latency
from jec_assets.reports import published
from jec_assets.reports.levels import levels_table, served_levels_table
from jec_assets.reports.load import load_figures, load_summary, load_table
from jec_assets.reports.report import NOTHING, JsonValue, Report, ReportError, ReportFigure, Table, nested
from jec_assets.reports.text import count_text, milliseconds_text, title
from jec_assets.serving.latency import FEWEST_FOR_PERCENTILES

if TYPE_CHECKING:
    from collections.abc import Iterable

MILLISECONDS = {
    "round_trip_mean_ms": "Round trip, mean [ms]",
    "round_trip_p50_ms": "median [ms]",
    "round_trip_p95_ms": "95 % [ms]",
    "round_trip_p99_ms": "99 % [ms]",
    "compute_ms": "Compute [ms]",
    "queue_ms": "Queue [ms]",
    "overhead_ms": "Overhead [ms]",
}
TIMES_IN_PROCESS = "times_in_process"
LABELS = ("Network", "Protocol", "Batch size")
COLUMNS = (*LABELS, "Repetitions", *MILLISECONDS.values(), "Of in process", "Jets per second")
GROUP = ("family", "protocol")
REQUIRED = (*GROUP, "batch_size", "repetitions", *MILLISECONDS, TIMES_IN_PROCESS, "jets_per_second")


def latency_report(
    latencies: pl.DataFrame, levels: pl.DataFrame, loads: pl.DataFrame, served_levels: pl.DataFrame
) -> Report:
    """Describe latencies, times at each graph level, and loads; `ReportError` names a column that latencies lack.

    Tables as `jec_assets.serving` measures them: `latency.SCHEMA`, `level_latency.SCHEMA`, `load.SCHEMA`,
    `served_levels.SCHEMA`. All but the first may have no rows.
    """
    missing = [name for name in REQUIRED if name not in latencies.columns]
    if missing or latencies.is_empty():
        raise ReportError(
            f"the table of latencies has no {', '.join(missing) or 'rows'}: measure them again with latency_benchmark"
        )
    ordered = pl.concat(rows.sort("batch_size") for _, rows in latencies.group_by(GROUP, maintain_order=True))
    fastest = ordered.group_by(GROUP, maintain_order=True).agg(pl.all().sort_by("jets_per_second").last())
    return Report(
        "latency",
        "Latency",
        f"Highest throughput: {'; '.join(_throughput(row) for row in _by_http(fastest))}. "
        f"{_repetitions(ordered)}{load_summary(loads)}",
        (
            _table("Smallest and largest batches", _extremes(ordered)),
            _table("All batch sizes", ordered),
            *levels_table(levels),
            *served_levels_table(served_levels, MILLISECONDS),
            *load_table(loads),
        ),
        (*(_figure(ordered, quantity) for quantity in QUANTITIES), *load_figures(loads)),
        {
            "latency": {
                "headline": _headline(ordered, fastest),
                "measurements": ordered.select(REQUIRED).to_dicts(),
                "levels": levels.to_dicts(),
                "served_levels": served_levels.to_dicts(),
                "load": loads.to_dicts(),
            }
        },
    )


def _by_http(fastest: pl.DataFrame) -> Iterable[dict[str, str | int | float]]:
    """What people use as a rule; the others are in the table."""
    return fastest.filter(protocol="http").iter_rows(named=True)


def _throughput(row: dict[str, str | int | float]) -> str:
    protocol = PROTOCOLS[str(row["protocol"])].title
    return (
        f"{title(str(row['family']))}, {protocol}: {row['jets_per_second']:,.0f} jets per second "
        f"at {row['batch_size']} jets a request, in {row[TIMES_IN_PROCESS]:.2f} times what that takes without a server"
    )


def _times(ratio: float | None) -> str:
    return NOTHING if ratio is None else f"{ratio:.2f}"


def _repetitions(latencies: pl.DataFrame) -> str:
    repetitions = latencies["repetitions"].to_list()
    fewest, most = min(repetitions), max(repetitions)
    counts = count_text(most) if fewest == most else f"{count_text(fewest)} to {count_text(most)}"
    return f"Each batch size was measured with {counts} requests."


def _extremes(latencies: pl.DataFrame) -> pl.DataFrame:
    size = pl.col("batch_size")
    return latencies.filter((size == size.min()) | (size == size.max()))


def _table(name: str, latencies: pl.DataFrame) -> Table:
    return Table(
        name,
        (
            "Network",
            "Protocol",
            "Batch size",
            "Repetitions",
            *MILLISECONDS.values(),
            "Of in process",
            "Jets per second",
        ),
        tuple(
            (
                title(row["family"]),
                PROTOCOLS[row["protocol"]].title,
                str(row["batch_size"]),
                str(row["repetitions"]),
                *(milliseconds_text(row[name]) for name in MILLISECONDS),
                _times(row[TIMES_IN_PROCESS]),
                count_text(round(row["jets_per_second"])),
            )
            for row in latencies.iter_rows(named=True)
        ),
        (
            "Round trip: from before the request is serialized until the answer is an array again. Compute and queue: "
            "Triton's own statistics. Overhead: mean round trip without compute. Median and percentiles are left "
            f"out where there were fewer than {FEWEST_FOR_PERCENTILES} requests. In process: ONNX Runtime without a "
            "server, one thread, in turn with the others on the same jets. Of in process: median of the round trip "
            "over that time.",
            "Published jets per second at 2 and at 1024 jets a request: "
            + "; ".join(
                f"{title(family)}, {device}: {few:,} and {many:,}"
                for family, devices in published.THROUGHPUT.items()
                for device, (few, many) in devices.items()
            )
            + " (not comparable: other machines, and a cluster's network in between).",
        ),
        labels=len(LABELS),
    )


def _figure(latencies: pl.DataFrame, quantity: Quantity) -> ReportFigure:
    last = latencies.drop_nulls(quantity.column).group_by(GROUP, maintain_order=True).last()
    return ReportFigure.of(
        latency(latencies, quantity),
        quantity.column,
        quantity.title.split(" [")[0],
        f"{quantity.title} against batch size, both axes logarithmic. "
        + "; ".join(
            f"{title(row['family'])}, {PROTOCOLS[row['protocol']].title}: {row[quantity.column]:.4g} "
            f"at batch size {row['batch_size']}"
            for row in last.iter_rows(named=True)
        ),
    )


def _headline(ordered: pl.DataFrame, fastest: pl.DataFrame) -> dict[str, JsonValue]:
    """Per family and protocol: round trip of the smallest batch and the highest throughput."""
    smallest = ordered.group_by(GROUP, maintain_order=True).first().iter_rows(named=True)
    highest = fastest.iter_rows(named=True)
    return nested(
        entry
        for first, best in zip(smallest, highest, strict=True)
        for entry in (
            ((first["family"], first["protocol"], "smallest_batch_size"), first["batch_size"]),
            ((first["family"], first["protocol"], "smallest_batch_round_trip_ms"), first["round_trip_mean_ms"]),
            ((best["family"], best["protocol"], "jets_per_second"), best["jets_per_second"]),
            ((best["family"], best["protocol"], "batch_size"), best["batch_size"]),
        )
    )
