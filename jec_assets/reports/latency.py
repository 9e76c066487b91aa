"""Latency report: how fast the served networks answer (Figure 8)."""

from __future__ import annotations

import polars as pl

from jec_assets.plots.latency import PROTOCOLS, QUANTITIES, Quantity, latency
from jec_assets.reports import published
from jec_assets.reports.report import NOTHING, JsonValue, Report, ReportError, ReportFigure, Table, nested
from jec_assets.reports.text import count_text, title
from jec_assets.serving.latency import FEWEST_FOR_PERCENTILES

MILLISECONDS = {
    "round_trip_mean_ms": "Round trip, mean [ms]",
    "round_trip_p50_ms": "median [ms]",
    "round_trip_p95_ms": "95 % [ms]",
    "round_trip_p99_ms": "99 % [ms]",
    "compute_ms": "Compute [ms]",
    "queue_ms": "Queue [ms]",
    "overhead_ms": "Overhead [ms]",
}
GROUP = ("family", "protocol")
REQUIRED = (*GROUP, "batch_size", "repetitions", *MILLISECONDS, "jets_per_second")


def latency_report(latencies: pl.DataFrame) -> Report:
    """Describe latencies per family, protocol (http, grpc) and batch size; `ReportError` names a missing column."""
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
        f"Highest throughput: {'; '.join(_throughput(row) for row in fastest.iter_rows(named=True))}. "
        f"{_repetitions(ordered)}",
        (_table("Smallest and largest batches", _extremes(ordered)), _table("All batch sizes", ordered)),
        tuple(_figure(ordered, quantity) for quantity in QUANTITIES),
        {"latency": {"headline": _headline(ordered, fastest), "measurements": ordered.select(REQUIRED).to_dicts()}},
    )


def _throughput(row: dict[str, str | int | float]) -> str:
    protocol = PROTOCOLS[str(row["protocol"])].title
    return (
        f"{title(str(row['family']))}, {protocol}: {row['jets_per_second']:,.0f} jets per second "
        f"at {row['batch_size']} jets a request"
    )


def _repetitions(latencies: pl.DataFrame) -> str:
    repetitions = latencies["repetitions"].to_list()
    fewest, most = min(repetitions), max(repetitions)
    counts = count_text(most) if fewest == most else f"{count_text(fewest)} to {count_text(most)}"
    return f"Each batch size was measured with {counts} requests."


def _milliseconds(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _extremes(latencies: pl.DataFrame) -> pl.DataFrame:
    size = pl.col("batch_size")
    return latencies.filter((size == size.min()) | (size == size.max()))


def _table(name: str, latencies: pl.DataFrame) -> Table:
    return Table(
        name,
        ("Network", "Protocol", "Batch size", "Repetitions", *MILLISECONDS.values(), "Jets per second"),
        tuple(
            (
                title(row["family"]),
                PROTOCOLS[row["protocol"]].title,
                str(row["batch_size"]),
                str(row["repetitions"]),
                *(_milliseconds(row[name]) for name in MILLISECONDS),
                count_text(round(row["jets_per_second"])),
            )
            for row in latencies.iter_rows(named=True)
        ),
        (
            "Round trip: from before the request is serialized until the answer is an array again. Compute and queue: "
            "Triton's own statistics. Overhead: mean round trip without compute. Median and percentiles are left "
            f"out where there were fewer than {FEWEST_FOR_PERCENTILES} requests.",
            "Published jets per second at 2 and at 1024 jets a request: "
            + "; ".join(
                f"{title(family)}, {device}: {few:,} and {many:,}"
                for family, devices in published.THROUGHPUT.items()
                for device, (few, many) in devices.items()
            )
            + " (not comparable: other machines, and a cluster's network in between).",
        ),
        labels=3,
    )


def _figure(latencies: pl.DataFrame, quantity: Quantity) -> ReportFigure:
    last = latencies.group_by(GROUP, maintain_order=True).last()
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
