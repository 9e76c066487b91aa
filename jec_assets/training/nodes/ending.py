"""Why the machines of a training ended without a result.

Belongs here: reading it from the object that started them and from their pods. Does not belong here: what a training's
own errors are, which the machines leave in its files (`files.py`).

Objects are dictionaries as the API gives them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.cluster.connection import ClusterError
from jec_assets.cluster.pods import fault_of, last_lines

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from jec_assets.cluster.apply import Manifest

# What the conditions of Job, PyTorchJob and TrainJob call their end.
ENDED = {"Complete", "Succeeded", "Failed"}
OUT_OF_MEMORY = "OOMKilled"
REMEDY = ": lower the batch size (JEC_BATCH_SIZE), or give it more memory"


class NodesLostError(RuntimeError):
    """Machines of a training ended without a result; the message says which, and why as far as it is known."""


def ended(held: Manifest, pods: list[Manifest]) -> bool:
    """Whether an object that started machines says that it is over.

    Not while it says that all went well and a pod runs: some count one machine alone, and any may have the result.
    """
    condition = _last_condition(held)
    if condition is None:
        return False
    return condition["type"] == "Failed" or not any(pod["status"].get("phase") == "Running" for pod in pods)


def lost(api: ApiClient, held: Manifest, pods: list[Manifest]) -> NodesLostError:
    """The error for machines that ended: what their pods say, with the last lines of the one that ended first."""
    condition = _last_condition(held) or {}
    why = ": ".join(filter(None, (condition.get("reason"), condition.get("message"))))
    title = f"{held['kind']} {held['metadata']['name']} ended without a result ({why or 'no reason given'})"
    ends = sorted(filter(None, map(_end_of, pods)), key=lambda end: end.when)
    if not ends:
        return NodesLostError(f"{title}; none of its pods is left to say more")
    first = ends[0]
    said, container = "; ".join(end.text for end in ends), first.pod["spec"]["containers"][0]["name"]
    return NodesLostError(f"{title}: {said}. {first.name} said last:\n{last_lines(api, first.pod, container)}")


def is_waiting(pod: Manifest) -> bool:
    """Whether a pod hasn't begun."""
    return bool(pod["status"].get("phase") == "Pending")


def require_hope(pods: list[Manifest]) -> None:
    """ClusterError where a pod will never begin."""
    for fault in filter(None, map(fault_of, filter(is_waiting, pods))):
        raise ClusterError(f"a machine of the training can't begin: {fault}")


@dataclass(frozen=True)
class _End:
    """How a pod ended."""

    pod: Manifest
    when: str
    why: str

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def text(self) -> str:
        return f"pod {self.name} on {self.pod['spec'].get('nodeName', 'no node')} {self.why}"


def _end_of(pod: Manifest) -> _End | None:
    """How a pod ended badly; None where it runs, or ended well."""
    for status in pod["status"].get("containerStatuses") or []:
        end = status.get("state", {}).get("terminated")
        if end and end["exitCode"]:
            remedy = REMEDY if end.get("reason") == OUT_OF_MEMORY else ""
            why = f"ended with {end['exitCode']} ({end.get('reason')}{remedy})"
            return _End(pod, str(end.get("finishedAt")), why)
    if pod["status"].get("phase") == "Failed":  # evicted, or its node is gone
        return _End(pod, "", f"failed ({pod['status'].get('reason')}: {pod['status'].get('message')})")
    return None


def _last_condition(held: Manifest) -> Manifest | None:
    for condition in held.get("status", {}).get("conditions") or []:
        if condition["type"] in ENDED and condition["status"] == "True":
            return dict(condition)
    return None
