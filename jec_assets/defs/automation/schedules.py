"""What happens by the clock: `calibration_schedule` and `endpoint_check_schedule`.

Belongs here: when, and what not to start then. The jobs are in `jobs.py`.
"""

from __future__ import annotations

import dagster as dg

from jec_assets.defs.automation.retraining import WRITING_JOBS, stages_of
from jec_assets.defs.automation.runs import ACTION, RETRAINING, run_in_the_way
from jec_assets.settings import Settings


def schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """Both schedules, stopped until somebody switches them on."""
    return [calibration_schedule(settings), endpoint_check_schedule(settings)]


def calibration_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Retraining by the clock, whether files arrived or not. On a cluster the sensor `retraining` carries it on."""

    @dg.schedule(
        settings.calibration_cron,
        name="calibration_schedule",
        job_name=stages_of(settings, "retrain")[0].job,
        execution_timezone=settings.timezone,
        description="Retrains by the clock. On a cluster it starts `ingest`; the sensor `retraining`, which has to be "
        "on, starts the jobs behind it.",
    )
    def by_the_clock(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        other = run_in_the_way(context.instance, WRITING_JOBS)
        if other is not None:
            return dg.SkipReason(f"run {other.run_id} of {other.job_name} has not ended")
        name = f"scheduled-{context.scheduled_execution_time:%Y-%m-%dT%H-%M}"
        return dg.RunRequest(name, tags={RETRAINING: name, ACTION: "retrain"})

    return by_the_clock


def endpoint_check_schedule(settings: Settings) -> dg.ScheduleDefinition:
    """Asks the endpoint by the clock whether it answers as published."""
    return dg.ScheduleDefinition(
        name="endpoint_check_schedule",
        job_name="endpoint_check",
        cron_schedule=settings.endpoint_check_cron,
        execution_timezone=settings.timezone,
        description="Asks the endpoint whether it still answers what the published models compute.",
    )
