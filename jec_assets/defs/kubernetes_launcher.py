"""The run launcher of a cluster's instance: `run_launcher` in dagster.yaml names it.

Belongs here: what dagster-k8s's launcher lacks. Does not belong here: how Jobs of runs look (dagster.yaml).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_k8s import K8sRunLauncher

if TYPE_CHECKING:
    from dagster import DagsterRun

GONE = "could not be found"  # how the base class says that the API server knows no such Job


class PatientK8sRunLauncher(K8sRunLauncher):
    """dagster-k8s's, which doesn't take a run for dead while the API server doesn't say what became of it.

    The monitor would start a second worker beside the first, and they would disturb each other.
    """

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """As the base class; RUNNING, until the next look, where the API server is away, overloaded or refuses."""
        found: CheckRunHealthResult = super().check_run_worker_health(run)
        if found.status != WorkerStatus.UNKNOWN or GONE in (found.msg or ""):
            return found
        return CheckRunHealthResult(WorkerStatus.RUNNING, f"the API server doesn't say: {found.msg}")
