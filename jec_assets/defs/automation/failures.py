"""The sensor that tells of failed runs.

Belongs here: what is told. Does not belong here: how it reaches a webhook (`webhook.py`).
"""

from __future__ import annotations

import dagster as dg

from jec_assets.defs.automation.webhook import Webhook, WebhookError
from jec_assets.defs.resources import SettingsParam
from jec_assets.settings import Settings

LONGEST = 500  # characters of an error that are told


def failed_runs_sensor() -> dg.SensorDefinition:
    """The sensor `failed_runs`: a log line for each failed run, and a message to JEC_FAILURE_WEBHOOK_FILE's URL."""

    @dg.run_failure_sensor(name="failed_runs", description="Tells of each failed run: in its log, and to a webhook.")
    def failed_runs(context: dg.RunFailureSensorContext, settings: SettingsParam) -> None:
        message = failure_message(context, settings)
        context.log.error(message["text"])
        if settings.failure_webhook_file is None:
            return
        try:
            Webhook(settings.failure_webhook_file).tell(message)
        except WebhookError as error:
            # The run's failure stands in the log either way, and the next one is to be told too.
            context.log.error(f"{error}; run {context.dagster_run.run_id} was not told")

    return failed_runs


def failure_message(context: dg.RunFailureSensorContext, settings: Settings) -> dict[str, str | None]:
    """What is told of a failed run; `text` alone is what Slack and Mattermost show.

    step and error: of the first step that failed; where none did, why the run itself failed.
    """
    run, steps = context.dagster_run, context.get_step_failure_events()
    first = steps[0] if steps else None
    error = first.step_failure_data.error if first else None
    said = (error.cause or error).message if error else context.failure_event.message
    line = next(iter((said or "").strip().splitlines()), "")[:LONGEST]
    url = f"{settings.ui_url.rstrip('/')}/runs/{run.run_id}" if settings.ui_url else None
    step = first.step_key if first else None
    where = f"{run.job_name}{f', step {step}' if step else ''}"
    return {
        "text": f"run {run.run_id} of {where} failed: {line}{f' {url}' if url else ''}",
        "job": run.job_name,
        "run_id": run.run_id,
        "step": step,
        "partition": run.tags.get("dagster/partition"),
        "experiment": run.tags.get("experiment"),
        "error": line,
        "url": url,
    }
