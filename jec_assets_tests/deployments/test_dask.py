"""The Dask cluster of deployments/dask: Pods without privileges, ports that fit, commands that make a cluster."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import ExitStack
from typing import Any

import kubernetes_validate
import pytest

from jec_assets.dask_pool import dask_pool
from jec_assets.storage import Storage
from jec_assets_tests.deployments.rendered import BASE, DEPLOYMENTS, Manifest, of_kind, rendered
from jec_assets_tests.processes import ended, free_port

MANIFESTS = rendered(DEPLOYMENTS / "dask")
CLUSTER = of_kind(MANIFESTS, "DaskCluster")["jec-dask"]
PARTS = ("scheduler", "worker")


def _spec(part: str) -> Manifest:
    spec: Manifest = CLUSTER["spec"][part]["spec"]
    return spec


def _ports(part: str) -> set[int]:
    [container] = _spec(part)["containers"]
    return {port["containerPort"] for port in container["ports"]}


@pytest.mark.parametrize("part", PARTS)
def test_its_pods_are_ones_that_kubernetes_takes_and_restricts(part: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": part, "namespace": "jec"}, "spec": _spec(part)}
    kubernetes_validate.validate(pod, "1.30", strict=True)
    assert _spec(part)["securityContext"]["runAsNonRoot"]
    assert _spec(part)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not _spec(part)["automountServiceAccountToken"]
    assert _spec(part)["serviceAccountName"] in of_kind(rendered(BASE), "ServiceAccount")
    [container] = _spec(part)["containers"]
    context = container["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert not any("value" in variable for variable in container.get("env", []) if "KEY" in variable["name"])


def test_policies_name_its_pods_and_ports() -> None:
    policies = of_kind(MANIFESTS, "NetworkPolicy")
    for policy in policies.values():
        kubernetes_validate.validate(policy, "1.30", strict=True)
    service = CLUSTER["spec"]["scheduler"]["service"]
    assert service["type"] == "ClusterIP"
    assert {port["port"] for port in service["ports"]} == _ports("scheduler")
    within = {port["port"] for rule in policies["among-dask"]["spec"]["ingress"] for port in rule["ports"]}
    assert within == _ports("worker") | {8786}
    for policy in ("to-dask-scheduler", "asks-dask-scheduler"):
        assert {"run_worker", "step_worker"} <= set(str(policies[policy]["spec"]).replace("'", " ").split())
    assert service["selector"].items() >= policies["among-dask"]["spec"]["podSelector"]["matchLabels"].items()


def test_its_commands_make_a_cluster(storage: Storage) -> None:
    ports = {str(port): str(free_port()) for port in _ports("scheduler") | _ports("worker")}
    address = f"tcp://127.0.0.1:{ports['8786']}"
    environment = {**os.environ, "DASK_SCHEDULER_ADDRESS": address}  # as the operator gives it
    with ExitStack() as running:
        for part in PARTS:
            [container] = _spec(part)["containers"]
            given: dict[str, Any] = {each["name"]: each["value"] for each in container.get("env", [])}
            command = [_with_ports(each, ports) for each in container["args"]]
            running.enter_context(ended(subprocess.Popen(command, env={**environment, **given})))
        with dask_pool(address, storage, ()) as pool:
            assert pool.submit(pow, 2, 5).result() == 32


def _with_ports(argument: str, ports: dict[str, str]) -> str:
    return re.sub(r"\d{4}", lambda port: ports[port[0]], argument).replace("$(DASK_WORKER_NAME)", "one")
