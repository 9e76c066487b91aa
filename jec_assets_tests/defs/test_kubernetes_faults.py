"""What an API server that refuses or garbles does to runs and steps; it stands in by the calls that it would answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_k8s import K8sRunLauncher

from jec_assets.defs.kubernetes_executor import WatchfulStepHandler
from jec_assets.defs.kubernetes_launcher import PatientK8sRunLauncher


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (CheckRunHealthResult(WorkerStatus.UNKNOWN, "ApiException: (403) Forbidden"), WorkerStatus.RUNNING),
        (CheckRunHealthResult(WorkerStatus.UNKNOWN, "ApiException: (429) Too Many Requests"), WorkerStatus.RUNNING),
        (CheckRunHealthResult(WorkerStatus.UNKNOWN, None), WorkerStatus.RUNNING),
        (CheckRunHealthResult(WorkerStatus.UNKNOWN, "Job dagster-run-1 could not be found"), WorkerStatus.UNKNOWN),
        (CheckRunHealthResult(WorkerStatus.FAILED, "K8s job failed"), WorkerStatus.FAILED),
    ],
)
def test_a_run_is_gone_only_where_the_api_server_says_so(
    found: CheckRunHealthResult, expected: WorkerStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(K8sRunLauncher, "check_run_worker_health", lambda *_: found)
    launcher = PatientK8sRunLauncher.__new__(PatientK8sRunLauncher)
    said = launcher.check_run_worker_health(cast("DagsterRun", None))
    assert said.status == expected
    assert (found.msg or "None") in (said.msg or "")


def test_a_step_is_lost_even_where_nobody_can_read_why() -> None:
    def garbled(*_: object) -> Any:
        raise UnicodeDecodeError("utf-8", b"\xe2\x82", 0, 2, "unexpected end of data")

    handler = WatchfulStepHandler.__new__(WatchfulStepHandler)
    pod = SimpleNamespace(metadata=SimpleNamespace(name="pod"))
    api = SimpleNamespace(get_pods_in_job=lambda *_: [pod], get_pod_debug_info=garbled, get_job_debug_info=garbled)
    handler._api_client = cast("Any", api)
    assert "job-1 can't be read: UnicodeDecodeError" in handler._why("job-1", "jec")
