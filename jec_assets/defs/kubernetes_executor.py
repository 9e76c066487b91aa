"""The executor that starts a Kubernetes Job for every step.

Belongs here: what dagster-k8s's executor lacks. Does not belong here: what the Jobs look like (`kubernetes.py`).

Imported only where JEC_EXECUTOR=kubernetes: dagster_k8s and the Kubernetes client take a second to import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
from dagster import _check as check
from dagster._core.definitions.executor_definition import multiple_process_executor_requirements
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.step_delegating import CheckStepHealthResult, StepDelegatingExecutor, StepHandlerContext
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.executor import K8sStepHandler

if TYPE_CHECKING:
    from dagster import Executor, InitExecutorContext


class ExecutorError(RuntimeError):
    """The instance cannot run steps on Kubernetes."""


class WatchfulStepHandler(K8sStepHandler):
    """dagster-k8s's, which says why a pod failed, and doesn't wait forever for one that was lost.

    A Job that has lost its pod (deleted, evicted, its node gone) may start a second one. That one finds its step begun,
    leaves it alone and exits with 0, and the Job counts as complete (dagster-io/dagster#33755).
    """

    def __init__(self, launcher: K8sRunLauncher) -> None:
        super().__init__(
            image=None,
            container_context=K8sContainerContext(),
            load_incluster_config=launcher.load_incluster_config,
            kubeconfig_file=launcher.kubeconfig_file,
        )
        self._complete: set[str] = set()

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """As the base class; a Job that was complete at the last check already is one whose step was lost.

        All that a step writes into the event log is there before its Job is complete, and is read between two checks.
        """
        said = super().check_step_health(step_handler_context)
        job_name = self._get_k8s_step_job_name(step_handler_context)
        namespace = check.not_none(self._get_container_context(step_handler_context).namespace)
        if not said.is_healthy:
            return CheckStepHealthResult.unhealthy(f"{said.unhealthy_reason}\n{self._why(job_name, namespace)}")
        status = self._api_client.get_job_status(job_name, namespace)
        if status is None or not status.succeeded:
            return said
        if job_name not in self._complete:
            self._complete.add(job_name)
            return said
        return CheckStepHealthResult.unhealthy(
            f"Kubernetes job {job_name} is complete, but its step never ended: its first pod was lost"
        )

    def _why(self, job_name: str, namespace: str) -> str:
        """What Kubernetes knows of a Job and its pods: exit codes, want of memory, evictions, ends of logs."""
        try:
            pods = self._api_client.get_pods_in_job(job_name, namespace)
            said = [self._api_client.get_pod_debug_info(pod.metadata.name, namespace, pod) for pod in pods]
            return "\n".join([self._api_client.get_job_debug_info(job_name, namespace), *said])
        except Exception as fault:  # noqa: BLE001  the step is lost whether or not this can be read (half a character)
            return f"What Kubernetes knows of {job_name} can't be read: {fault!r}"


@dg.executor(name="kubernetes", requirements=multiple_process_executor_requirements())
def kubernetes_executor(init_context: InitExecutorContext) -> Executor:
    """A Job for every step, as `dagster_k8s.k8s_job_executor` makes them, with `WatchfulStepHandler`.

    Raises ExecutorError where the instance's run launcher isn't K8sRunLauncher: Jobs of steps look as it says.
    """
    launcher = init_context.instance.run_launcher
    if not isinstance(launcher, K8sRunLauncher):
        raise ExecutorError(
            "JEC_EXECUTOR=kubernetes needs K8sRunLauncher in dagster.yaml, see deployments/kubernetes/base/dagster.yaml"
        )
    return StepDelegatingExecutor(WatchfulStepHandler(launcher), RetryMode.ENABLED, should_verify_step=True)
