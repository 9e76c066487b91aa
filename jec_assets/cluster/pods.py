"""Why a Pod doesn't run.

Belongs here: reading a Pod's status and its log. Does not belong here: what made the Pod (`rollout.py`).

Pods are dictionaries as the API gives them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.cluster.connection import REQUEST_TIMEOUT, ClusterError, patiently, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes.client import ApiClient

    from jec_assets.cluster.apply import Manifest

LOG_LINES = 15
CRASHES = "CrashLoopBackOff"
# What a container waits for in vain: the cluster tries again for ever, and nothing changes until somebody acts.
_REMEDIES = {
    "CreateContainerConfigError": "make the Secret or ConfigMap that it names",
    "CreateContainerError": "see what its node says: kubectl describe pod",
    "ErrImageNeverPull": "bring the image to the node",
    "ImagePullBackOff": "is the image's name right, and may the node pull it?",
    "InvalidImageName": "give the image a name that can be one",
    "RunContainerError": "is its command in the image?",
    CRASHES: "its log says why",
}


def fault_of(pod: Manifest) -> str | None:
    """Why a Pod will never run as it is; None where it runs, or may soon."""
    for status in _containers(pod):
        waiting = status.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in _REMEDIES:
            said = f": {waiting['message']}" if waiting.get("message") else ""
            return f"{_titled(pod, status)} {waiting['reason']}{said} ({_REMEDIES[waiting['reason']]})"
    if pod["status"].get("phase") == "Failed":
        why = pod["status"].get("message") or pod["status"].get("reason") or "a container ended with an error"
        return f"Pod {pod['metadata']['name']} failed: {why}"
    return None


def waits_for(pod: Manifest) -> str | None:
    """What a Pod still waits for that the cluster may bring; None where it is ready."""
    conditions = {each["type"]: each for each in pod["status"].get("conditions") or []}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"no node takes Pod {pod['metadata']['name']}: {scheduled.get('message') or scheduled.get('reason')}"
    if conditions.get("Ready", {}).get("status") == "True":
        return None
    for status in _containers(pod):
        if waiting := status.get("state", {}).get("waiting"):
            return f"{_titled(pod, status)} {waiting.get('reason', 'waits')}"
    return f"Pod {pod['metadata']['name']} isn't ready"


def restarts(pod: Manifest) -> int:
    """How often its containers were started again."""
    return sum(int(status.get("restartCount", 0)) for status in _containers(pod))


def last_lines(api: ApiClient, pod: Manifest, container: str) -> str:
    """What a container said last, the one before where it was started again; why not, where that can't be read."""
    from kubernetes.client import CoreV1Api

    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    status = next((each for each in _containers(pod) if each["name"] == container), {})
    began_again = bool(status.get("restartCount")) and "running" in status.get("state", {})

    @patiently
    def ask() -> str:
        with told(f"read the log of Pod {name} in {namespace}"):
            # As bytes: the client would turn what a server doesn't declare as text into its representation.
            answer = CoreV1Api(api).read_namespaced_pod_log(
                name,
                namespace,
                container=container,
                previous=began_again,
                tail_lines=LOG_LINES,
                _request_timeout=REQUEST_TIMEOUT,
                _preload_content=False,
            )
        return bytes(answer.data).decode(errors="replace").strip()

    try:
        return ask() or "it said nothing"
    except ClusterError as error:
        return f"its log can't be read: {error}"


def _containers(pod: Manifest) -> Iterator[Manifest]:
    for group in ("initContainerStatuses", "containerStatuses"):
        yield from pod["status"].get(group) or []


def _titled(pod: Manifest, status: Manifest) -> str:
    return f"container {status['name']} of Pod {pod['metadata']['name']}:"
