"""A trial that trains on two nodes of a cluster: started, followed, ended, by the account that the base has for it.

The test cluster is older than Indexed Jobs: it drops `completionMode`, and gives no pod an index. So each machine is a
Job of its own here, with its index as a variable and a meeting on loopback; all else is what an Indexed Job's would be.
The Indexed Job itself is validated in jec_assets_tests/training/nodes/.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from kubernetes import client

from jec_assets.cluster.apply import apply
from jec_assets.cluster.connection import ClusterError
from jec_assets.processes import find
from jec_assets.search.parallel import Slots, run_trials
from jec_assets.search.record import FailedTrial, FinishedTrial
from jec_assets.search.setup import study_of
from jec_assets.search.trial import Study
from jec_assets.settings import Settings
from jec_assets.storage import Storage
from jec_assets.training.nodes import follow
from jec_assets.training.nodes.ending import NodesLostError
from jec_assets.training.nodes.files import TrainingFiles
from jec_assets.training.nodes.follow import Nodes, train_on_nodes
from jec_assets.training.nodes.indexed_job import INDEX, indexed_job
from jec_assets.training.nodes.start import Start
from jec_assets.training.progress import Progress
from jec_assets.training.result import EpochFigures
from jec_assets.training.tensor_tree import from_bytes
from jec_assets_tests.kubernetes.access import act_as, make_accounts
from jec_assets_tests.kubernetes.conftest import Cluster
from jec_assets_tests.processes import free_port
from jec_assets_tests.search.samples import plan
from jec_assets_tests.training.nodes.samples import CONFIG, TWO, a_job, publish_jets

Manifest = dict[str, Any]

# Three trainings and the wait for a checkpoint between them, at the most.
pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(1500)]

STEP = "step"
PATIENCE = 400.0  # s
NEEDS = {"serviceAccountName": "jec-code", "containers": [{"env": [{"name": "OMP_NUM_THREADS", "value": "1"}]}]}
ENDLESS = replace(CONFIG, epochs=1_000_000)


@dataclass(frozen=True)
class Place:
    """A namespace with the pod of a step, like which machines are made; this process stands for what runs in it."""

    cluster: Cluster
    namespace: str
    storage: Storage
    folder: Path

    @property
    def nodes(self) -> Nodes:
        return Nodes(TWO, 1, "indexed_job", self.namespace, NEEDS, hours=1)

    @property
    def files(self) -> TrainingFiles:
        return TrainingFiles(self.storage, "trials/pfn/nodes/1")

    def jobs(self) -> list[str]:
        jobs = client.BatchV1Api(self.cluster.api).list_namespaced_job(self.namespace)
        return [job.metadata.name for job in jobs.items]

    def services(self) -> list[str]:
        services = client.CoreV1Api(self.cluster.api).list_namespaced_service(self.namespace)
        return [service.metadata.name for service in services.items]


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.fixture
def place(
    cluster: Cluster,
    namespace: str,
    storage: Storage,
    toy_source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Place:
    make_accounts(cluster, namespace)
    publish_jets(storage, toy_source)
    core = client.CoreV1Api(cluster.api)
    said = {"JEC_STORAGE_ROOT": storage.root, "JEC_WORK_FOLDER": str(tmp_path / "work")}
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "jec-settings"}, "data": said})
    container = {"name": "dagster", "image": "host", "command": ["sleep", "1000"]}
    container |= {"envFrom": [{"configMapRef": {"name": "jec-settings"}}]}
    step = {"metadata": {"name": STEP}, "spec": {"containers": [container], "restartPolicy": "Never"}}
    core.create_namespaced_pod(namespace, step)
    act_as(cluster, "jec-training", namespace, tmp_path, monkeypatch)
    monkeypatch.setenv("HOSTNAME", STEP)
    port = free_port()
    monkeypatch.setitem(follow.MANIFESTS, "indexed_job", lambda start: one_by_one(start, port))
    return Place(cluster, namespace, storage, tmp_path)


def one_by_one(start: Start, port: int) -> list[Manifest]:
    """The Indexed Job as Jobs of one pod each, the first machine's last."""
    service, indexed = indexed_job(start)
    manifests = [service]
    for index in reversed(range(TWO)):
        job = deepcopy(indexed)
        job["metadata"]["name"] += f"-{index}"
        job["spec"] |= {"completions": 1, "parallelism": 1}
        del job["spec"]["completionMode"]
        (container,) = job["spec"]["template"]["spec"]["containers"]
        container["env"] = [*container["env"], {"name": INDEX, "value": str(index)}]
        here = {"--host": "--host=127.0.0.1", "--port": f"--port={port}"}
        container["command"] = [here.get(word.split("=")[0], word) for word in container["command"]]
        manifests.append(job)
    return manifests


