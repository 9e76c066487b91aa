"""How many requests a server stands, and how long they take under load.

Belongs here: many clients at once, in closed and open loop, and where the knee is. Does not belong here: one client's
latency (`latency.py`) and plots (`jec_assets.plots`).

Closed loop: so many clients, each of which asks again as soon as it is answered. Open loop: requests come at random, as
those of many who don't know of each other (a Poisson process), whether or not earlier ones are answered; time counts
from when a request came. Every answer is compared with what this process computes.

The knee is the highest rate of the open loop that the server keeps up with: see `Knee`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from jec_assets.serving.load_connection import LoadConnection, single_jets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.load_connection import LoadRequest
    from jec_assets.serving.runtime import JetSession

PERCENTILES = (50, 95, 99)
MANY = 100  # clients, and connections of an open loop
GRACE = 0.25  # seconds after the last request of an open loop: what is not answered then was waiting for longer
SILENCE = 30.0  # seconds after the end of a closed loop: what is not answered then won't be
SCHEMA = {
    "family": pl.String,
    "loop": pl.String,
    "clients": pl.Int64,
    "offered_per_second": pl.Float64,
    "answered_per_second": pl.Float64,
    "errors": pl.Int64,
    "unanswered": pl.Int64,
    "mean_ms": pl.Float64,
    **{f"p{percentile}_ms": pl.Float64 for percentile in PERCENTILES},
    "knee": pl.Boolean,
}


@dataclass(frozen=True)
class Knee:
    """When a server keeps up: few requests are lost or not yet answered at the end, and the mean time to the answer is
    not many times that at the lowest rate.
    """

    lost: float = 0.02
    times: float = 5.0

    def of(self, points: Sequence[LoadPoint]) -> LoadPoint | None:
        """The last of these points, of rising rates, up to which it keeps up; None where it never does."""
        knee = None
        for point in points:
            lost = (point.errors + point.unanswered) > self.lost * point.requests
            if lost or not point.answered or point.mean > self.times * points[0].mean:
                break
            knee = point
        return knee


@dataclass(frozen=True)
class LoadPlan:
    """What to measure: closed loops of so many clients, open loops at these fractions of the highest rate of those.

    seconds: of each. distinct: different single jets that are asked for in turn.
    """

    seconds: float
    clients: tuple[int, ...] = (1, 4, 16, MANY)
    fractions: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1)
    distinct: int = 512
    seed: int = 1


@dataclass(frozen=True)
class LoadPoint:
    """What came of one load. offered: requests per second that came, None of a closed loop; times in seconds."""

    clients: int
    offered: float | None
    seconds: float
    errors: int
    unanswered: int
    times: tuple[float, ...]

    @property
    def answered(self) -> int:
        """How many requests were answered rightly."""
        return len(self.times)

    @property
    def requests(self) -> int:
        """How many there were."""
        return self.answered + self.errors + self.unanswered

    @property
    def rate(self) -> float:
        """Right answers per second."""
        return self.answered / self.seconds

    @property
    def mean(self) -> float:
        """Mean time to the answer."""
        return float(np.mean(self.times))


def measure_load(
    endpoint: Endpoint,
    sessions: Mapping[str, JetSession],
    jets: PackedJets,
    plan: LoadPlan,
    progress: Callable[[str], None],
) -> pl.DataFrame:
    """One row per family and load, with the columns of SCHEMA: one jet a request, over HTTP, closed loops first.

    sessions: each family's model in this process. `knee` is True for the open loop that is it. Where every request
    fails, rows are of no rate and null times. `progress` gets a line per row.
    """
    rows = []
    for family, session in sessions.items():
        loads = Loads(endpoint.http, single_jets(family, jets, session, plan.distinct, plan.seed))
        closed = [loads.closed(clients, plan.seconds) for clients in plan.clients]
        highest = max(point.rate for point in closed)
        rates = [fraction * highest for fraction in sorted(plan.fractions)] if highest else []
        opened = [loads.open(rate, plan.seconds, plan.seed + number) for number, rate in enumerate(rates)]
        knee = Knee().of(opened)
        for point in (*closed, *opened):
            rows.append({"family": family, **_row(point, point is knee)})
            progress(f"{family} {rows[-1]['loop']} loop: {point.rate:,.0f} answers per second, {point.errors} errors")
    return pl.DataFrame(rows, SCHEMA, orient="row")


def _row(point: LoadPoint, is_knee: bool) -> dict[str, str | float | bool | None]:
    times = 1e3 * np.array(point.times)
    return {
        "loop": "closed" if point.offered is None else "open",
        "clients": point.clients,
        "offered_per_second": point.offered,
        "answered_per_second": point.rate,
        "errors": point.errors,
        "unanswered": point.unanswered,
        "mean_ms": float(times.mean()) if len(times) else None,
        **{f"p{which}_ms": float(np.percentile(times, which)) if len(times) else None for which in PERCENTILES},
        "knee": is_knee,
    }


class Loads:
    """Loads of one model on one server, host:port of HTTP; `requests` are asked for in turn, from the first on."""

    def __init__(self, address: str, requests: Sequence[LoadRequest]) -> None:
        self._address = address
        self._requests = requests

    def closed(self, clients: int, seconds: float) -> LoadPoint:
        """So many clients for so many seconds; what they have asked for by then is waited for.

        An error for each client that is not answered SILENCE after the seconds are over.
        """
        return asyncio.run(self._closed(clients, seconds))

    def open(self, rate: float, seconds: float, seed: int, connections: int = MANY) -> LoadPoint:
        """Requests at random times, `rate` a second on average, over so many connections.

        Those that are not answered GRACE after the seconds are over count as unanswered.
        """
        return asyncio.run(self._open(_Arrivals(rate, seconds, seed), connections))

    async def _closed(self, clients: int, seconds: float) -> LoadPoint:
        requests = cycle(self._requests)
        async with _connected(self._address, clients) as connections:
            tally = _Tally()
            end = tally.began + seconds

            async def client(connection: LoadConnection) -> None:
                came = tally.began
                try:
                    async with asyncio.timeout(seconds + SILENCE):  # once: for each request it would cost the load
                        while (came := time.perf_counter()) < end:
                            tally.count(came, await connection.ask(next(requests)))
                            await asyncio.sleep(0)  # a lost connection answers at once: others must have their turn
                except TimeoutError:
                    tally.count(came, False)

            await asyncio.gather(*map(client, connections))
        return tally.point(clients, None, 0)

    async def _open(self, arrivals: _Arrivals, connections: int) -> LoadPoint:
        waiting: asyncio.Queue[tuple[float, LoadRequest]] = asyncio.Queue()
        requests = cycle(self._requests)
        async with _connected(self._address, connections) as opened:

            async def pass_on(connection: LoadConnection) -> None:
                while True:
                    came, request = await waiting.get()
                    tally.count(came, await connection.ask(request))
                    waiting.task_done()

            tasks = [asyncio.create_task(pass_on(connection)) for connection in opened]
            tally = _Tally()
            number = 0
            async for came in arrivals:
                waiting.put_nowait((came, next(requests)))
                number += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(waiting.join(), GRACE)
            point = tally.point(connections, number / arrivals.seconds, number - tally.counted)
            for task in tasks:
                task.cancel()
        return point


@dataclass(frozen=True)
class _Arrivals:
    """A Poisson process: times of the performance counter, as they come."""

    rate: float
    seconds: float
    seed: int

    async def __aiter__(self) -> AsyncIterator[float]:
        random = np.random.default_rng(self.seed)
        due = time.perf_counter()
        end = due + self.seconds
        while (due := due + random.exponential(1 / self.rate)) < end:
            # Never less than a turn for the connections, however late this is.
            await asyncio.sleep(due - time.perf_counter())
            yield time.perf_counter()
        await asyncio.sleep(end - time.perf_counter())


class _Tally:
    """What came of requests since it was made."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self._times: list[float] = []
        self._errors = 0

    @property
    def counted(self) -> int:
        return len(self._times) + self._errors

    def count(self, came: float, right: bool) -> None:
        if right:
            self._times.append(time.perf_counter() - came)
        else:
            self._errors += 1

    def point(self, clients: int, offered: float | None, unanswered: int) -> LoadPoint:
        seconds = time.perf_counter() - self.began
        return LoadPoint(clients, offered, seconds, self._errors, unanswered, tuple(self._times))


@asynccontextmanager
async def _connected(address: str, number: int) -> AsyncIterator[list[LoadConnection]]:
    host, port = address.rsplit(":", 1)
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(LoadConnection, host, int(port)) for _ in range(number)]
    connections = [connection for _, connection in made]
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()
