"""What a Pod's status means. The statuses are those of a kubelet; the test cluster's node knows few of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from jec_assets.cluster.pods import fault_of, restarts, waits_for

State = dict[str, Any]


def _pod(*states: State, ready: bool = False, **status: object) -> dict[str, Any]:
    containers = [{"name": "triton", "restartCount": 2, "state": state} for state in states]
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {"name": "one", "namespace": "jec"},
        "status": {"phase": "Running", "containerStatuses": containers, "conditions": conditions, **status},
    }


def _waiting(reason: str, message: str = "") -> State:
    return {"waiting": {"reason": reason, "message": message}}


RUNNING: State = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}


@pytest.mark.parametrize(
    ("reason", "message", "said"),
    [
        ("ImagePullBackOff", 'Back-off pulling image "nvcr.io/no:1"', "nvcr.io/no:1.*may the node pull it"),
        ("InvalidImageName", "", "InvalidImageName"),
        ("CrashLoopBackOff", "back-off 10s restarting", "its log says why"),
        ("CreateContainerConfigError", 'secret "jec-endpoint" not found', "jec-endpoint.*make the Secret"),
        ("RunContainerError", "exec: tritonserver: not found", "tritonserver.*is its command in the image"),
    ],
)
def test_what_will_never_run_is_a_fault_with_a_remedy(reason: str, message: str, said: str) -> None:
    fault = fault_of(_pod(_waiting(reason, message)))
    assert fault is not None
    assert fault.startswith(f"container triton of Pod one: {reason}")
    assert re.search(said, fault)


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing", "ErrImagePull"])
def test_what_may_soon_run_is_none(reason: str) -> None:
    pod = _pod(_waiting(reason))
    assert fault_of(pod) is None
    assert waits_for(pod) == f"container triton of Pod one: {reason}"


def test_an_init_container_counts_too() -> None:
    pod = _pod(
        _waiting("PodInitializing"), initContainerStatuses=[{"name": "fetch", "state": _waiting("ErrImageNeverPull")}]
    )
    assert "container fetch" in str(fault_of(pod))


def test_a_pod_without_a_node_says_why() -> None:
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    conditions = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]
    pod = _pod(phase="Pending", conditions=conditions)
    assert fault_of(pod) is None, "a node may come"
    assert waits_for(pod) == f"no node takes Pod one: {message}"


def test_an_evicted_pod_says_why() -> None:
    fault = fault_of(_pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."))
    assert fault == "Pod one failed: The node was low on resource: memory."


def test_a_pod_that_runs_waits_until_it_is_ready() -> None:
    assert waits_for(_pod(RUNNING)) == "Pod one isn't ready"
    assert waits_for(_pod(RUNNING, ready=True)) is None
    assert restarts(_pod(RUNNING, RUNNING)) == 4


def test_a_pod_of_which_nothing_is_known_yet_only_waits() -> None:
    pod = {"metadata": {"name": "one"}, "status": {}}
    assert fault_of(pod) is None
    assert waits_for(pod) == "Pod one isn't ready"
