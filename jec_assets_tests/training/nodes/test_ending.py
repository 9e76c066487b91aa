"""What is said of machines that ended, by objects as a cluster holds them. Their logs are read in kubernetes/."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.client import ApiClient

from jec_assets.cluster.connection import ClusterError
from jec_assets.training.nodes import ending
from jec_assets.training.nodes.ending import ended, lost, require_hope

Manifest = dict[str, Any]


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "last_lines", lambda _, pod, *__: f"the log of {pod['metadata']['name']}")


def held(kind: str, *conditions: tuple[str, str]) -> Manifest:
    listed = [{"type": name, "status": status, "reason": f"{name}Reason"} for name, status in conditions]
    return {"kind": kind, "metadata": {"name": "training"}, "status": {"conditions": listed}}


def pod(name: str, **status: Any) -> Manifest:
    return {
        "metadata": {"name": name},
        "spec": {"nodeName": f"node-of-{name}", "containers": [{"name": "node"}]},
        "status": status,
    }


def terminated(code: int, reason: str, second: int) -> list[Manifest]:
    state = {"terminated": {"exitCode": code, "reason": reason, "finishedAt": f"2026-01-01T00:00:0{second}Z"}}
    return [{"name": "node", "state": state}]


@pytest.mark.parametrize(
    ("kind", "conditions", "is_over"),
    [
        ("Job", [], False),
        ("Job", [("Complete", "True")], True),
        ("Job", [("FailureTarget", "True"), ("Failed", "True")], True),
        ("PyTorchJob", [("Created", "True"), ("Running", "True"), ("Failed", "False")], False),
        ("PyTorchJob", [("Running", "False"), ("Succeeded", "True")], True),
        ("TrainJob", [("Suspended", "False")], False),
        ("TrainJob", [("Suspended", "False"), ("Failed", "True")], True),
    ],
)
def test_every_kind_says_when_it_is_over(kind: str, conditions: list[tuple[str, str]], is_over: bool) -> None:
    assert ended(held(kind, *conditions), []) == is_over


def test_an_object_that_the_cluster_has_not_begun_with_is_not_over() -> None:
    assert not ended({"kind": "TrainJob", "metadata": {"name": "training"}}, [])


def test_what_went_well_is_not_over_while_a_machine_runs() -> None:
    running, finished = {"status": {"phase": "Running"}}, {"status": {"phase": "Succeeded"}}
    good, bad = ({"type": kind, "status": "True"} for kind in ("Succeeded", "Failed"))
    assert not ended({"status": {"conditions": [good]}}, [finished, running])
    assert ended({"status": {"conditions": [good]}}, [finished, finished])
    assert ended({"status": {"conditions": [bad]}}, [finished, running])


def test_the_machine_that_ended_first_is_heard() -> None:
    pods = [
        pod("a", phase="Failed", containerStatuses=terminated(1, "Error", 5)),
        pod("b", phase="Failed", containerStatuses=terminated(137, "OOMKilled", 3)),
        pod("c", phase="Succeeded", containerStatuses=terminated(0, "Completed", 1)),
    ]
    said = str(lost(ApiClient(), held("Job", ("Failed", "True")), pods))
    assert "Job training ended without a result (FailedReason)" in said
    assert "pod b on node-of-b ended with 137 (OOMKilled: lower the batch size (JEC_BATCH_SIZE)" in said
    assert "pod a on node-of-a ended with 1 (Error)" in said
    assert said.endswith("b said last:\nthe log of b")
    assert "pod c" not in said


def test_an_evicted_pod_says_why() -> None:
    evicted = pod("a", phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    said = str(lost(ApiClient(), held("Job", ("Failed", "True")), [evicted]))
    assert "pod a on node-of-a failed (Evicted: The node was low on resource: memory.)" in said


def test_pods_that_are_gone_are_missed() -> None:
    assert "none of its pods is left" in str(lost(ApiClient(), held("Job", ("Failed", "True")), []))


def test_a_pod_that_waits_in_vain_is_no_hope_and_one_that_waits_for_a_node_is() -> None:
    unscheduled = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes: insufficient nvidia.com/gpu"}
    require_hope([pod("a", phase="Pending", conditions=[unscheduled]), pod("b", phase="Running")])
    waiting = [{"name": "node", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]
    with pytest.raises(ClusterError, match="can't begin: container node of Pod c: ImagePullBackOff"):
        require_hope([pod("c", phase="Pending", containerStatuses=waiting)])
