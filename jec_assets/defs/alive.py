"""Signs of life: a line as an asset starts, and every few seconds while it works without anything to report.

Belongs here: that one decorator. Assets that count their own progress (trials, latencies) don't need it.
"""

import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import dagster as dg

SECONDS_BETWEEN_SIGNS = 8.0

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def alive(compute: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Log that an asset's function starts, and every few seconds until it returns that it still runs."""

    @wraps(compute)
    def computing(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        log, ended = dg.AssetExecutionContext.get().log, threading.Event()
        signs = threading.Thread(target=_show_signs, args=(log, ended), name="alive", daemon=True)
        log.info("started")
        signs.start()
        try:
            return compute(*args, **kwargs)
        finally:
            ended.set()
            signs.join()

    return computing


def _show_signs(log: dg.DagsterLogManager, ended: threading.Event) -> None:
    began = time.monotonic()
    while not ended.wait(SECONDS_BETWEEN_SIGNS):
        log.info(f"still running, {time.monotonic() - began:.0f} s")
