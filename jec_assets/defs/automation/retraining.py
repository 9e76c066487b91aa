"""The sensor that retrains as files arrive, and takes every retraining from stage to stage.

Belongs here: putting together what the source holds, what was calibrated, what has run, and what to do about it. Does
not belong here: each of these (`jec_assets.jets.arrivals`, `runs.py`, `chain.py`).

Nothing is remembered between two looks but since when the source is quiet (the cursor). What is known comes from where
it happened: files from the source, calibrated files from storage, runs from the instance. So a look that dies at any
point, or a daemon that starts anew, loses nothing and starts nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from jec_assets.defs.automation.chain import Launch, Progress, Stage, progress
from jec_assets.defs.automation.runs import (
    ACTION,
    CHANGE,
    FAILED,
    RETRAINING,
    Retraining,
    latest_retraining,
    latest_run,
    run_in_the_way,
)
from jec_assets.defs.resources import SettingsParam, StorageParam
from jec_assets.jets.arrivals import Change, Policy, Sighting, calibrated_files, change_between, ingested_files
from jec_assets.jets.sources import list_files
from jec_assets.search.sampler import trial_key
from jec_assets.settings import Settings
from jec_assets.storage import Storage, digest_of

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

# Jobs that write what a retraining writes: one of them at a time.
WRITING_JOBS = ("calibration", "calibration_full", "ingest", "trials", "publish")
NAME_LENGTH = 12  # digits of a retraining's name


@dataclass(frozen=True)
class Look:
    """What came of one look: runs to start, the reason for them or for none, and the cursor (None: as before)."""

    reason: str
    requests: tuple[dg.RunRequest, ...] = ()
    cursor: str | None = None


def stages_of(settings: Settings, action: str) -> tuple[Stage, ...]:
    """The jobs that an action (`retrain`, `ingest`) runs, one after the other."""
    if action == "ingest":
        return (Stage("ingest"),)
    if settings.executor != "kubernetes":
        return (Stage("calibration"),)
    trials = tuple(trial_key(number) for number in range(settings.trials))
    return Stage("ingest"), Stage("trials", trials), Stage("publish")


def retraining_sensor(settings: Settings, jobs: Sequence[UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """The sensor `retraining`, which starts some of these jobs."""

    @dg.sensor(
        name="retraining",
        jobs=[job for job in jobs if job.name in WRITING_JOBS],
        minimum_interval_seconds=settings.arrivals_seconds,
        description="Retrains (or only ingests) when enough files of the source are new, changed or gone, and takes "
        "each retraining from one job to the next. One at a time.",
    )
    def retraining(
        context: dg.SensorEvaluationContext, settings: SettingsParam, storage: StorageParam
    ) -> dg.SensorResult:
        seen = look(context.instance, settings, storage, context.cursor, time.time())
        context.log.info(seen.reason)
        if not seen.requests:
            return dg.SensorResult(skip_reason=seen.reason, cursor=seen.cursor)
        if settings.arrivals_dry_run:
            named = ", ".join(" ".join(filter(None, (each.job_name, each.partition_key))) for each in seen.requests)
            return dg.SensorResult(
                skip_reason=f"dry run: {seen.reason}; would start {named}. JEC_ARRIVALS_DRY_RUN=false lets it",
                cursor=seen.cursor,
            )
        return dg.SensorResult(run_requests=[*seen.requests], cursor=seen.cursor)

    return retraining


def look(instance: dg.DagsterInstance, settings: Settings, storage: Storage, cursor: str | None, now: float) -> Look:
    """Go on with the latest retraining, or begin one if it has ended and the source gives reason to.

    now: seconds since 1970. Raises SourceError where the source cannot be listed whole.
    """
    first_job = stages_of(settings, settings.arrivals)[0].job
    latest = latest_retraining(instance, first_job)
    standing = _standing(settings, latest)
    if latest is not None and standing.outcome == "running":
        return _go_on(instance, latest, standing)
    files = list_files(settings.source, settings.max_files, storage.s3)
    sighting = Sighting.of(files, now, cursor)
    known = calibrated_files(storage) if settings.arrivals == "retrain" else ingested_files(storage)
    change = change_between(known, files)
    hindrance = (
        _too_early(change, policy_of(settings), sighting, now)
        or _answered_already(change, latest, standing)
        or _other_run(instance)
    )
    if hindrance is not None:
        return Look(f"{change}; {hindrance}", cursor=sighting.as_text())
    before = latest_run(instance, first_job)
    # Named after the run before it too, so that the same change, made, undone and made again, has another name.
    name = digest_of([before.run_id if before else None, change.version])[:NAME_LENGTH]
    tags = {RETRAINING: name, ACTION: settings.arrivals, CHANGE: change.version}
    requests = _requests([Launch(first_job, None, 1)], tags)
    return Look(f"{change}; retraining {name} begins", requests, sighting.as_text())


def policy_of(settings: Settings) -> Policy:
    """When a change is reason enough, as the settings say."""
    return Policy(settings.arrivals_min_files, settings.arrivals_min_percent, settings.arrivals_quiet_seconds)


def _standing(settings: Settings, latest: Retraining | None) -> Progress:
    if latest is None:
        return Progress("succeeded", "")
    return progress(stages_of(settings, latest.action), latest.attempts, settings.arrivals_attempts)


def _go_on(instance: dg.DagsterInstance, latest: Retraining, standing: Progress) -> Look:
    told = f"retraining {latest.name}: {standing.stage}"
    failed = ", ".join(standing.failed)
    if not standing.launches:
        return Look(f"{told} is running")
    other = _other_run(instance, besides=latest.name)
    if other is not None:
        return Look(f"{told} {other}")
    tags = {RETRAINING: latest.name, ACTION: latest.action, CHANGE: latest.change, FAILED: failed}
    requests = _requests(standing.launches, {name: value for name, value in tags.items() if value})
    return Look(f"{told} begins{f' without {failed}, which failed' if failed else ''}", requests)


def _too_early(change: Change, policy: Policy, sighting: Sighting, now: float) -> str | None:
    if not policy.is_reached_by(change):
        return f"less than {policy}"
    wait = sighting.wait(policy, now)
    return f"enough, if nothing else changes for {wait:.0f} s" if wait else None


def _answered_already(change: Change, latest: Retraining | None, standing: Progress) -> str | None:
    if latest is None or latest.change != change.version:
        return None
    if standing.outcome == "succeeded":
        return (
            f"retraining {latest.name} of this change ended well, and storage doesn't show it: look whether its runs "
            "have the JEC_SOURCE and JEC_STORAGE_ROOT that this sensor has"
        )
    return (
        f"retraining {latest.name} of this change ended as {standing.outcome} ({', '.join(standing.failed)}): "
        f"re-execute its last run, or run {standing.stage} by hand; the next change begins another"
    )


def _other_run(instance: dg.DagsterInstance, besides: str = "") -> str | None:
    other = run_in_the_way(instance, WRITING_JOBS, besides)
    return f"waits for run {other.run_id} of {other.job_name}" if other else None


def _requests(launches: Sequence[Launch], tags: dict[str, str]) -> tuple[dg.RunRequest, ...]:
    return tuple(
        dg.RunRequest(f"{tags[RETRAINING]}/{each.key}", job_name=each.job, partition_key=each.part, tags=tags)
        for each in launches
    )