def machines(place: Place) -> list[psutil.Process]:
    """Every `jec train-node` of the place."""
    name = Start(place.files, TWO, 1, 1, {}, {}).name
    return find(lambda arguments: f"--name={name}" in arguments and "train-node" in arguments)


def workers(place: Place) -> list[psutil.Process]:
    """Every process that trains for them."""
    return find(lambda arguments: arguments[-1:] != [] and arguments[-1].startswith(str(place.folder / "work")))


def epochs_kept(storage: Storage) -> list[EpochFigures]:
    """The finished epochs in the checkpoint."""
    if not storage.exists("checkpoint"):
        return []
    tree: Any = from_bytes(storage.read_bytes("checkpoint"))
    return [EpochFigures(**figures) for figures in tree["state"]["course"]["history"]]


def machine(place: Place, index: int) -> psutil.Process:
    """One of the machines."""
    (found,) = (each for each in machines(place) if each.environ().get(INDEX) == str(index))
    return found


@contextmanager
def halted(process: psutil.Process) -> Iterator[None]:
    """Have a process do nothing, not even end, while the block runs."""
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def ends(place: Place) -> list[datetime]:
    """When pods' containers ended, in whole seconds."""
    pods = client.CoreV1Api(place.cluster.api).list_namespaced_pod(place.namespace).items
    states = [status.state.terminated for pod in pods for status in pod.status.container_statuses or []]
    return [state.finished_at for state in states if state]


def now() -> datetime:
    """The second that has begun."""
    return datetime.now(UTC).replace(microsecond=0)


def silent(_: Progress) -> None:
    pass


def test_a_trial_trains_on_two_nodes_and_leaves_nothing(place: Place) -> None:
    settings = Settings(work_folder=place.folder / "step", nodes=TWO, epochs=3, batch_size=246)
    study: Study = study_of(settings, place.storage, place.nodes)
    heard: list[tuple[int, Progress]] = []
    plans = [plan(0), plan(1, learning_rate=1e30, optimizer="RMSProp")]
    good, bad = run_trials(study, plans, Slots(1), lambda *said: heard.append(said))
    assert isinstance(good, FinishedTrial)
    assert len(good.history) == 3
    assert next(number for number, _ in heard) == 0
    # What a machine raises is what a training here would have raised: not the cluster's fault.
    assert isinstance(bad, FailedTrial)
    assert "learning rate of 1e+30" in bad.error
    assert (place.jobs(), place.services()) == ([], [])
    assert place.storage.list(f"trials/pfn/nodes/{good.trial_digest}") == []


