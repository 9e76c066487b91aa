"""The run launcher of a cluster's instance: `run_launcher` in dagster.yaml names it.

Belongs here: what dagster-k8s's launcher lacks. Does not belong here: how Jobs of runs look (dagster.yaml).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_k8s import K8sRunLauncher
from kubernetes.client import VersionApi
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from dagster import DagsterRun

SECONDS = 10  # that an API server may take to say its version


class PatientK8sRunLauncher(K8sRunLauncher):
    """dagster-k8s's, which doesn't take a run for dead while the API server can't be asked about it.

    The monitor would start a second worker beside the first, and they would disturb each other.
    """

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """As the base class; RUNNING, until the next look, where the API server doesn't answer."""
        found: CheckRunHealthResult = super().check_run_worker_health(run)
        if found.status != WorkerStatus.UNKNOWN:
            return found
        if self._api_answers():
            again: CheckRunHealthResult = super().check_run_worker_health(run)
            return again
        return CheckRunHealthResult(WorkerStatus.RUNNING, "nobody knows: the API server doesn't answer")

    def _api_answers(self) -> bool:
        """Whether the API server says anything; a refusal is an answer, an error of its own is none."""
        try:
            VersionApi(self._api_client.batch_api.api_client).get_code(_request_timeout=SECONDS)
        except HTTPError:
            return False
        except ApiException as error:
            return error.status is not None and error.status < 500
        return True
