"""The latency report's part on ONNX Runtime's graph levels.

Belongs here: its table. Does not belong here: the times of a server (`latency.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.reports.report import Table
from jec_assets.reports.text import count_text, milliseconds_text, title

if TYPE_CHECKING:
    from collections.abc import Iterator

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
