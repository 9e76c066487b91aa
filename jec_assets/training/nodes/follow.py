"""Training one network on several machines of a cluster: starting them, and following them to their end.

Belongs here: what the pod that asks for such a training does. Does not belong here: what is applied (`indexed_job.py`,
`kubeflow.py`), what the machines do (`node.py`), and why they ended (`ending.py`). Imports no torch.

The objects go when the training has ended, however it did; with the pod that follows it, whose they are; and at the
latest with their time (`Nodes.hours`). Whoever starts a training ends first what another one left of it.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jec_assets.cluster.apply import apply, delete, listed, read
from jec_assets.cluster.connection import ClusterError, connect
from jec_assets.cluster.pods import waits_for
from jec_assets.storage import write_atomically
from jec_assets.training.launch import error_of
from jec_assets.training.nodes.ending import NodesLostError, ended, is_waiting, lost, require_hope
from jec_assets.training.nodes.indexed_job import indexed_job
from jec_assets.training.nodes.kubeflow import pytorch_job, train_job
from jec_assets.training.nodes.pods import pod_like
from jec_assets.training.nodes.start import Start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes.client import ApiClient

    from jec_assets.cluster.apply import Manifest
    from jec_assets.training.job import TrainingJob
    from jec_assets.training.nodes.files import TrainingFiles
    from jec_assets.training.progress import Progress, Reporter
    from jec_assets.training.result import TrainingResult

_LOGGER = logging.getLogger(__name__)

Kind = Literal["indexed_job", "pytorch_job", "train_job"]
MANIFESTS = {"indexed_job": indexed_job, "pytorch_job": pytorch_job, "train_job": train_job}
HEARD_EVERY = 2.0  # s
# Seconds for the pods of an earlier start to end, a node's last word included.
GONE_WITHIN = 600.0


@dataclass(frozen=True)
class Nodes:
    """Machines of a cluster that train one network together.

    count: how many; workers: processes on each; kind: of the object that starts them
    needs: what each of their pods takes, see `pods.pod_like`; hours: that a training may take
    """

    count: int
    workers: int
    kind: Kind
    namespace: str
    needs: Manifest
    hours: int


def train_on_nodes(job: TrainingJob, nodes: Nodes, files: TrainingFiles, reporter: Reporter) -> TrainingResult:
    """Carry out a job on several machines; the network is in `job.network_file` then.

    The result is that of one process up to rounding, dropout aside. Needs to run in a pod of the same namespace, like
    which the others are made, that may get, create, patch and delete the objects of this kind, and get, list and read
    the logs of pods.

    Raises what `jec_assets.training.loop.train` does, WorkerFailedError for any other exception of a machine,
    NodesLostError where one was lost: the training goes on from its checkpoint when it is started again. ClusterError
    where the cluster does not do what it is asked.
    """
    api = connect()
    start = _start(api, nodes, files)
    manifests = MANIFESTS[nodes.kind](start)
    _end(api, manifests, nodes.namespace)
    _wait_until_gone(api, start, nodes.namespace)
    files.publish(job)
    with _running(api, manifests, nodes.namespace):
        result = _followed(_Training(api, start, manifests[-1], nodes.namespace), reporter)
    write_atomically(job.network_file, files.read_network())
    files.remove()
    return result


def _start(api: ApiClient, nodes: Nodes, files: TrainingFiles) -> Start:
    name = os.environ.get("HOSTNAME", "")
    own = read(api, "v1", "Pod", name, nodes.namespace) if name else None
    if own is None:
        raise ClusterError(
            f"training on {nodes.count} machines (JEC_NODES) starts from a pod of the namespace {nodes.namespace}, and "
            f"there is none of this process's name ({name or 'HOSTNAME is not set'}): run it as a step of a job with "
            "JEC_EXECUTOR=kubernetes"
        )
    owner = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": own["metadata"]["uid"]}
    return Start(files, nodes.count, nodes.workers, nodes.hours, pod_like(own, nodes.needs), owner)


@contextmanager
def _running(api: ApiClient, manifests: list[Manifest], namespace: str) -> Iterator[None]:
    """Have the objects while the block runs."""
    try:
        for manifest in manifests:
            apply(api, manifest, namespace)
        yield
    finally:
        _end(api, manifests, namespace)


def _end(api: ApiClient, manifests: list[Manifest], namespace: str) -> None:
    for manifest in reversed(manifests):
        delete(api, manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"], namespace)


def _wait_until_gone(api: ApiClient, start: Start, namespace: str) -> None:
    """Return when no pod of an earlier start is left: two trainings would write one checkpoint."""
    deadline = time.monotonic() + GONE_WITHIN
    while pods := listed(api, "v1", "Pod", namespace, start.labels):
        if time.monotonic() > deadline:
            names = ", ".join(pod["metadata"]["name"] for pod in pods)
            raise ClusterError(
                f"pods of an earlier start of this training are still there after {GONE_WITHIN:.0f} s: {names}: is "
                "their node gone? kubectl delete pod --force"
            )
        time.sleep(HEARD_EVERY)


@dataclass(frozen=True)
class _Training:
    """A training under way, and the object that is followed."""

    api: ApiClient
    start: Start
    followed: Manifest
    namespace: str

    def read(self) -> Manifest | None:
        """The object as the cluster holds it."""
        name = self.followed["metadata"]["name"]
        return read(self.api, self.followed["apiVersion"], self.followed["kind"], name, self.namespace)

    def pods(self) -> list[Manifest]:
        """The machines' pods."""
        return listed(self.api, "v1", "Pod", self.namespace, self.start.labels)


def _followed(training: _Training, reporter: Reporter) -> TrainingResult:
    """Hand on progress until there is a result."""
    files, heard, waited = training.start.files, None, ""
    while True:
        # Asked for in the opposite order of that in which a machine speaks: progress, its last word, its pod's end.
        held, pods = training.read(), training.pods()
        result, failure = files.read_result(), files.read_failure()
        heard = _reported(files.read_progress(), heard, reporter)
        if result is not None:
            return result
        if failure is not None:
            raise error_of(failure)
        if held is None:
            kind, name = training.followed["kind"], training.start.name
            raise NodesLostError(f"{kind} {name} in {training.namespace} is gone: somebody removed it")
        if ended(held, pods):
            raise lost(training.api, held, pods)
        require_hope(pods)
        waited = _waited(pods, waited)
        time.sleep(HEARD_EVERY)


def _waited(pods: list[Manifest], before: str) -> str:
    """Log what pods wait for, where it isn't what they waited for before; what it is."""
    waiting = "; ".join(filter(None, map(waits_for, filter(is_waiting, pods))))
    if waiting not in {"", before}:
        _LOGGER.warning("the training waits: %s", waiting)
    return waiting


def _reported(progress: Progress | None, heard: Progress | None, reporter: Reporter) -> Progress | None:
    if progress is not None and progress != heard:
        reporter(progress)
    return progress
