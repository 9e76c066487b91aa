"""Every Job that the project makes suits the API server, today's schema and PodSecurity `restricted`."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes import client

from jec_assets.settings import Settings
from jec_assets_tests.deployments.rendered import Manifest
from jec_assets_tests.kubernetes.conftest import Cluster
from jec_assets_tests.kubernetes.jobs import all_jobs, as_sent

pytestmark = pytest.mark.needs("cluster")

ON_GPUS = Settings(executor="kubernetes", workers=2, trial_gpu_memory=15_000, alternative_source="s3://jec/other")
ON_CORES = Settings(executor="kubernetes", trial_gpus=False, trial_image="jec-assets:cpu")


@pytest.mark.parametrize("settings", [ON_GPUS, ON_CORES], ids=["gpus", "cores"])
def test_the_api_server_takes_every_job_and_drops_nothing(cluster: Cluster, namespace: str, settings: Settings) -> None:
    batch = client.BatchV1Api(cluster.api)
    for name, job in all_jobs(settings):
        sent = as_sent(job)
        job.spec.parallelism = 0  # nothing of it runs
        kept = as_sent(batch.create_namespaced_job(namespace, job))
        sent["spec"]["parallelism"] = 0
        assert _lost(sent, kept) == [], name


def _lost(sent: Any, kept: Any, path: str = "") -> list[str]:
    """Where what was kept lacks something of what was sent, or has it otherwise; quantities may be written anew."""
    if isinstance(sent, dict):
        if not isinstance(kept, dict):
            return [path]
        return [each for key, value in sent.items() for each in _lost(value, kept.get(key), f"{path}.{key}")]
    if isinstance(sent, list):
        if len(sent) != len(kept or []):
            return [path]
        return [each for number, value in enumerate(sent) for each in _lost(value, kept[number], f"{path}[{number}]")]
    return [] if sent == kept or (".resources." in path and _amount(sent) == _amount(kept)) else [f"{path}: {kept}"]


def _amount(quantity: str) -> float:
    from kubernetes.utils.quantity import parse_quantity

    return float(parse_quantity(quantity))


@pytest.mark.parametrize("settings", [ON_GPUS, ON_CORES], ids=["gpus", "cores"])
def test_the_schema_of_todays_kubernetes_knows_every_field(settings: Settings) -> None:
    import kubernetes_validate

    for _, job in all_jobs(settings):
        kubernetes_validate.validate(as_sent(job), kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("settings", [ON_GPUS, ON_CORES], ids=["gpus", "cores"])
def test_every_pod_is_restricted_and_bounded(settings: Settings) -> None:
    for name, job in all_jobs(settings):
        spec = as_sent(job)["spec"]
        assert spec["backoffLimit"] == 0, "a Pod that Kubernetes starts again leaves its step hanging"
        assert spec["ttlSecondsAfterFinished"] >= 3600, "the executor must find a Job that ended while it was away"
        _assert_restricted(spec["template"]["spec"])
        [container] = spec["template"]["spec"]["containers"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory", "ephemeral-storage"}
        assert container["resources"]["limits"].keys() >= {"memory", "ephemeral-storage"}
        assert {"name": "scratch", "mountPath": "/tmp"} in container["volumeMounts"]  # noqa: S108
        assert ("activeDeadlineSeconds" in spec) == (name != "run"), "run monitoring bounds runs"


def _assert_restricted(pod: Manifest) -> None:
    """As https://kubernetes.io/docs/concepts/security/pod-security-standards/ has it, and a read-only root besides."""
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert {kind for volume in pod["volumes"] for kind in volume if kind != "name"} <= {"emptyDir", "secret"}


def test_only_steps_that_have_the_endpoint_load_models_know_its_token() -> None:
    volumes = {name: as_sent(job)["spec"]["template"]["spec"]["volumes"] for name, job in all_jobs(ON_GPUS)}
    secrets = {
        (name, each["secret"]["secretName"]) for name, all_ in volumes.items() for each in all_ if "secret" in each
    }
    assert secrets == {("served_endpoint", "jec-endpoint"), ("latency_benchmark", "jec-endpoint")}


def test_only_runs_and_the_step_that_applies_the_endpoint_have_rights() -> None:
    accounts = {name: as_sent(job)["spec"]["template"]["spec"]["serviceAccountName"] for name, job in all_jobs(ON_GPUS)}
    assert {name for name, account in accounts.items() if account == "jec-run"} == {"run", "served_endpoint"}
    assert set(accounts.values()) == {"jec-run", "jec-code"}


def test_trials_ask_for_a_gpu_for_each_worker_and_for_nodes_that_have_them() -> None:
    pods = {name: as_sent(job)["spec"]["template"]["spec"] for name, job in all_jobs(ON_GPUS)}
    asks = {name for name, pod in pods.items() if "nvidia.com/gpu" in pod["containers"][0]["resources"]["limits"]}
    assert asks == {name for name in pods if name.endswith("__trial_model")}
    pod = pods["pfn__trial_model"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    required = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    [term] = required["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": ["14999"]}]
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}} in pod["volumes"]


def test_a_cluster_without_gpus_trains_on_cores() -> None:
    pods = {name: as_sent(job)["spec"]["template"]["spec"] for name, job in all_jobs(ON_CORES)}
    trial = pods["pfn__trial_model"]
    assert trial["containers"][0]["image"] == "jec-assets:cpu"
    assert "nvidia.com/gpu" not in trial["containers"][0]["resources"]["limits"]
    assert not {"tolerations", "affinity"} & trial.keys()
