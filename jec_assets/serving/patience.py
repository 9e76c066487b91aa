"""How long a client waits, and how often it asks again.

Belongs here: deadlines, and which failures are worth another attempt after which pause. Does not belong here: what is
asked for (`client.py`, `async_client.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict, TypeVar

from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
    wait_random,
)

from jec_assets.serving.transport import DeadlineError, ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity.retry import retry_base
    from tenacity.stop import stop_base
    from tenacity.wait import wait_base

T = TypeVar("T")
FIRST_PAUSE = 0.1  # seconds; each further one is twice as long, and a little more


class Retries(TypedDict):
    """Arguments of tenacity's `Retrying` and `AsyncRetrying`."""

    retry: retry_base
    wait: wait_base
    stop: stop_base
    reraise: bool


@dataclass(frozen=True)
class Patience:
    """What a client's calls may take.

    request: seconds for one request. call: seconds for a whole call, all its requests and pauses together; None for no
    end. attempts: at each request, with growing pauses between them, while the server can't be reached or is too busy.
    Asking again changes nothing on the server.
    """

    request: float = 60.0
    call: float | None = None
    attempts: int = 5

    def deadline(self) -> Deadline:
        """The end of a call that begins now."""
        return Deadline(self, time.monotonic())


@dataclass(frozen=True)
class Deadline:
    """The end of a call. began: of the monotonic clock."""

    patience: Patience
    began: float

    def seconds(self) -> float:
        """How long the next request may take; DeadlineError if there is no time left for one."""
        left = self._left()
        if left is not None and left <= 0:
            raise DeadlineError(f"the call was not answered within {self.patience.call:g} s")
        return self.patience.request if left is None else min(self.patience.request, left)

    def kept(self, ask: Callable[[float], T]) -> T:
        """What `ask` returns, given how long it may take: at once or, while the server is unavailable, another time.

        Raises what `ask` does, and DeadlineError.
        """
        try:
            return ask(self.seconds())
        except ServerUnavailableError as error:
            first = [error]

        # Retrying takes a good part of a single jet's time, so that it is told of the first attempt afterwards.
        def again() -> T:
            if first:
                raise first.pop()
            return ask(self.seconds())

        return Retrying(**self.retries())(again)

    def retries(self) -> Retries:
        """When a request that begins now is made again: at once never, and never after the call's end."""
        left, stop = self._left(), stop_after_attempt(self.patience.attempts)
        return {
            "retry": retry_if_exception_type(ServerUnavailableError),
            "wait": wait_exponential(multiplier=FIRST_PAUSE) + wait_random(0, FIRST_PAUSE),
            "stop": stop if left is None else stop | stop_before_delay(left),
            "reraise": True,
        }

    def _left(self) -> float | None:
        call = self.patience.call
        return None if call is None else self.began + call - time.monotonic()