def test_a_killed_machine_is_named_and_the_next_start_goes_on_from_the_checkpoint(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = 200
    job = a_job(place.storage, place.folder / "step", replace(CONFIG, epochs=epochs))
    monkeypatch.setattr(follow, "HEARD_EVERY", 0.1)  # s: heard of long before the training's end
    heard: list[Progress] = []

    def kill_the_second(_: Progress) -> None:
        until(lambda: epochs_kept(place.storage) != [], "no checkpoint with an epoch")
        with halted(machine(place, 0)):  # which would end in the same second, and Kubernetes counts in seconds
            machine(place, 1).kill()
            until(lambda: any(end < now() for end in ends(place)), "the killed machine's pod doesn't end")

    with pytest.raises(NodesLostError, match="ended without a result") as lost:
        train_on_nodes(job, place.nodes, place.files, kill_the_second)
    assert "ended with 137" in str(lost.value)
    assert "machine 1 of 2" in str(lost.value)  # the first to end is the one that is heard
    assert place.jobs() == []
    kept = epochs_kept(place.storage)
    assert len(kept) < epochs, "killed when nothing was left to do"
    result = train_on_nodes(job, place.nodes, place.files, heard.append)
    # With their jets per second, which no second training would have alike.
    assert list(result.history[: len(kept)]) == kept, "it began anew"
    assert len(result.history) == epochs
    assert heard[0].epoch > len(kept)
    assert job.network_file.exists()


class StoppedError(Exception):
    pass


def test_nothing_is_left_by_a_step_that_is_stopped(place: Place) -> None:
    def stop(_: Progress) -> None:
        assert workers(place)
        raise StoppedError

    with pytest.raises(StoppedError):
        train_on_nodes(a_job(place.storage, place.folder / "step", ENDLESS), place.nodes, place.files, stop)
    assert (place.jobs(), place.services()) == ([], [])
    until(lambda: machines(place) == workers(place) == [], "machines still run")


def start_sleepers(place: Place) -> None:
    """Objects as a training's, of the step's pod, whose machines do nothing."""
    own = client.CoreV1Api(place.cluster.api).read_namespaced_pod(STEP, place.namespace)
    owner = {"apiVersion": "v1", "kind": "Pod", "name": STEP, "uid": own.metadata.uid}
    pod = {"containers": [{"name": "dagster", "image": "host", "env": [{"name": "JEC_STORAGE_ROOT", "value": "/"}]}]}
    for manifest in one_by_one(Start(place.files, TWO, 1, 1, pod, owner), free_port()):
        if manifest["kind"] == "Job":
            manifest["spec"]["template"]["spec"]["containers"][0]["command"] = ["sleep", "1000"]
        apply(place.cluster.api, manifest, place.namespace)
    assert len(place.jobs()) == TWO


def test_machines_go_with_the_pod_that_started_them(place: Place) -> None:
    start_sleepers(place)
    client.CoreV1Api(place.cluster.api).delete_namespaced_pod(STEP, place.namespace, grace_period_seconds=0)
    until(lambda: place.jobs() == place.services() == [], "the cluster's garbage collector left something")


def test_what_an_earlier_start_left_is_ended_first(place: Place) -> None:
    """As after a step's pod that was killed, and is still there for its log."""
    start_sleepers(place)
    core = client.CoreV1Api(place.cluster.api)

    def others() -> list[str]:
        pods = core.list_namespaced_pod(place.namespace).items
        return [pod.metadata.name for pod in pods if pod.spec.containers[0].command[0] == "sleep"]

    until(lambda: len(others()) == TWO + 1, "no sleepers")
    seen: list[list[str]] = []
    train_on_nodes(
        a_job(place.storage, place.folder / "step"), place.nodes, place.files, lambda _: seen.append(others())
    )
    assert seen[0] == [STEP]


def test_a_machine_that_can_never_begin_is_said_at_once(place: Place) -> None:
    absent = {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "key"}}}
    nodes = replace(place.nodes, needs={"containers": [{"env": [absent]}]})
    with pytest.raises(ClusterError, match=r"can't begin.*CreateContainerConfigError"):
        train_on_nodes(a_job(place.storage, place.folder / "step"), nodes, place.files, silent)
    assert place.jobs() == []


def test_a_process_that_is_no_pod_is_told_what_to_do(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOSTNAME", "laptop")
    with pytest.raises(ClusterError, match=r"JEC_NODES.*\(laptop\).*JEC_EXECUTOR=kubernetes"):
        train_on_nodes(a_job(place.storage, place.folder / "step"), place.nodes, place.files, silent)


def test_a_cluster_without_kubeflow_says_so(place: Place) -> None:
    nodes = replace(place.nodes, kind="pytorch_job")
    with pytest.raises(ClusterError, match=r"no PyTorchJob of kubeflow.org/v1: install"):
        train_on_nodes(a_job(place.storage, place.folder / "step"), nodes, place.files, silent)
