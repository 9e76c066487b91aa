"""Ten minutes at 80 % of the load that Triton keeps up with: no error, and no growth in memory.

`python -m benchmarks.sustained_load [SECONDS]`: the published PFN, one jet a request, which come at random (a Poisson
process) over 100 connections. First the knee is found (`jec_assets.serving.load`), then 80 % of it is kept up for
SECONDS, 600 unless given. Memory is what the server and its models' processes hold for themselves alone, or share with
each other (proportional set size), every few seconds; growth is the slope of a straight line through all but the first
fifth of the measurements, times the time between the ends of these. Not part of `make bench`: it takes as long as it
says.
"""

from __future__ import annotations

import sys
from threading import Event, Thread
from time import perf_counter

import numpy as np
import psutil

from benchmarks.served import served_networks

FAMILY = "pfn"
SECONDS, SHARE, EVERY = 600.0, 0.8, 2.0
DISTINCT = 512
MOST_GROWTH = 10.0  # MB: a hundred bytes for each request would be 60 MB
WARMED_UP = 0.2  # of the measurements


class Memory(Thread):
    """Megabytes of a process and of all below it, as time goes on."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self._ended = Event()
        self.measured: list[tuple[float, float]] = []

    def run(self) -> None:
        """Measure until `stop`."""
        while not self._ended.wait(EVERY):
            family = [self._process, *self._process.children(recursive=True)]
            self.measured.append((perf_counter(), sum(one.memory_full_info().pss for one in family) / 1e6))

    def stop(self) -> None:
        """No more."""
        self._ended.set()
        self.join()

    @property
    def growth(self) -> float:
        """Megabytes."""
        times, held = np.array(self.measured[int(WARMED_UP * len(self.measured)) :]).T
        slope = float(np.polyfit(times - times[0], held, 1)[0])
        return slope * float(times[-1] - times[0])


def main() -> None:
    """Print the knee, then what came of the load; AssertionError if a request failed or memory grew."""
    from jec_assets.serving.load import Knee, LoadPlan, Loads
    from jec_assets.serving.load_connection import single_jets

    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with served_networks([FAMILY]) as served:
        requests = single_jets(FAMILY, served.jets, served.sessions[FAMILY], DISTINCT, seed=1)
        loads, plan = Loads(served.endpoint.http, requests), LoadPlan(seconds=5.0)
        highest = max(loads.closed(clients, plan.seconds).rate for clients in plan.clients)
        opened = [loads.open(fraction * highest, plan.seconds, plan.seed) for fraction in plan.fractions]
        knee = Knee().of(opened)
        assert knee is not None, "the server keeps up with no load that was tried"
        print(f"closed loop: up to {highest:,.0f} answers per second; knee at {knee.rate:,.0f}", flush=True)
        assert served.endpoint.pid is not None
        memory = Memory(served.endpoint.pid)
        memory.start()
        point = loads.open(SHARE * knee.rate, seconds, plan.seed)
        memory.stop()
    p99 = 1e3 * float(np.percentile(point.times, 99))
    first, last = memory.measured[0][1], memory.measured[-1][1]
    print(
        f"{point.seconds:.0f} s at {point.rate:,.0f} requests per second: {point.answered:,} answered, {point.errors} "
        f"errors, {point.unanswered} waiting at the end; mean {1e3 * point.mean:.2f} ms, p99 {p99:.2f} ms; memory "
        f"{first:.1f} MB at first, {last:.1f} MB at last, growth {memory.growth:+.2f} MB"
    )
    assert point.errors == 0, "requests failed"
    assert memory.growth < MOST_GROWTH, "the server's memory grows"


if __name__ == "__main__":
    main()
