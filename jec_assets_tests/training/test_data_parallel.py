"""Whole trainings by several processes, started as they are in earnest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from jec_assets.jets.cache import CacheError
from jec_assets.models.hyperparameters import Hyperparameters
from jec_assets.models.network import JetNetwork
from jec_assets.models.prediction import predict
from jec_assets.models.saving import load_network
from jec_assets.processes import end, find, is_running
from jec_assets.storage import Storage
from jec_assets.training.config import Checkpointing, Optimization, TrainingConfig, TrainingConfigError
from jec_assets.training.faults import TrainingDivergedError
from jec_assets.training.job import TrainingJob
from jec_assets.training.launch import WorkerKilledError, train_in_processes
from jec_assets.training.loop import train
from jec_assets.training.losses import calibration_loss
from jec_assets.training.progress import Progress
from jec_assets.training.result import TrainingResult
from jec_assets_tests.namespaces import Node, two_nodes
from jec_assets_tests.processes import ended
from jec_assets_tests.training.jobs import CONFIG, PARTICLE_NET, PFN, TRAINING, VALIDATION, a_job
from jec_assets_tests.training.samples import SMALL_PFN, small_network

ENDLESS = replace(CONFIG, epochs=1_000_000)
PORT = 29_400
POLITE_SECONDS = 5.0
PATIENCE = 400.0  # s, on a busy machine


def silent(_: Progress) -> None:
    pass


def trained_alone(
    hyperparameters: Hyperparameters, config: TrainingConfig = CONFIG
) -> tuple[JetNetwork, TrainingResult]:
    network = small_network(config.seed, hyperparameters)
    return network, train(network, TRAINING, VALIDATION, config, silent)


def processes_of(job: TrainingJob) -> list[psutil.Process]:
    """Torchrun, then its workers, as far as they run."""
    found = find(lambda arguments: str(job.folder / "job.json") in arguments)
    return sorted(filter(is_running, found), key=lambda process: "torch.distributed.run" not in process.cmdline())


def same_network(found: Path, expected: JetNetwork) -> None:
    network, _ = load_network(found)
    torch.testing.assert_close(network.state_dict(), expected.state_dict(), rtol=1e-5, atol=1e-5)


def figures(result: TrainingResult, name: str) -> list[float]:
    return [getattr(epoch, name) for epoch in result.history]


@pytest.mark.slow
def test_two_processes_train_a_pfn_as_one_does(tmp_path: Path) -> None:
    config = replace(CONFIG, scalars_folder=tmp_path / "curves")
    expected, alone = trained_alone(PFN)
    job, heard = a_job(tmp_path, PFN, config), list[Progress]()
    result = train_in_processes(job, 2, heard.append)
    for name in ("training_loss", "validation_loss", "gradient_norm", "learning_rate"):
        assert figures(result, name) == pytest.approx(figures(alone, name), rel=1e-5), name
    assert result.best_epoch == alone.best_epoch
    same_network(job.network_file, expected)
    assert (heard[0].epoch, heard[0].step, heard[0].steps) == (1, 1, 13)
    assert processes_of(job) == []
    # Only the first process writes: one file a folder of curves.
    folders = {file.parent for file in config.scalars_folder.rglob("events*")}
    assert len(folders) == len(list(config.scalars_folder.rglob("events*"))) > 0


@pytest.mark.slow
def test_two_processes_train_a_particle_net_as_one_does(tmp_path: Path) -> None:
    """Judged by what is minimized.

    Weights whose effect the next BatchNorm cancels have rounding for a gradient, and Adam makes whole steps of it.
    """
    _, alone = trained_alone(PARTICLE_NET)
    job = a_job(tmp_path, PARTICLE_NET)
    result = train_in_processes(job, 2, silent)
    for name in ("training_loss", "gradient_norm"):
        assert figures(result, name) == pytest.approx(figures(alone, name), rel=1e-5), name
    prediction = torch.from_numpy(predict(load_network(job.network_file)[0], VALIDATION.packed))
    loss = calibration_loss(prediction, torch.tensor(VALIDATION.labels.target))
    assert result.best_validation_loss == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.slow
def test_a_divergence_is_raised_as_in_this_process(tmp_path: Path) -> None:
    config = replace(CONFIG, optimization=Optimization("RMSProp", 1e30))
    with pytest.raises(TrainingDivergedError) as alone:
        trained_alone(PFN, config)
    with pytest.raises(TrainingDivergedError) as together:
        train_in_processes(a_job(tmp_path, PFN, config), 2, silent)
    assert str(together.value) == str(alone.value)


@pytest.mark.slow
def test_a_killed_worker_is_named_and_none_is_left(tmp_path: Path) -> None:
    job, killed = a_job(tmp_path, config=ENDLESS), list[int]()

    def kill_one(_: Progress) -> None:
        _, _, last = processes_of(job)
        killed.append(last.pid)
        last.kill()

    with pytest.raises(WorkerKilledError, match=r"worker process \d+ was ended by SIGKILL.*lower") as error:
        train_in_processes(job, 2, kill_one)
    assert f"process {killed[0]} " in str(error.value)
    assert processes_of(job) == []


@pytest.mark.slow
def test_no_worker_is_left_by_a_torchrun_that_is_killed(tmp_path: Path) -> None:
    job = a_job(tmp_path, config=ENDLESS)
    with pytest.raises(WorkerKilledError, match="ended without a result"):
        train_in_processes(job, 2, lambda _: processes_of(job)[0].kill())
    assert processes_of(job) == []


@pytest.mark.slow
def test_a_killed_training_goes_on_and_ends_with_the_same_bits(tmp_path: Path, storage: Storage) -> None:
    config = replace(CONFIG, epochs=30, checkpoints=Checkpointing(storage, "checkpoint", "training", seconds=0.0))
    whole = a_job(tmp_path / "whole", SMALL_PFN, replace(config, checkpoints=None))
    expected = train_in_processes(whole, 2, silent)
    job, heard = a_job(tmp_path / "killed", SMALL_PFN, config), list[Progress]()

    def kill_one(_: Progress) -> None:
        deadline = time.monotonic() + PATIENCE
        while not storage.exists("checkpoint"):
            assert time.monotonic() < deadline, "no checkpoint"
            time.sleep(0.01)
        processes_of(job)[-1].kill()

    with pytest.raises(WorkerKilledError):
        train_in_processes(job, 2, kill_one)
    result = train_in_processes(job, 2, heard.append)
    assert heard[0].number > 1, "it began anew"
    assert figures(result, "validation_loss") == figures(expected, "validation_loss")
    assert job.network_file.read_bytes() == whole.network_file.read_bytes()


class StoppedByCallerError(Exception):
    pass


@pytest.mark.slow
def test_no_process_is_left_by_a_caller_that_stops(tmp_path: Path) -> None:
    job = a_job(tmp_path, config=ENDLESS)

    def stop(_: Progress) -> None:
        raise StoppedByCallerError

    with pytest.raises(StoppedByCallerError):
        train_in_processes(job, 2, stop)
    assert processes_of(job) == []


CALLER = """
import sys
from pathlib import Path
from jec_assets.training.job import TrainingJob
from jec_assets.training.launch import train_in_processes
train_in_processes(TrainingJob.read(Path(sys.argv[1])), 2, lambda _: print("training", flush=True))
"""


@pytest.mark.slow
def test_no_process_is_left_by_a_caller_that_is_killed(tmp_path: Path) -> None:
    job = a_job(tmp_path, config=ENDLESS)
    command = [sys.executable, "-c", CALLER, str(job.publish())]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process, ended(process) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"training\n"
        others = [other for other in processes_of(job) if other.pid != caller.pid]
        assert len(others) == 3
        caller.send_signal(signal.SIGKILL)
        assert psutil.wait_procs(others, timeout=PATIENCE)[1] == []


@pytest.mark.slow
def test_a_missing_cache_is_named(tmp_path: Path) -> None:
    job = replace(a_job(tmp_path), training=tmp_path / "nowhere")
    with pytest.raises(CacheError, match="nowhere"):
        train_in_processes(job, 2, silent)


def test_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingConfigError, match="at least one worker, not 0"):
        train_in_processes(a_job(tmp_path), 0, silent)


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    with two_nodes() as both:
        yield both


def torchrun(node: Node, host: Node, job: Path) -> list[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint={host.address}:{PORT}", "--rdzv-id=test"]
    # Both namespaces have the machine's name, which says nothing of their addresses.
    who = [f"--rdzv-conf=is_host={str(node == host).lower()}", f"--local-addr={node.address}"]
    return node.command(*command, *meeting, *who, "-m", "jec_assets.training.worker", str(job))


@contextmanager
def worker_on(node: Node, host: Node, job: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"GLOO_SOCKET_IFNAME": node.interface}
    with log.open("wb") as stream:
        process = subprocess.Popen(torchrun(node, host, job), stdout=stream, stderr=stream, env=environment)
    try:
        yield process
    finally:
        end(find(lambda arguments: str(job) in arguments), POLITE_SECONDS)
        process.wait()


@pytest.mark.slow
@pytest.mark.needs("netns")
def test_two_machines_train_as_one_does(tmp_path: Path, nodes: tuple[Node, Node]) -> None:
    job, (expected, alone) = a_job(tmp_path), trained_alone(PFN)
    file = job.publish()
    logs = [tmp_path / f"{node.interface}.log" for node in nodes]
    with ExitStack() as stack:
        workers = [worker_on(node, nodes[0], file, log) for node, log in zip(nodes, logs, strict=True)]
        both = [stack.enter_context(worker) for worker in workers]
        deadline = time.monotonic() + PATIENCE
        while any(process.poll() is None for process in both) and time.monotonic() < deadline:
            time.sleep(0.1)
        statuses = [process.poll() for process in both]
    printed = [log.read_text() for log in logs]
    assert statuses == [0, 0], "\n".join(printed)
    result = job.read_result()
    assert result is not None
    assert figures(result, "validation_loss") == pytest.approx(figures(alone, "validation_loss"), rel=1e-5)
    same_network(job.network_file, expected)
    assert sorted("loss" in text for text in printed) == [False, True]  # only the first process reports
