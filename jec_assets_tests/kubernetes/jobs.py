"""The Jobs that the project makes: those of every step of every job and those of runs, built by dagster_k8s itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest import mock

import dagster as dg
import yaml
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job, get_user_defined_k8s_config
from kubernetes.client import ApiClient, V1Job

from jec_assets.definitions import build_defs
from jec_assets.settings import Settings
from jec_assets_tests.deployments.rendered import BASE, Manifest

RUN = "12345678-1234-1234-1234-123456789abc"


def all_jobs(settings: Settings) -> Iterator[tuple[str, V1Job]]:
    """Every Job with a name of its own, as the base's instance would make it."""
    launcher = _launcher()
    context = _context(launcher)
    yield "run", _made(launcher, context, f"dagster-run-{RUN}", "run_worker")
    tags = {
        node.name: node.definition.tags
        for job in build_defs(settings).get_repository_def().get_all_jobs()
        for node in job.nodes
    }
    for number, (step, step_tags) in enumerate(sorted(tags.items())):
        of_step = K8sContainerContext(run_k8s_config=get_user_defined_k8s_config(step_tags))
        yield step, _made(launcher, context.merge(of_step), f"dagster-step-{number:032d}", "step_worker")


def as_sent(job: V1Job) -> Manifest:
    """The Job as it goes over the wire."""
    manifest: Manifest = ApiClient().sanitize_for_serialization(job)
    return manifest


def _launcher() -> K8sRunLauncher:
    """The base's run launcher; no API server is asked."""
    config: dict[str, Any] = yaml.safe_load((BASE / "dagster.yaml").read_text())["run_launcher"]["config"]
    with mock.patch("dagster_k8s.launcher.load_kubernetes_config"):
        return K8sRunLauncher(**config | {"job_namespace": "jec"})


def _context(launcher: K8sRunLauncher) -> K8sContainerContext:
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(dg.JobDefinition(name="any", graph_def=dg.GraphDefinition(name="any")))
        return K8sContainerContext.create_for_run(run, launcher, include_run_tags=False)


def _made(launcher: K8sRunLauncher, context: K8sContainerContext, name: str, component: str) -> V1Job:
    return construct_dagster_k8s_job(
        job_config=context.get_k8s_job_config("jec-assets:cpu", launcher),
        args=["dagster", "--version"],
        job_name=name,
        pod_name=name,
        component=component,
        user_defined_k8s_config=context.run_k8s_config,
        labels={"dagster/job": "any"},
    )
