"""Processes that work on units side by side.

Belongs here: starting and ending the processes, and hearing how far each unit is. Does not belong here: what a unit
does (`units.py`).

Every process holds the reading end of a pipe whose writing end only the parent has. Once the parent closes it, or is
gone in whatever way, the processes end at once, in the middle of a unit: no process outlives its parent.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, TypeVar

from jec_assets.simulation.errors import WorkerDiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from ctypes import Array, c_longlong
    from multiprocessing.connection import Connection
    from types import TracebackType

_HEARD_EVERY = 0.5  # s
_done: Array[c_longlong]  # in a worker process: how far each unit is

Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers:
    """A context with `jobs` processes, for up to `most_units` units at a time."""

    def __init__(self, jobs: int, most_units: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._done = context.RawArray("q", most_units)
        self._lifeline_end, self._lifeline = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            jobs, mp_context=context, initializer=_start, initargs=(self._lifeline_end, self._done)
        )

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._lifeline.close()  # do not wait for units that nobody wants any more
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._lifeline.close()
        self._lifeline_end.close()

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


def _start(lifeline_end: Connection, done: Array[c_longlong]) -> None:
    """Prepare a worker process."""
    global _done  # noqa: PLW0603 - an initializer has no other way to hand something to the tasks of its process
    _done = done
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it closes the lifeline
    threading.Thread(target=_end_with_parent, args=(lifeline_end,), daemon=True).start()
    # PYTHIA and FastJet write banners that would run through a progress bar.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)


def _end_with_parent(lifeline_end: Connection) -> None:
    lifeline_end.poll(None)  # nothing is ever sent: it returns when the other end is closed
    os._exit(1)


def _work(work: Callable[[Task, Callable[[int], None]], Result], task: Task, unit: int) -> Result:
    def report(done: int) -> None:
        _done[unit] = done

    return work(task, report)
