"""A table of latencies with the columns that the benchmark writes."""

from __future__ import annotations

import polars as pl

BATCH_SIZES = (2, 16, 1024)


def latency_table() -> pl.DataFrame:
    rows = []
    for family, per_jet in (("pfn", 0.03), ("particle_net", 2.0)):
        for protocol, overhead in (("http", 2.0), ("grpc", 1.0)):
            for size in BATCH_SIZES:
                compute = 1 + per_jet * size
                mean = compute + overhead
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
                        "queue_ms": 0.1,
                        "overhead_ms": overhead,
                        "jets_per_second": 1000 * size / mean,
                    }
                )
    return pl.DataFrame(rows)
