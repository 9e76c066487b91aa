"""Which step asks for what on a cluster, and how steps are run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import dagster as dg
import pytest

from jec_assets.definitions import build_defs
from jec_assets.defs import kubernetes
from jec_assets.models.families import FAMILIES
from jec_assets.settings import Settings

CLUSTER = Settings(executor="kubernetes", alternative_source="elsewhere")
KINDS = {
    "SMALL": kubernetes.SMALL,
    "READING": kubernetes.READING,
    "EVALUATION": kubernetes.EVALUATION,
    "SERVING": kubernetes.SERVING,
    "LATENCY": kubernetes.LATENCY,
    "trial": kubernetes.trial_tags(CLUSTER),
}
EXPECTED = {
    "jet_files": "SMALL",
    "standard_correction": "READING",
    "filtered_jets": "READING",
    "filtered_jets_jets_fulfill_their_schema": "EVALUATION",
    "filtered_jets_every_file_was_read": "SMALL",
    "alternative_jets": "READING",
    "train_jets": "EVALUATION",
    "validation_jets": "EVALUATION",
    "test_jets": "EVALUATION",
    **{f"{family}__trial_model": "trial" for family in FAMILIES},
    **{f"{family}__best_model": "SMALL" for family in FAMILIES},
    "onnx_repository": "EVALUATION",
    "served_endpoint": "SERVING",
    "served_endpoint_answers_as_published": "EVALUATION",
    "latency_benchmark": "LATENCY",
    "calibrated_test_jets": "EVALUATION",
    "calibrated_validation_jets": "EVALUATION",
    "calibrated_alternative_jets": "EVALUATION",
    "residual_corrections": "EVALUATION",
    "calibration_report": "SMALL",
}
REPORTS = ("complexity", "correction", "dataset", "flavor", "generator", "jet_resolution", "loss", "resolution")
EXPECTED |= {f"{name}_report": "EVALUATION" for name in (*REPORTS, "response", "search")}


def _config(tags: dict[str, Any]) -> Any:
    config = tags["dagster-k8s/config"]
    return json.loads(config) if isinstance(config, str) else config


def _steps(settings: Settings) -> dict[str, dg.OpDefinition]:
    jobs = build_defs(settings).get_repository_def().get_all_jobs()
    return {node.name: node.definition for job in jobs for node in job.nodes}  # type: ignore[misc]


def test_every_step_asks_for_what_its_kind_takes() -> None:
    asked = {name: _config(step.tags) for name, step in _steps(CLUSTER).items()}
    kinds = {name: [kind for kind, tags in KINDS.items() if _config(tags) == config] for name, config in asked.items()}
    assert kinds == {name: [kind] for name, kind in EXPECTED.items()}


def test_a_limit_is_never_below_what_is_requested() -> None:
    for tags in KINDS.values():
        resources = _config(tags)["container_config"]["resources"]
        for name in ("memory", "ephemeral-storage"):
            request, limit = (int(resources[of][name].removesuffix("Mi")) for of in ("requests", "limits"))
            assert 0 < request < limit


@pytest.mark.parametrize(("workers", "threads", "cores"), [(1, 1, "1000m"), (4, 1, "4000m"), (2, 3, "6000m")])
def test_a_trial_has_a_gpu_and_cores_for_each_worker(workers: int, threads: int, cores: str) -> None:
    settings = Settings(executor="kubernetes", workers=workers, threads=threads)
    resources = _config(kubernetes.trial_tags(settings))["container_config"]["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == str(workers)
    assert resources["requests"]["cpu"] == cores


@pytest.mark.parametrize("executor", ["in_process", "multiprocess", "kubernetes"])
def test_pools_and_retries_are_a_clusters(executor: Any) -> None:
    on_cluster = executor == "kubernetes"
    settings = Settings(executor=executor)
    assert build_defs(settings).executor.name == executor  # type: ignore[union-attr]
    for name, step in _steps(settings).items():
        of_a_trial = on_cluster and name.endswith("__trial_model")
        assert step.pools == ({"gpu"} if of_a_trial else set()), name
        assert (step.retry_policy is not None) == of_a_trial, name
    for job in build_defs(settings).get_repository_def().get_all_jobs():
        parts = on_cluster and job.name in {"ingest", "trials", "publish"}
        assert (job._op_retry_policy is not None) == parts, job.name


def test_the_parts_are_the_whole() -> None:
    repository = build_defs(CLUSTER).get_repository_def()
    nodes = {job.name: {node.name for node in job.nodes} for job in repository.get_all_jobs()}
    assert nodes["ingest"] | nodes["trials"] | nodes["publish"] == nodes["calibration"]
    assert nodes["trials"] == {f"{family}__trial_model" for family in CLUSTER.families}
    assert not nodes["ingest"] & nodes["publish"]
    assert repository.get_job("trials").partitions_def is not None
    assert repository.get_job("ingest").partitions_def is None
    assert repository.get_job("publish").partitions_def is None


def test_one_machine_needs_no_kubernetes() -> None:
    code = "import sys, jec_assets.definitions; sys.exit(bool({'dagster_k8s', 'kubernetes'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
