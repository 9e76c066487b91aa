"""Retrainings as Dagster's instance knows them: by the tags of their runs.

Belongs here: reading runs and naming their tags. Does not belong here: what follows from them (`chain.py`,
`retraining.py`). Runs are the only record of what was started, so nothing can be started and not be known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from jec_assets.defs.automation.chain import Attempt, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection

RETRAINING = "jec/retraining"  # on every run of a retraining: its name
ACTION = "jec/action"  # `retrain` or `ingest`: which chain it is; `retrain` where it isn't said
CHANGE = "jec/change"  # the version of the change that it answers
FAILED = "jec/failed"  # on the runs of a stage: what failed in those before
PARTITION = "dagster/partition"

LOOK_BACK = 100  # runs of a job among which the latest retraining is looked for

_ENDED: dict[dg.DagsterRunStatus, Outcome] = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "canceled",
}


@dataclass(frozen=True)
class Retraining:
    """One retraining and all its runs so far, oldest first."""

    name: str
    action: str
    change: str | None
    attempts: tuple[Attempt, ...]


def latest_run(instance: dg.DagsterInstance, job: str) -> dg.DagsterRun | None:
    """The newest run of a job."""
    return next(iter(instance.get_runs(dg.RunsFilter(job_name=job), limit=1)), None)


def latest_retraining(instance: dg.DagsterInstance, first_job: str) -> Retraining | None:
    """The retraining whose first job was started last, by a sensor, a schedule or somebody who set the tag."""
    runs = instance.get_runs(dg.RunsFilter(job_name=first_job), limit=LOOK_BACK)
    tags = next((run.tags for run in runs if RETRAINING in run.tags), None)
    if tags is None:
        return None
    name = tags[RETRAINING]
    attempts = [_attempt(run) for run in reversed(instance.get_runs(dg.RunsFilter(tags={RETRAINING: name})))]
    return Retraining(name, tags.get(ACTION, "retrain"), tags.get(CHANGE), tuple(attempts))


def run_in_the_way(instance: dg.DagsterInstance, jobs: Collection[str], besides: str = "") -> dg.DagsterRun | None:
    """A run of these jobs that has not ended, but for those of the retraining of the name `besides`."""
    unfinished = [status for status in dg.DagsterRunStatus if status not in _ENDED]
    runs = instance.get_runs(dg.RunsFilter(statuses=unfinished))
    return next((run for run in runs if run.job_name in jobs and run.tags.get(RETRAINING) != besides), None)


def _attempt(run: dg.DagsterRun) -> Attempt:
    # A failed run that Dagster itself will start again has not ended.
    outcome = "running" if run.is_complete_and_waiting_to_retry else _ENDED.get(run.status, "running")
    return Attempt(run.job_name, run.tags.get(PARTITION), outcome)
