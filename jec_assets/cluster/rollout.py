"""Waiting until a Deployment runs as it was applied.

Belongs here: when that is so, and why it isn't. Does not belong here: applying it (`apply.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.cluster.apply import listed, read
from jec_assets.cluster.connection import ClusterError
from jec_assets.cluster.pods import fault_of, last_lines, restarts, waits_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubernetes.client import ApiClient

    from jec_assets.cluster.apply import Manifest

POLL = 1.0  # seconds
# Of one container, while it is waited for: it may be started before something that it needs, but not again and again.
TOLERATED_RESTARTS = 1


@dataclass(frozen=True)
class Patience:
    """How long somebody waits, in seconds, and whom they tell what for."""

    seconds: float
    say: Callable[[str], object]


def wait_for_rollout(
    api: ApiClient, name: str, namespace: str, patience: Patience, answers: Callable[[], str | None]
) -> None:
    """Return when every replica of a Deployment runs as applied and is ready, and no other does.

    answers: why what runs in it can't be used from here, None where it can. ClusterError as soon as it is clear that it
    will never be ready, and when the time is over; it says why, with the last lines of a container that crashes.
    """
    deadline = time.monotonic() + patience.seconds
    counted: dict[str, int] | None = None
    said = None
    while True:
        deployment = _deployment(api, name, namespace)
        pods = listed(api, "v1", "Pod", namespace, deployment["spec"]["template"]["metadata"]["labels"])
        lacks = what_lacks(deployment) or answers()
        if lacks is None:
            return
        if counted is None:
            counted = {pod["metadata"]["uid"]: restarts(pod) for pod in pods}
        _require_hope(api, deployment, pods, counted)
        waiting = "; ".join([lacks, *filter(None, map(waits_for, pods))])
        if time.monotonic() > deadline:
            raise ClusterError(
                f"Deployment {name} in {namespace} isn't ready after {patience.seconds:.0f} s: {waiting}"
            )
        if waiting != said:
            patience.say(f"Deployment {name}: {waiting}")
            said = waiting
        time.sleep(POLL)


def what_lacks(deployment: Manifest) -> str | None:
    """What a Deployment lacks to be rolled out completely; None where it is."""
    status, wanted = deployment.get("status", {}), int(deployment["spec"].get("replicas", 1))
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return "the cluster hasn't begun with it"
    if (updated := status.get("updatedReplicas", 0)) < wanted:
        return f"{updated} of {wanted} replicas are made as applied"
    if (old := status.get("replicas", 0) - updated) > 0:
        return f"{old} of the replicas before still run"
    if (available := status.get("availableReplicas", 0)) < wanted:
        return f"{available} of {wanted} replicas are ready"
    return None


def _require_hope(api: ApiClient, deployment: Manifest, pods: list[Manifest], counted: dict[str, int]) -> None:
    """ClusterError where waiting is in vain. counted: restarts of the Pods that were there at the beginning."""
    name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
    for condition in deployment.get("status", {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            raise ClusterError(f"Deployment {name} in {namespace} gets no Pods: {condition.get('message')}")
    for pod in pods:
        fault, times = fault_of(pod), restarts(pod) - counted.get(pod["metadata"]["uid"], 0)
        if fault is None and times > TOLERATED_RESTARTS:
            fault = f"Pod {pod['metadata']['name']} ended and was started again {times} times"
        if fault is not None:
            container = pod["spec"]["containers"][0]["name"]
            raise ClusterError(
                f"Deployment {name} in {namespace} will not be ready: {fault}\n{last_lines(api, pod, container)}"
            )


def _deployment(api: ApiClient, name: str, namespace: str) -> Manifest:
    deployment = read(api, "apps/v1", "Deployment", name, namespace)
    if deployment is None:
        raise ClusterError(f"Deployment {name} in {namespace} is gone: somebody removed it while it was waited for")
    return deployment
