"""How long a served answer takes, and where the time goes.

Belongs here: timing requests and reading the server's statistics. Does not belong here: plots (`jec_assets.plots`) and
load by many clients at once.

Definitions (D. Holmberg, D. Golubovic, H. Kirschenmann, "Jet energy calibration with deep learning as a Kubeflow
pipeline", Section 5.2): round trip, from arrays to arrays in one client; compute, the server's own time for the model,
from Triton's statistics; overhead, the difference.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from jec_assets.serving.client import JetClient
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.transport import PROTOCOLS, Protocol, ServerStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.endpoint import Endpoint

BATCH_SIZES = tuple(2**power for power in range(1, 11))
FEWEST = 2  # repetitions, however slow
PERCENTILES = (50, 95, 99)
SCHEMA = {
    "family": pl.String,
    "protocol": pl.String,
    "batch_size": pl.Int64,
    "repetitions": pl.Int64,
    "round_trip_mean_ms": pl.Float64,
    **{f"round_trip_p{percentile}_ms": pl.Float64 for percentile in PERCENTILES},
    "compute_ms": pl.Float64,
    "queue_ms": pl.Float64,
    "overhead_ms": pl.Float64,
    "jets_per_second": pl.Float64,
}


@dataclass(frozen=True)
class LatencyPlan:
    """What to measure: each batch size with so many requests, but no more than fit into `seconds` (two at least)."""

    repetitions: int
    seconds: float = 1.0
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    seed: int = 1


@dataclass(frozen=True)
class _Cell:
    family: str
    protocol: Protocol
    batch_size: int


def measure(
    endpoint: Endpoint,
    families: Sequence[str],
    jets: PackedJets,
    plan: LatencyPlan,
    progress: Callable[[str], None],
) -> pl.DataFrame:
    """One row per family, protocol and batch size; columns as in SCHEMA, times in milliseconds, means where not said
    otherwise.

    Every request holds other random jets of `jets`, the same ones for each protocol and family. Statistics are the
    server's
    for the model: nobody else should be using it. `progress` gets a line per row.
    """
    rows = []
    for protocol in PROTOCOLS:
        with JetClient.of(endpoint, protocol) as client:
            for family in families:
                _warm_up(client, family, jets, plan)
                for batch_size in plan.batch_sizes:
                    row = _measure_cell(client, _Cell(family, protocol, batch_size), jets, plan)
                    rows.append(row)
                    progress(
                        f"{family} {protocol} batch {batch_size}: {row['round_trip_mean_ms']:.2f} ms, "
                        f"{row['repetitions']} times"
                    )
    return pl.DataFrame(rows, SCHEMA, orient="row")


def _warm_up(client: JetClient, family: str, jets: PackedJets, plan: LatencyPlan) -> None:
    """The first requests find the connection closed and the model's memory not yet allocated."""
    sizes = [size for size in plan.batch_sizes if size <= 64] or [min(plan.batch_sizes)]
    for size in (sizes[0], sizes[-1]):
        client.answer(family, next(_random_batches(jets, size, plan.seed)))


def _measure_cell(client: JetClient, cell: _Cell, jets: PackedJets, plan: LatencyPlan) -> dict[str, str | float]:
    batches = _random_batches(jets, cell.batch_size, plan.seed)
    before = client.statistics(cell.family)
    round_trips: list[float] = []
    deadline = time.perf_counter() + plan.seconds
    while len(round_trips) < plan.repetitions and (len(round_trips) < FEWEST or time.perf_counter() < deadline):
        batch = next(batches)
        start = time.perf_counter()
        client.answer(cell.family, batch)
        round_trips.append(time.perf_counter() - start)
    return _row(cell, np.array(round_trips), client.statistics(cell.family) - before)


def _row(cell: _Cell, round_trips: NDArray[np.float64], server: ServerStatistics) -> dict[str, str | float]:
    mean, compute = round_trips.mean(), server.compute / server.requests
    percentiles = np.percentile(round_trips, PERCENTILES)
    return {
        "family": cell.family,
        "protocol": cell.protocol,
        "batch_size": cell.batch_size,
        "repetitions": len(round_trips),
        "round_trip_mean_ms": 1e3 * mean,
        **{f"round_trip_p{which}_ms": 1e3 * value for which, value in zip(PERCENTILES, percentiles, strict=True)},
        "compute_ms": 1e3 * compute,
        "queue_ms": 1e3 * server.queue / server.requests,
        "overhead_ms": 1e3 * (mean - compute),
        "jets_per_second": cell.batch_size / mean,
    }


def _random_batches(jets: PackedJets, size: int, seed: int) -> Iterator[PaddedJets]:
    random = np.random.default_rng((seed, size))
    while True:
        yield PaddedJets.of(jets.take(random.integers(len(jets), size=size)))
