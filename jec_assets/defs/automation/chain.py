"""A retraining as a chain of jobs: what of it has run, and what is to be started next.

Belongs here: deciding that from the attempts so far, and nothing else: no instance, no storage, no clock. So whoever
asks twice gets the same answer, and what was decided but never started is decided again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["running", "succeeded", "failed", "canceled"]


@dataclass(frozen=True)
class Stage:
    """A job of the chain; one that has partitions is run once for each of them, all at the same time."""

    job: str
    partitions: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str | None, ...]:
        """What runs by itself: each partition, or the whole."""
        return self.partitions or (None,)


@dataclass(frozen=True)
class Attempt:
    """A run of a stage's part (None: the whole stage)."""

    job: str
    part: str | None
    outcome: Outcome


@dataclass(frozen=True)
class Launch:
    """A run to be started; number: of the attempt, from 1."""

    job: str
    part: str | None
    number: int

    @property
    def key(self) -> str:
        """What it is called among all runs of its retraining."""
        return "/".join(filter(None, (self.job, self.part, str(self.number))))


@dataclass(frozen=True)
class Progress:
    """Where a retraining stands: in which stage, or in which it ended.

    launches: what is to be started now. failed: what has failed for good so far, as `job` or `job part`.
    """

    outcome: Outcome
    stage: str
    launches: tuple[Launch, ...] = ()
    failed: tuple[str, ...] = ()


def progress(stages: Sequence[Stage], attempts: Sequence[Attempt], most_attempts: int) -> Progress:
    """Where a chain stands after these attempts, oldest first.

    Parts of a stage that failed are tried again, `most_attempts` times in all; those that somebody canceled are not.
    The next stage begins when all parts have ended and one of them well: a best model is chosen among the trials that
    there are.
    """
    failed: list[str] = []
    for stage in stages:
        tried = {part: _outcomes(stage.job, part, attempts) for part in stage.parts}
        due = [part for part, outcomes in tried.items() if _is_due(outcomes, most_attempts)]
        latest = {part: outcomes[-1] for part, outcomes in tried.items() if part not in due}
        lost = {part: outcome for part, outcome in latest.items() if outcome in {"failed", "canceled"}}
        failed += [" ".join(filter(None, (stage.job, part))) for part in lost]
        if due or "running" in latest.values():
            launches = tuple(Launch(stage.job, part, len(tried[part]) + 1) for part in due)
            return Progress("running", stage.job, launches, tuple(failed))
        if len(lost) == len(tried):
            outcome: Outcome = "failed" if "failed" in lost.values() else "canceled"
            return Progress(outcome, stage.job, failed=tuple(failed))
    return Progress("succeeded", stages[-1].job, failed=tuple(failed))


def _outcomes(job: str, part: str | None, attempts: Sequence[Attempt]) -> list[Outcome]:
    return [each.outcome for each in attempts if (each.job, each.part) == (job, part)]


def _is_due(outcomes: Sequence[Outcome], most_attempts: int) -> bool:
    return not outcomes or (outcomes[-1] == "failed" and len(outcomes) < most_attempts)
