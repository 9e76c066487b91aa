"""The latency report's part on ONNX Runtime's graph levels.

Belongs here: its tables. Does not belong here: the times at the level that is served (`latency.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.plots.latency import PROTOCOLS
from jec_assets.reports.report import Table
from jec_assets.reports.text import count_text, milliseconds_text, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import polars as pl


def levels_table(levels: pl.DataFrame) -> Iterator[Table]:
    """The table, if there is anything in it; columns as `jec_assets.serving.level_latency` measures them."""
    if levels.is_empty():
        return
    yield Table(
        "Graph levels in ONNX Runtime",
        (
            "Network",
            "Batch size",
            "Graph level",
            "Repetitions",
            "Mean [ms]",
            "median [ms]",
            "Of level all",
            "Jets per second",
            "Largest difference",
        ),
        tuple(
            (
                title(row["family"]),
                str(row["batch_size"]),
                row["level"],
                str(row["repetitions"]),
                milliseconds_text(row["mean_ms"]),
                milliseconds_text(row["median_ms"]),
                f"{row['times_default']:.2f}",
                count_text(round(row["jets_per_second"])),
                f"{row['largest_difference']:.1e}",
            )
            for row in levels.iter_rows(named=True)
        ),
        (
            "Without a server, the levels in turn on the same jets. Of level all: median of the time over that at the "
            "level that is served unless another is chosen. Largest difference: of predictions from those at that "
            "level. Graphs are optimized at export already, so that levels differ little.",
        ),
        labels=3,
    )


def served_levels_table(levels: pl.DataFrame, times: Mapping[str, str]) -> Iterator[Table]:
    """The table, if there is anything in it; columns as `jec_assets.serving.served_levels` measures them.

    times: titles of the columns in milliseconds, by name
    """
    if levels.is_empty():
        return
    yield Table(
        "Graph levels, served",
        (
            "Network",
            "Graph level",
            "Protocol",
            "Batch size",
            "Repetitions",
            *times.values(),
            "Jets per second",
        ),
        tuple(
            (
                title(row["family"]),
                row["level"],
                PROTOCOLS[row["protocol"]].title,
                str(row["batch_size"]),
                str(row["repetitions"]),
                *(milliseconds_text(row[name]) for name in times),
                count_text(round(row["jets_per_second"])),
            )
            for row in levels.iter_rows(named=True)
        ),
        (
            "One level after the other, each served beside what is served, and in turn with the same level in this "
            "process: compare levels of one batch size with each other where nothing else ran.",
        ),
        labels=4,
    )
