"""What happens by the clock, and how fresh things have to be."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from jec_assets.definitions import build_defs
from jec_assets.defs.automation.runs import RETRAINING
from jec_assets.settings import Settings

MOMENT = datetime(2026, 7, 4, 2, tzinfo=UTC)


def evaluate(settings: Settings, instance: dg.DagsterInstance, name: str) -> dg.RunRequest | str:
    """What a schedule does at MOMENT: a run, or why none."""
    schedule = build_defs(settings).get_repository_def().get_schedule_def(name)
    context = dg.build_schedule_context(instance, scheduled_execution_time=MOMENT)
    with context:
        data = schedule.evaluate_tick(context)
    return data.run_requests[0] if data.run_requests else str(data.skip_message)


def test_times_and_zone_are_settings() -> None:
    settings = Settings(calibration_cron="30 1 * * 0", endpoint_check_cron="0 6 * * *", timezone="Europe/Zurich")
    schedules = {each.name: each for each in build_defs(settings).get_repository_def().schedule_defs}
    assert {name: (each.cron_schedule, each.execution_timezone) for name, each in schedules.items()} == {
        "calibration_schedule": ("30 1 * * 0", "Europe/Zurich"),
        "endpoint_check_schedule": ("0 6 * * *", "Europe/Zurich"),
    }
    assert all(each.default_status == dg.DefaultScheduleStatus.STOPPED for each in schedules.values())


@pytest.mark.parametrize(("executor", "job"), [("in_process", "calibration"), ("kubernetes", "ingest")])
def test_retraining_by_the_clock(instance: dg.DagsterInstance, executor: str, job: str) -> None:
    settings = Settings(executor=executor)
    request = evaluate(settings, instance, "calibration_schedule")
    assert isinstance(request, dg.RunRequest)
    assert request.tags[RETRAINING] == request.run_key == "scheduled-2026-07-04T02-00"
    schedule = build_defs(settings).get_repository_def().get_schedule_def("calibration_schedule")
    assert schedule.job_name == job


def test_not_while_something_writes(instance: dg.DagsterInstance) -> None:
    run = instance.add_run(dg.DagsterRun("trials", status=dg.DagsterRunStatus.STARTED))
    assert evaluate(Settings(), instance, "calibration_schedule") == f"run {run.run_id} of trials has not ended"


def test_the_endpoint_is_asked_by_the_clock(instance: dg.DagsterInstance) -> None:
    assert isinstance(evaluate(Settings(), instance, "endpoint_check_schedule"), dg.RunRequest)


def test_windows_of_freshness_are_settings() -> None:
    settings = Settings(report_days=8, endpoint_days=4)
    graph = build_defs(settings).get_repository_def().asset_graph
    policies = {key.to_user_string(): graph.get(key).freshness_policy for key in graph.materializable_asset_keys}
    assert {name: policy for name, policy in policies.items() if policy} == {
        "calibration_report": dg.FreshnessPolicy.time_window(timedelta(days=8), timedelta(days=6)),
        "served_endpoint": dg.FreshnessPolicy.time_window(timedelta(days=4), timedelta(days=3)),
    }
