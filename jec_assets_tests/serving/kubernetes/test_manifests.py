"""What is applied: valid, restricted, without secrets, and different only where the plan is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.serving.command_line import Ports
from jec_assets.serving.kubernetes import deployment, inference_service
from jec_assets.serving.kubernetes.plan import NAME, EndpointPlan
from jec_assets.serving.kubernetes.pod import REVISION, pod_labels, pod_spec
from jec_assets_tests.kserve import validate as validate_for_kserve

PLAN = EndpointPlan("s3://bucket/jec/model_repository", "nvcr.io/nvidia/tritonserver:25.08-py3", ("tritonserver",))
LARGE = replace(PLAN, replicas=3, gpus=1)
OWN = replace(PLAN, image="jec-assets:cpu", command=("jec", "triton", "--host", "0.0.0.0"))  # noqa: S104
FOLDER = replace(PLAN, repository="/mnt/models")
PLANS = {"small": PLAN, "large": LARGE, "own": OWN, "folder": FOLDER}
every_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)


def _container(plan: EndpointPlan) -> dict[str, Any]:
    [container] = pod_spec(plan)["containers"]
    return dict(container)


@every_plan
def test_kubernetes_knows_every_field(plan: EndpointPlan) -> None:
    for manifest in deployment.manifests(plan):
        kubernetes_validate.validate(manifest, "1.30", strict=True)


@every_plan
def test_kserve_would_take_it_though_its_controller_is_not_here_to_ask(plan: EndpointPlan) -> None:
    manifest = inference_service.inference_service(plan)
    validate_for_kserve(manifest)
    # What of it is a Pod's is Kubernetes' own, of which KServe's schema says less.
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": pod_spec(plan, "kserve-container")}
    kubernetes_validate.validate(pod, "1.30", strict=True)
    assert pod["spec"].items() <= manifest["spec"]["predictor"].items()


def test_kserves_own_services_have_other_names_and_ours_lead_to_its_pods() -> None:
    *services, made = inference_service.manifests(PLAN)
    assert made["metadata"]["name"] not in {each["metadata"]["name"] for each in services}
    for service in services:
        assert service["spec"]["selector"].items() <= made["spec"]["predictor"]["labels"].items()


@every_plan
def test_a_pod_is_restricted_as_pod_security_has_it(plan: EndpointPlan) -> None:
    spec, container = pod_spec(plan), _container(plan)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} == {"emptyDir"}
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/dev/shm"}  # noqa: S108


@every_plan
def test_secrets_come_by_reference(plan: EndpointPlan) -> None:
    secret = {"JEC_MANAGEMENT_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    for variable in _container(plan)["env"]:
        if variable["name"] in secret:
            assert variable.keys() == {"name", "valueFrom"}
            assert variable["valueFrom"].keys() == {"secretKeyRef"}
    start = _container(plan)["command"][2]
    assert start.count("jec-management-token=$JEC_MANAGEMENT_TOKEN") == 2, "both protocols are restricted"


@given(st.text("abcdefghijk0123456789", min_size=12))
def test_nothing_of_the_environment_gets_into_a_manifest(value: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "JEC_MANAGEMENT_TOKEN"):
            patch.setenv(name, value)
        made = [*deployment.manifests(PLAN), inference_service.inference_service(PLAN)]
    assert value not in json.dumps(made)


def test_only_a_repository_on_s3_wants_its_keys() -> None:
    assert "jec-s3" in json.dumps(pod_spec(PLAN))
    assert "jec-s3" not in json.dumps(pod_spec(FOLDER))


def test_the_own_triton_gets_the_same_options_as_nvidias() -> None:
    nvidias, own = _container(PLAN)["command"], _container(OWN)["command"]
    assert nvidias[:3] == own[:3]
    assert nvidias[5:] == own[8:]
    assert "--model-repository=s3://bucket/jec/model_repository" in own
    assert "--load-model=*" in own, "a Pod that is started again must serve without being asked"


def test_gpus_are_limits_that_nodes_with_gpus_give_and_are_not_taken_twice_in_a_roll_out() -> None:
    assert _container(LARGE)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod_spec(LARGE)["tolerations"][0]["key"] == "nvidia.com/gpu"
    strategy = deployment.deployment(LARGE)["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 0, "maxUnavailable": 1}
    assert {"name": "NVIDIA_TF32_OVERRIDE", "value": "0"} in _container(LARGE)["env"]
    assert "nvidia" not in json.dumps(pod_spec(replace(PLAN, image="jec-assets:cpu"))).lower()
    assert deployment.deployment(PLAN)["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_several_replicas_go_to_several_nodes() -> None:
    [spread] = pod_spec(LARGE)["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"].items() <= pod_labels(LARGE).items()
    assert "topologySpreadConstraints" not in pod_spec(PLAN)


@every_plan
def test_probes_services_and_scrapes_go_to_ports_that_the_container_has(plan: EndpointPlan) -> None:
    container = _container(plan)
    names = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in names
    made = deployment.deployment(plan)
    assert int(made["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"]) == names["metrics"]
    for service in (deployment.service(plan), deployment.replicas_service(plan)):
        # A name that leads to replicas leads to their own ports.
        assert {each["targetPort"]: each["port"] for each in service["spec"]["ports"]} == names
        assert service["spec"]["selector"].items() <= made["spec"]["template"]["metadata"]["labels"].items()
    assert f"--http-port={names['http']}" in container["command"]


def test_the_revision_names_what_is_in_a_pod_and_nothing_else() -> None:
    revision = pod_labels(PLAN)[REVISION]
    assert pod_labels(EndpointPlan(PLAN.repository, PLAN.image, PLAN.command))[REVISION] == revision
    for other in (OWN, FOLDER, replace(PLAN, gpus=1), replace(PLAN, ports=Ports(9000, 9001, 9002))):
        assert pod_labels(other)[REVISION] != revision
    selector = deployment.deployment(PLAN)["spec"]["selector"]["matchLabels"]
    assert REVISION not in selector, "a Deployment can't be given another selector"
    assert NAME in selector.values()
