"""Processes that work on units side by side.

Belongs here: hearing how far each unit is. Does not belong here: what a unit does (`units.py`), and how processes start
and end (`jec_assets.pools`).
"""

from __future__ import annotations

import os
from concurrent.futures import FIRST_EXCEPTION, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from jec_assets.pools import CONTEXT, worker_pool
from jec_assets.simulation.errors import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future, ProcessPoolExecutor
    from ctypes import Array, c_longlong

_HEARD_EVERY = 0.5  # s
_done: Array[c_longlong]  # in a worker process: how far each unit is

Task = TypeVar("Task")
Result = TypeVar("Result")


@contextmanager
def unit_workers(jobs: int, most_units: int) -> Iterator[Workers]:
    """So many processes, for up to `most_units` units at a time; they end with the block."""
    done = CONTEXT.RawArray("q", most_units)
    with worker_pool(jobs, _prepare, done) as executor:
        yield Workers(executor, done)


class Workers:
    """Processes at work; see `unit_workers`."""

    def __init__(self, executor: ProcessPoolExecutor, done: Array[c_longlong]) -> None:
        self._executor, self._done = executor, done

    def run(
        self,
        work: Callable[[Task, Callable[[int], None]], Result],
        tasks: Sequence[Task],
        progress: Callable[[int], None],
    ) -> list[Result]:
        """Do `work(task, report)` for every task and give the results in order.

        `work` calls `report` with what it has done of its task; `progress` gets the sum over all tasks twice a second.
        """
        self._done[: len(tasks)] = [0] * len(tasks)
        futures = [self._executor.submit(_work, work, task, unit) for unit, task in enumerate(tasks)]
        try:
            self._listen(futures, progress)
            return [future.result() for future in futures]
        except BrokenProcessPool as broken:
            raise WorkerDiedError(
                "a worker process of the simulation was killed, most likely for want of memory (each needs about 300 "
                "MB): start the simulation again with fewer jobs, and it goes on with the files it lacks"
            ) from broken

    def _listen(self, futures: list[Future[Result]], progress: Callable[[int], None]) -> None:
        waiting = set(futures)
        while waiting:
            finished, waiting = wait(waiting, timeout=_HEARD_EVERY, return_when=FIRST_EXCEPTION)
            progress(sum(self._done[: len(futures)]))
            for future in finished:
                future.result()


def _prepare(done: Array[c_longlong]) -> None:
    global _done  # noqa: PLW0603 - an initializer has no other way to hand something to the tasks of its process
    _done = done
    # PYTHIA and FastJet write banners that would run through a progress bar.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)


def _work(work: Callable[[Task, Callable[[int], None]], Result], task: Task, unit: int) -> Result:
    def report(done: int) -> None:
        _done[unit] = done

    return work(task, report)
