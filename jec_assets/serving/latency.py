"""How long a served answer takes, and where the time goes.

Belongs here: timing requests of one client beside the same model in this process, and reading the server's statistics.
Does not belong here: plots (`jec_assets.plots`), graph levels (`level_latency.py`) and many clients at once
(`load.py`).

Definitions (D. Holmberg, D. Golubovic, H. Kirschenmann, "Jet energy calibration with deep learning as a Kubeflow
pipeline", Section 5.2): round trip, from arrays to arrays in one client; compute, the server's own time for the model,
from Triton's statistics; overhead, the difference. In this process, compute is all there is.

All ways to an answer take turns, in rounds: each round asks for the same jets every way, one after the other, so that
what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from jec_assets.serving.client import JetClient
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.transport import PROTOCOLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.metadata import ServerStatistics
    from jec_assets.serving.runtime import JetSession

IN_PROCESS = "in_process"
WAYS = (*PROTOCOLS, IN_PROCESS)
BATCH_SIZES = tuple(2**power for power in range(1, 11))
FEWEST = 2  # repetitions, however slow
FEWEST_FOR_PERCENTILES = 20  # of fewer requests a percentile far out is little but the slowest one
WARM_UP, WARM_UP_BATCH = 3, 64
PERCENTILES = (50, 95, 99)
Row = dict[str, str | float | None]
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
    "times_in_process": pl.Float64,
    "jets_per_second": pl.Float64,
}


@dataclass(frozen=True)
class LatencyPlan:
    """What to measure: each batch size with so many rounds.

    seconds: for a batch size, all ways together; two rounds at least; None for no cap.
    """

    repetitions: int
    seconds: float | None
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    seed: int = 1

    def rounds(self, jets: PackedJets, batch_size: int) -> Iterator[PaddedJets]:
        """Random jets for each round, until there were enough or time is over."""
        end = time.perf_counter() + (inf if self.seconds is None else self.seconds)
        for number, batch in enumerate(islice(random_batches(jets, batch_size, self.seed), self.repetitions)):
            if number >= FEWEST and time.perf_counter() > end:
                return
            yield batch


def measure(
    endpoint: Endpoint,
    sessions: Mapping[str, JetSession],
    jets: PackedJets,
    plan: LatencyPlan,
    progress: Callable[[str], None],
) -> pl.DataFrame:
    """One row per family, way and batch size, with the columns of SCHEMA; times are means unless named otherwise.

    sessions: by family, the model that is served, in this process. `protocol` is http, grpc or in_process;
    `times_in_process` the median over rounds of the round trip over the time in this process. Percentiles are null
    where there were fewer than FEWEST_FOR_PERCENTILES rounds, and in this process nothing waits or is overhead. Every
    round holds other random jets of `jets`, the same ones for each family. Compute and queue come from the server's
    statistics of the model, so nobody else should be using it. `progress` gets a line per family and batch size.
    """
    rows: list[Row] = []
    with ExitStack() as stack:
        clients = {protocol: stack.enter_context(JetClient.of(endpoint, protocol)) for protocol in PROTOCOLS}
        for family, session in sessions.items():
            ways = [_Served(family, protocol, client) for protocol, client in clients.items()]
            for size in plan.batch_sizes:
                found = _measure_size([*ways, _InProcess(session)], plan, jets, size)
                rows += [{"family": family, **row} for row in found]
                progress(f"{family} batch {size}: {_line(found)}")
    return pl.DataFrame(rows, SCHEMA, orient="row").sort(
        pl.col("family").replace_strict({family: place for place, family in enumerate(sessions)}, default=0),
        pl.col("protocol").replace_strict({way: place for place, way in enumerate(WAYS)}, default=0),
        maintain_order=True,
    )


def random_batches(jets: PackedJets, size: int, seed: int) -> Iterator[PaddedJets]:
    """Batches of so many random jets, drawn with replacement, without end."""
    random = np.random.default_rng((seed, size))
    while True:
        yield PaddedJets.of(jets.take(random.integers(len(jets), size=size)))


@dataclass
class _Timed:
    """Round trips of one way, in seconds, and what the server says of them."""

    round_trips: list[float] = field(default_factory=list)
    server: ServerStatistics | None = None


class _Served:
    """A model that a server answers with."""

    def __init__(self, family: str, protocol: str, client: JetClient) -> None:
        self.name = protocol
        self._family, self._client = family, client

    def ask(self, batch: PaddedJets, timed: _Timed) -> None:
        """One request, and its share of the server's statistics."""
        before = self._client.statistics(self._family)
        start = time.perf_counter()
        self._client.answer(self._family, batch)
        timed.round_trips.append(time.perf_counter() - start)
        spent = self._client.statistics(self._family, before.requests + 1) - before
        timed.server = spent if timed.server is None else timed.server + spent


class _InProcess:
    """The same model without a server."""

    name = IN_PROCESS

    def __init__(self, session: JetSession) -> None:
        self._session = session

    def ask(self, batch: PaddedJets, timed: _Timed) -> None:
        """One call of ONNX Runtime."""
        start = time.perf_counter()
        self._session.answers(batch)
        timed.round_trips.append(time.perf_counter() - start)


def _measure_size(
    ways: Sequence[_Served | _InProcess], plan: LatencyPlan, jets: PackedJets, batch_size: int
) -> list[Row]:
    # The first requests find connections closed, and memory for such a batch not yet allocated.
    for batch in islice(random_batches(jets, min(batch_size, WARM_UP_BATCH), plan.seed), WARM_UP):
        for way in ways:
            way.ask(batch, _Timed())
    timed = {way.name: _Timed() for way in ways}
    for number, batch in enumerate(plan.rounds(jets, batch_size)):
        for place in range(len(ways)):
            way = ways[(place + number) % len(ways)]
            way.ask(batch, timed[way.name])
    alone = np.array(timed[IN_PROCESS].round_trips)
    return [_row(name, batch_size, of, alone) for name, of in timed.items()]


def _row(way: str, batch_size: int, timed: _Timed, alone: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Row:
    round_trips = np.array(timed.round_trips)
    mean, server = float(round_trips.mean()), timed.server
    compute = mean if server is None else server.compute / server.requests
    return {
        "protocol": way,
        "batch_size": batch_size,
        "repetitions": len(round_trips),
        "round_trip_mean_ms": 1e3 * mean,
        **_percentiles(round_trips),
        "compute_ms": 1e3 * compute,
        "queue_ms": None if server is None else 1e3 * server.queue / server.requests,
        "overhead_ms": None if server is None else 1e3 * (mean - compute),
        "times_in_process": None if server is None else float(np.median(round_trips / alone)),
        "jets_per_second": batch_size / mean,
    }


def _percentiles(round_trips: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Row:
    enough = len(round_trips) >= FEWEST_FOR_PERCENTILES
    return {
        f"round_trip_p{which}_ms": 1e3 * float(np.percentile(round_trips, which)) if enough else None
        for which in PERCENTILES
    }


def _line(rows: Sequence[Row]) -> str:
    times = ", ".join(f"{row['protocol']} {row['round_trip_mean_ms']:.2f} ms" for row in rows)
    return f"{times}, {rows[0]['repetitions']} times"
