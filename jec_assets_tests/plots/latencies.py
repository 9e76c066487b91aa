"""Tables of latencies, of times at graph levels and of loads, with the columns that the benchmark writes."""

from __future__ import annotations

import polars as pl

from jec_assets.serving import latency, level_latency, load, served_levels
from jec_assets.serving.graph_levels import LEVELS

BATCH_SIZES = (2, 16, 1024)


def latency_table() -> pl.DataFrame:
    rows = []
    for family, per_jet in (("pfn", 0.03), ("particle_net", 2.0)):
        for protocol, overhead in (("http", 2.0), ("grpc", 1.0), ("in_process", None)):
            for size in BATCH_SIZES:
                compute = 1 + per_jet * size
                mean = compute + (overhead or 0)
                rows.append(
                    {
                        "family": family,
                        "protocol": protocol,
                        "batch_size": size,
                        "repetitions": 50,
                        "round_trip_mean_ms": mean,
                        "round_trip_p50_ms": 0.9 * mean,
                        "round_trip_p95_ms": 1.5 * mean,
                        "round_trip_p99_ms": 2.0 * mean,
                        "compute_ms": compute,
                        "queue_ms": None if overhead is None else 0.1,
                        "overhead_ms": overhead,
                        "times_in_process": None if overhead is None else mean / compute,
                        "jets_per_second": 1000 * size / mean,
                    }
                )
    return pl.DataFrame(rows, latency.SCHEMA, orient="row")


def level_table() -> pl.DataFrame:
    rows = [
        ("pfn", level, 64, 50, 2.0 * times, 1.9 * times, times, 32_000 / times, 1e-7 * (times - 1))
        for level, times in (("disabled", 1.5), ("basic", 1.2), ("extended", 1.0), ("all", 1.0))
    ]
    return pl.DataFrame(rows, level_latency.SCHEMA, orient="row")


def served_level_table() -> pl.DataFrame:
    times = latency_table().filter(family="pfn")
    levels = [times.with_columns(pl.lit(level).alias("level")) for level in LEVELS]
    return pl.concat(levels).select(*served_levels.SCHEMA)


def load_table() -> pl.DataFrame:
    closed = [
        ("pfn", "closed", clients, None, rate, 0, 0, 1.2 * time, time, 2 * time, 3 * time, False)
        for clients, rate, time in ((1, 1000.0, 1.0), (16, 4000.0, 4.0), (100, 4200.0, 24.0))
    ]
    opened = [
        ("pfn", "open", 100, rate, min(rate, 4100.0), 0, waiting, 1.2 * time, time, 2 * time, 3 * time, rate == 3200)
        for rate, time, waiting in ((800.0, 1.1, 0), (2000.0, 1.5, 1), (3200.0, 3.0, 2), (4400.0, 90.0, 300))
    ]
    dead = ("particle_net", "closed", 1, None, 0.0, 50, 0, None, None, None, None, False)
    return pl.DataFrame([*closed, *opened, dead], load.SCHEMA, orient="row")
