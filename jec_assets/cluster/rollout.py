"""Waiting until what was applied runs.

Belongs here: when that is so, and why it isn't, of a Deployment and of whatever else makes Pods. Does not belong here:
applying it (`apply.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.cluster.apply import listed, read
from jec_assets.cluster.connection import ClusterError
from jec_assets.cluster.pods import fault_of, last_lines, restarts, waits_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kubernetes.client import ApiClient

    from jec_assets.cluster.apply import Manifest

POLL = 1.0  # seconds
# Of a Pod, while it is waited for: it may be started before something that it needs, but not again and again.
TOLERATED_RESTARTS = 1


@dataclass(frozen=True)
class Awaited:
    """An object that makes Pods. pods: labels of those that it makes as it was applied last, and of no others.

    lacks: what it lacks to run as applied, None where it does; `deployment_lacks` for a Deployment.
    """

    api_version: str
    kind: str
    name: str
    pods: Mapping[str, str]
    lacks: Callable[[Manifest], str | None]


@dataclass(frozen=True)
class Patience:
    """How long somebody waits, in seconds, and whom they tell what for."""

    seconds: float
    say: Callable[[str], object]


def wait_until_it_runs(
    api: ApiClient, awaited: Awaited, namespace: str, patience: Patience, unusable: Callable[[], str | None]
) -> None:
    """Return when an object and its Pods run as applied, and what runs in them can be used.

    unusable: why it can't be used from here, None where it can. ClusterError as soon as it is clear that it never will,
    and when the time is over; it says why, with the last lines of a container that crashes.
    """
    deadline, said = time.monotonic() + patience.seconds, ""
    counted: dict[str, int] | None = None
    title = f"{awaited.kind} {awaited.name} in {namespace}"
    while True:
        held = read(api, awaited.api_version, awaited.kind, awaited.name, namespace)
        if held is None:
            raise ClusterError(f"{title} is gone: somebody removed it while it was waited for")
        lacks = awaited.lacks(held) or unusable()
        if lacks is None:
            return
        pods = listed(api, "v1", "Pod", namespace, awaited.pods)
        if counted is None:
            counted = {pod["metadata"]["uid"]: restarts(pod) for pod in pods}
        hopeless = _no_pods(held) or _crash(api, pods, counted)
        if hopeless is not None:
            raise ClusterError(f"{title} will not run: {hopeless}")
        waiting = "; ".join([lacks, *filter(None, map(waits_for, pods))])
        if time.monotonic() > deadline:
            raise ClusterError(f"{title} doesn't run after {patience.seconds:.0f} s: {waiting}")
        if waiting != said:
            patience.say(f"{title}: {waiting}")
            said = waiting
        time.sleep(POLL)


def deployment_lacks(deployment: Manifest) -> str | None:
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


def _no_pods(held: Manifest) -> str | None:
    """Why the cluster refuses to make Pods of it: a quota, a policy, an account that isn't there."""
    conditions = held.get("status", {}).get("conditions") or []
    refusals = [each for each in conditions if each["type"] == "ReplicaFailure" and each["status"] == "True"]
    return f"it gets no Pods: {refusals[0].get('message')}" if refusals else None


def _crash(api: ApiClient, pods: list[Manifest], counted: Mapping[str, int]) -> str | None:
    """Which Pod will never run, and why; counted: restarts of the Pods that were there at the beginning."""
    for pod in pods:
        name, times = pod["metadata"]["name"], restarts(pod) - counted.get(pod["metadata"]["uid"], 0)
        crashes = f"Pod {name} ended and was started again {times} times" if times > TOLERATED_RESTARTS else None
        if fault := fault_of(pod) or crashes:
            return f"{fault}\n{last_lines(api, pod, pod['spec']['containers'][0]['name'])}"
    return None
