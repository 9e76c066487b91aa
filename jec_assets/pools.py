"""Pools of worker processes that never outlive the process that made them.

Belongs here: making and ending such a pool. Does not belong here: what workers do, and programs that are to outlive
their parent (`processes.py`).

Every worker holds the reading end of a pipe whose writing end only the parent has. Once the parent closes it, or is
gone in whatever way, the workers end at once, in the middle of a task.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

CONTEXT = multiprocessing.get_context("spawn")  # a fork would copy threads and locks of whoever forks


@contextmanager
def worker_pool(
    processes: int, prepare: Callable[..., None] | None = None, *arguments: object
) -> Iterator[ProcessPoolExecutor]:
    """An executor of so many processes, each of which first calls `prepare(*arguments)`.

    When the block ends, the processes have; when it ends with an exception, they don't finish what they are at.
    `arguments` may hold queues and shared arrays made by `CONTEXT`.
    """
    lifeline_end, lifeline = CONTEXT.Pipe(duplex=False)
    executor = ProcessPoolExecutor(
        processes, mp_context=CONTEXT, initializer=_start, initargs=(lifeline_end, prepare, arguments)
    )
    try:
        yield executor
    except BaseException:
        lifeline.close()
        raise
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        lifeline.close()
        lifeline_end.close()


def _start(lifeline_end: Connection, prepare: Callable[..., None] | None, arguments: tuple[object, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it closes the lifeline
    threading.Thread(target=_end_with_parent, args=(lifeline_end,), daemon=True).start()
    if prepare is not None:
        prepare(*arguments)


def _end_with_parent(lifeline_end: Connection) -> None:
    lifeline_end.poll(None)  # nothing is ever sent: it returns when the other end is closed
    os._exit(1)
