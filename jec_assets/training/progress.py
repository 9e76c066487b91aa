"""Saying how far a training is, often enough for a person and rarely enough for a log.

Belongs here: what is reported and when. Does not belong here: where it goes (a log line, a progress bar), which is up
to the caller's reporter. Time decides only what is reported, never what is computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

SECONDS_BETWEEN_REPORTS = 4.0


@dataclass(frozen=True)
class Progress:
    """Where a training stands: `step` of `steps` in `epoch` of `epochs`, from 1 on, and the latest step's figures.

    jets_per_second: over the epoch so far.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    learning_rate: float = 0.0
    gradient_norm: float = 0.0
    jets_per_second: float = 0.0

    def __str__(self) -> str:
        return f"epoch {self.epoch}/{self.epochs}, step {self.step}/{self.steps}, loss {self.loss:.5f}"

    @property
    def number(self) -> int:
        """The step, counted from 1 over all epochs."""
        return (self.epoch - 1) * self.steps + self.step


Reporter = Callable[[Progress], None]


class Throttle:
    """Hands on the first report, and later ones only when `seconds` have passed since the last that was handed on."""

    def __init__(
        self,
        reporter: Reporter,
        seconds: float = SECONDS_BETWEEN_REPORTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reporter = reporter
        self._seconds = seconds
        self._clock = clock
        self._due = clock()

    def __call__(self, progress: Progress) -> None:
        """Report, if it is time."""
        now = self._clock()
        if now >= self._due:
            self._due = now + self._seconds
            self._reporter(progress)


class Stopwatch:
    """Seconds since it was made, on top of those `before`."""

    def __init__(self, before: float = 0.0) -> None:
        self._zero = time.perf_counter() - before

    def seconds(self) -> float:
        """The seconds so far."""
        return time.perf_counter() - self._zero
