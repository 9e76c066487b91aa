"""Two machines train together, each by the very command and variables of a manifest."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from jec_assets.jets.cache import open_cache
from jec_assets.models.saving import load_network
from jec_assets.storage import Storage
from jec_assets.training.loop import train
from jec_assets.training.nodes.indexed_job import INDEX, indexed_job
from jec_assets.training.nodes.kubeflow import RANK, pytorch_job
from jec_assets.training.nodes.start import Start
from jec_assets.training.reproducible import seeded
from jec_assets_tests.namespaces import Node, two_nodes
from jec_assets_tests.processes import ended, free_port
from jec_assets_tests.s3 import make_bucket
from jec_assets_tests.training.nodes.samples import CONFIG, TWO, a_job, a_start, publish_jets
from jec_assets_tests.training.test_data_parallel import figures, same_network

PATIENCE = 400.0  # s


@dataclass(frozen=True)
class Machine:
    """What a pod runs: its command, its variables, and where what it prints goes."""

    command: Sequence[str]
    variables: Mapping[str, str]
    log: Path

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        environment = {**os.environ, **self.variables, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        with self.log.open("wb") as log:
            process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment)
        try:
            yield process
        finally:
            if process.poll() is None:
                with ended(process):
                    pass


@pytest.fixture
def start(storage: Storage, toy_source: Path) -> Start:
    publish_jets(storage, toy_source)
    return a_start(storage)


def command_of(start: Start) -> list[str]:
    """What each pod of the Indexed Job runs."""
    _, job = indexed_job(start)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return list(container["command"])


def on_loopback(command: Sequence[str]) -> list[str]:
    """The same with a meeting on this machine, at a port that is free."""
    here = {"--host": "--host=127.0.0.1", "--port": f"--port={free_port()}"}
    return [here.get(word.split("=")[0], word) for word in command]


def variables_of(storage: Storage, work_folder: Path) -> dict[str, str]:
    """What jec-settings would say."""
    return {"JEC_STORAGE_ROOT": storage.root, "JEC_WORK_FOLDER": str(work_folder), "OMP_NUM_THREADS": "1"}


def statuses_of(machines: Sequence[Machine]) -> list[int]:
    """How the machines' commands end."""
    with ExitStack() as stack:
        both = [stack.enter_context(machine.running()) for machine in machines]
        deadline = time.monotonic() + PATIENCE
        return [process.wait(max(1.0, deadline - time.monotonic())) for process in both]


def assert_trained_as_one_does(start: Start, folder: Path, machines: Sequence[Machine]) -> None:
    job = a_job(start.files.storage, folder / "alone")
    start.files.publish(job)
    statuses = statuses_of(machines)
    printed = [machine.log.read_text() for machine in machines]
    assert statuses == [0] * TWO, "\n".join(printed)
    result = start.files.read_result()
    assert result is not None
    with seeded(job.config.seed):
        expected = job.network.build()
    jets = open_cache(job.training), open_cache(job.validation)
    alone = train(expected, *jets, replace(job.config, checkpoints=None), lambda _: None)
    for name in ("training_loss", "validation_loss", "gradient_norm"):
        assert figures(result, name) == pytest.approx(figures(alone, name), rel=1e-5), name
    (folder / "network").write_bytes(start.files.read_network())
    same_network(folder / "network", expected)
    assert load_network(folder / "network")[1] == job.network
    assert sorted("loss" in text for text in printed) == [False, True]  # only the first process reports


@contextmanager
def named(nodes: Sequence[Node], hosts: Mapping[str, str]) -> Iterator[None]:
    """Names that the machines know, as a cluster's DNS would have told them."""
    files = [Path("/etc/netns") / node.name / "hosts" for node in nodes]
    try:
        for file in files:
            file.parent.mkdir(parents=True)
            file.write_text("".join(f"{address} {name}\n" for name, address in hosts.items()))
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)
            file.parent.rmdir()


@pytest.mark.slow
@pytest.mark.needs("netns")
def test_two_machines_of_an_indexed_job_train_as_one_does(start: Start, tmp_path: Path) -> None:
    with two_nodes() as nodes, named(nodes, {f"{start.name}-0.{start.name}": nodes[0].address}):
        machines = [
            Machine(
                node.command(*command_of(start)),
                variables_of(start.files.storage, tmp_path / f"work_{index}") | {INDEX: str(index)},
                tmp_path / f"{index}.log",
            )
            for index, node in enumerate(nodes)
        ]
        assert_trained_as_one_does(start, tmp_path, machines)


@pytest.mark.slow
def test_two_machines_of_a_pytorch_job_train_as_one_does(start: Start, tmp_path: Path) -> None:
    """With all the variables by which Kubeflow's operator would have torchrun find its way."""
    (job,) = pytorch_job(start)
    masters = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"]
    command = on_loopback(masters[0]["command"])
    operator = {"PET_NNODES": "2", "PET_NPROC_PER_NODE": "1", "MASTER_ADDR": "elsewhere", "MASTER_PORT": "23456"}
    operator |= {"PET_MASTER_ADDR": "elsewhere", "PET_MASTER_PORT": "23456", "WORLD_SIZE": "2"}
    machines = [
        Machine(
            command,
            variables_of(start.files.storage, tmp_path / "work") | operator | {RANK: str(index), "RANK": str(index)},
            tmp_path / f"{index}.log",
        )
        for index in range(TWO)
    ]
    assert_trained_as_one_does(start, tmp_path, machines)


@pytest.mark.slow
@pytest.mark.needs("s3")
def test_a_lost_machine_ends_the_other_and_both_go_on_from_the_checkpoint(
    s3: str, toy_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that they share is a prefix on S3."""
    make_bucket(s3, "nodes", monkeypatch)
    start = a_start(Storage("s3://nodes/storage", tmp_path / "cache"))
    publish_jets(start.files.storage, toy_source)
    config = replace(CONFIG, epochs=20)
    start.files.publish(a_job(start.files.storage, tmp_path / "step", config))
    command, work = on_loopback(command_of(start)), [tmp_path / f"work_{index}" for index in range(TWO)]
    machines = [
        Machine(
            command, variables_of(start.files.storage, work[index]) | {INDEX: str(index)}, tmp_path / f"{index}.log"
        )
        for index in range(TWO)
    ]
    with machines[0].running() as first:
        with machines[1].running():
            deadline = time.monotonic() + PATIENCE
            while not start.files.storage.exists("checkpoint"):
                assert time.monotonic() < deadline, machines[0].log.read_text()
                time.sleep(0.05)
        assert first.wait(PATIENCE) == 1
    assert "WorkerKilledError" in machines[0].log.read_text()
    assert (start.files.read_result(), start.files.read_failure()) == (None, None)
    assert statuses_of(machines) == [0] * TWO
    printed = "".join(machine.log.read_text() for machine in machines)
    assert "epoch 1/20, step 1/" not in printed, "it began anew"
    result = start.files.read_result()
    assert result is not None
    assert len(result.history) == 20
