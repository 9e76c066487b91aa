"""The manifests that start machines: valid for Kubernetes, and for Kubeflow's own schemas where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from jec_assets.storage import Storage
from jec_assets.training.nodes.indexed_job import INDEX, indexed_job
from jec_assets.training.nodes.kubeflow import RANK, pytorch_job, train_job
from jec_assets.training.nodes.pods import pod_like
from jec_assets.training.nodes.start import COMPONENT, Start
from jec_assets_tests.training.nodes.samples import OWN, OWNER, POD, a_start

Manifest = dict[str, Any]
VERSION = "1.31"
SCHEMAS = "JEC_KUBEFLOW_SCHEMAS"
KUBEFLOW = {"PyTorchJob": "kubeflow.org_pytorchjobs", "TrainJob": "trainer.kubeflow.org_trainjobs"}
KUBEFLOW |= {"TrainingRuntime": "trainer.kubeflow.org_trainingruntimes"}


@pytest.fixture
def start(storage: Storage) -> Start:
    return a_start(storage, nodes=3, workers=2)


def pods_of(manifest: Manifest) -> list[Manifest]:
    """Every pod's template in a manifest."""
    if isinstance(manifest, list):
        return [pod for each in manifest for pod in pods_of(each)]
    if not isinstance(manifest, dict):
        return []
    found = [manifest] if "containers" in manifest.get("spec", {}) else []
    return found + [pod for each in manifest.values() for pod in pods_of(each)]


def test_the_indexed_job_is_valid(start: Start) -> None:
    for manifest in indexed_job(start):
        kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_the_pods_of_an_indexed_job_find_the_first_by_its_name(start: Start) -> None:
    service, job = indexed_job(start)
    template = job["spec"]["template"]
    assert template["spec"]["subdomain"] == service["metadata"]["name"] == start.name
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    command = template["spec"]["containers"][0]["command"]
    assert f"--host={job['metadata']['name']}-0.{service['metadata']['name']}" in command
    assert f"--port={service['spec']['ports'][0]['port']}" in command
    assert f"--index-in={INDEX}" in command
    assert {"--nodes=3", "--workers=2"} <= set(command)
    # The longest name that Kubernetes gives a pod of it is a label of DNS, of 63 letters at most.
    assert len(f"{start.name}-999") < 60


def test_an_indexed_job_ends_by_itself_and_never_begins_again(start: Start) -> None:
    _, job = indexed_job(start)
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert spec["activeDeadlineSeconds"] == 48 * 3600


@pytest.mark.parametrize("kind", [indexed_job, pytorch_job, train_job])
def test_every_object_goes_with_its_owner_and_every_pod_is_known_by_its_labels(
    start: Start, kind: Callable[[Start], list[Manifest]]
) -> None:
    manifests = kind(start)
    assert all(manifest["metadata"]["ownerReferences"] == [OWNER] for manifest in manifests)
    pods = pods_of({"all": manifests})
    assert pods
    for pod in pods:
        assert pod["metadata"]["labels"] == start.labels
        assert COMPONENT.items() <= start.labels.items()


def test_the_name_is_that_of_the_training(storage: Storage, tmp_path: Path) -> None:
    assert a_start(storage).name == a_start(storage, nodes=5).name
    assert a_start(storage).name != a_start(Storage(str(tmp_path / "another"))).name


def test_kubeflows_pods_are_told_who_they_are(start: Start) -> None:
    (job,) = pytorch_job(start)
    replicas = job["spec"]["pytorchReplicaSpecs"]
    assert {name: replica["replicas"] for name, replica in replicas.items()} == {"Master": 1, "Worker": 2}
    for replica in replicas.values():
        (container,) = replica["template"]["spec"]["containers"]
        assert container["name"] == "pytorch"  # the operator looks for this one
        assert f"--host={start.name}-master-0" in container["command"]
        assert f"--index-in={RANK}" in container["command"]
    runtime, train = train_job(start)
    assert train["spec"]["runtimeRef"]["name"] == runtime["metadata"]["name"]
    (pod,) = pods_of(runtime)
    assert pod["spec"]["containers"][0]["name"] == "node"  # as Trainer calls it
    assert f"--host={start.name}-node-0-0.{start.name}" in pod["spec"]["containers"][0]["command"]


@pytest.mark.parametrize("kind", [pytorch_job, train_job])
def test_kubeflow_would_accept_it(start: Start, kind: Callable[[Start], list[Manifest]]) -> None:
    folder = os.environ.get(SCHEMAS)
    if folder is None:
        pytest.skip(f"Kubeflow's schemas are not here: set {SCHEMAS} to a folder of its manifests/base/crds")
    for manifest in kind(start):
        definition = yaml.safe_load((Path(folder) / f"{KUBEFLOW[manifest['kind']]}.yaml").read_text())
        assert manifest["apiVersion"].split("/")[0] == definition["spec"]["group"]
        versions = {each["name"]: each["schema"]["openAPIV3Schema"] for each in definition["spec"]["versions"]}
        schema = strict(versions[manifest["apiVersion"].split("/")[1]])
        metadata = {"metadata": {"type": "object"}}
        jsonschema.validate(manifest, {**schema, "properties": schema["properties"] | metadata})


def strict(schema: Manifest) -> Manifest:
    """The schema, refusing fields that it doesn't name, as `kubectl --validate=strict` does."""
    changed = {}
    for name, value in schema.items():
        if name == "properties":
            changed[name] = {key: strict(each) for key, each in value.items()}
        else:
            changed[name] = (
                strict(value) if isinstance(value, dict) and name in {"items", "additionalProperties"} else value
            )
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        changed["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        changed.pop("anyOf", None)
        changed["type"] = ["integer", "string"]
    return changed


GPUS = {"limits": {"nvidia.com/gpu": "2"}}
NEEDS = {
    "serviceAccountName": "jec-code",
    "volumes": [{"name": "shared-memory"}],
    "containers": [
        {
            "resources": GPUS,
            "env": [{"name": "OMP_NUM_THREADS", "value": "4"}],
            "volumeMounts": [{"name": "shared-memory", "mountPath": "/shared"}],
        }
    ],
}


def test_a_machines_pod_is_like_its_starters_but_has_less_to_say() -> None:
    pod = pod_like(OWN, NEEDS)
    (container,) = pod["containers"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("jec-code", False)
    assert not {"nodeName", "restartPolicy"} & set(pod)
    assert pod["securityContext"] == {"runAsNonRoot": True}
    assert [volume["name"] for volume in pod["volumes"]] == ["scratch", "shared-memory"]
    assert [mount["name"] for mount in container["volumeMounts"]] == ["scratch", "shared-memory"]
    assert {each["name"]: each["value"] for each in container["env"]} == {
        "HTTPS_PROXY": "http://proxy",
        "OMP_NUM_THREADS": "4",
    }
    assert (container["image"], container["resources"]) == ("jec-assets:cpu", GPUS)
    assert container["envFrom"] == OWN["spec"]["containers"][0]["envFrom"]
    assert "command" not in container
    assert POD["containers"][0].keys() == {"name", "image"}
