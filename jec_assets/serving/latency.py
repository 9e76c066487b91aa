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
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from jec_assets.serving.client import JetClient
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.transport import PROTOCOLS, ServerStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.endpoint import Endpoint

BATCH_SIZES = tuple(2**power for power in range(1, 11))
FEWEST = 2  # repetitions, however slow
FEWEST_FOR_PERCENTILES = 20  # of fewer requests a percentile far out is little but the slowest one
WARM_UP, WARM_UP_BATCH = 3, 64
PERCENTILES = (50, 95, 99)
Row = dict[str, float | None]
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
    """What to measure: each batch size with so many requests.

    seconds: no more requests than fit into them, two at least; None for no cap.
    """

    repetitions: int
    seconds: float | None
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    seed: int = 1


def measure(
    endpoint: Endpoint,
    families: Sequence[str],
    jets: PackedJets,
    plan: LatencyPlan,
    progress: Callable[[str], None],
) -> pl.DataFrame:
    """One row per family, protocol and batch size, with the columns of SCHEMA; times are means unless named otherwise.

    Percentiles are null where there were fewer than FEWEST_FOR_PERCENTILES requests.
    Every request holds other random jets of `jets`, the same ones for each protocol and family. Compute and queue come
    from the server's statistics of the model, so nobody else should be using it. `progress` gets a line per row.
    """
    rows = []
    for protocol in PROTOCOLS:
        with JetClient.of(endpoint, protocol) as client:
            for family in families:
                for row in _measure_family(client, family, jets, plan):
                    rows.append({"family": family, "protocol": protocol, **row})
                    progress(
                        f"{family} {protocol} batch {row['batch_size']}: {row['round_trip_mean_ms']:.2f} ms, "
                        f"{row['repetitions']} times"
                    )
    return pl.DataFrame(rows, SCHEMA, orient="row")


def _measure_family(client: JetClient, family: str, jets: PackedJets, plan: LatencyPlan) -> Iterator[Row]:
    # The first requests find the connection closed and the model's memory not yet allocated.
    before = client.statistics(family)
    for batch in islice(_random_batches(jets, WARM_UP_BATCH, plan.seed), WARM_UP):
        client.answer(family, batch)
    before = client.statistics(family, before.requests + WARM_UP)
    for size in plan.batch_sizes:
        round_trips = _round_trips(client, family, _random_batches(jets, size, plan.seed), plan)
        after = client.statistics(family, before.requests + len(round_trips))
        yield _row(size, round_trips, after - before)
        before = after


def _round_trips(
    client: JetClient, family: str, batches: Iterator[PaddedJets], plan: LatencyPlan
) -> NDArray[np.float64]:
    """Seconds of each request."""
    round_trips: list[float] = []
    deadline = time.perf_counter() + (inf if plan.seconds is None else plan.seconds)
    while len(round_trips) < plan.repetitions and (len(round_trips) < FEWEST or time.perf_counter() < deadline):
        batch = next(batches)
        start = time.perf_counter()
        client.answer(family, batch)
        round_trips.append(time.perf_counter() - start)
    return np.array(round_trips)


def _row(batch_size: int, round_trips: NDArray[np.float64], server: ServerStatistics) -> Row:
    mean, compute = round_trips.mean(), server.compute / server.requests
    return {
        "batch_size": batch_size,
        "repetitions": len(round_trips),
        "round_trip_mean_ms": 1e3 * mean,
        **_percentiles(round_trips),
        "compute_ms": 1e3 * compute,
        "queue_ms": 1e3 * server.queue / server.requests,
        "overhead_ms": 1e3 * (mean - compute),
        "jets_per_second": batch_size / mean,
    }


def _percentiles(round_trips: NDArray[np.float64]) -> Row:
    enough = len(round_trips) >= FEWEST_FOR_PERCENTILES
    return {
        f"round_trip_p{which}_ms": 1e3 * float(np.percentile(round_trips, which)) if enough else None
        for which in PERCENTILES
    }


def _random_batches(jets: PackedJets, size: int, seed: int) -> Iterator[PaddedJets]:
    random = np.random.default_rng((seed, size))
    while True:
        yield PaddedJets.of(jets.take(random.integers(len(jets), size=size)))
