"""JEC_NODES: what a trial's step takes then, and what the nodes that it starts do."""

from __future__ import annotations

import kubernetes_validate

from jec_assets.defs.kubernetes import TRIAL_HOURS, nodes_of, trial_tags
from jec_assets.settings import Settings
from jec_assets.storage import Storage
from jec_assets.training.nodes.indexed_job import indexed_job
from jec_assets.training.nodes.pods import pod_like
from jec_assets_tests.training.nodes.samples import OWN, a_start

ALONE = Settings(executor="kubernetes", workers=2, trial_gpu_memory=40_000, trial_image="jec-assets:gpu")
TOGETHER = ALONE.model_copy(update={"nodes": 3})


def test_one_node_is_the_steps_own() -> None:
    assert nodes_of(ALONE) is None
    assert nodes_of(TOGETHER.model_copy(update={"executor": "in_process"})) is None


def test_a_step_that_follows_nodes_takes_no_gpu_and_may_start_them() -> None:
    config = trial_tags(TOGETHER)["dagster-k8s/config"]
    assert "nvidia.com/gpu" not in config["container_config"]["resources"]["limits"]
    assert config["pod_spec_config"]["service_account_name"] == "jec-training"
    assert config["job_spec_config"]["active_deadline_seconds"] > TRIAL_HOURS * 3600


def test_each_node_takes_what_a_trial_alone_would(storage: Storage) -> None:
    nodes = nodes_of(TOGETHER)
    assert nodes is not None
    assert (nodes.count, nodes.workers, nodes.kind, nodes.namespace) == (3, 2, "indexed_job", "jec")
    pod = pod_like(OWN, nodes.needs)
    service, job = indexed_job(a_start(storage, nodes=nodes.count, workers=nodes.workers, pod=pod))
    for manifest in (service, job):
        kubernetes_validate.validate(manifest, "1.31", strict=True)
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert container["image"] == "jec-assets:gpu"
    assert container["envFrom"] == OWN["spec"]["containers"][0]["envFrom"]
    assert {"name": "shared-memory", "mountPath": "/dev/shm"} in container["volumeMounts"]  # noqa: S108
    assert spec["serviceAccountName"] == "jec-code"
    assert spec["tolerations"][0]["key"] == "nvidia.com/gpu"
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms[0]["matchExpressions"][0]["key"] == "nvidia.com/gpu.memory"
