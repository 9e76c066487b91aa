"""Whatever dies on a cluster, a run ends: it is tried again, a trial goes on from its checkpoint, no slot stays taken.

Five trials are struck at the same time, each in another way; then the API server is restarted, then the node is lost.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kubernetes import client

from jec_assets.storage import Storage
from jec_assets_tests.kubernetes import breaking
from jec_assets_tests.kubernetes.conftest import started_cluster
from jec_assets_tests.kubernetes.installation import BUCKET, ENDED, Installation, Services, installed, wait_until
from jec_assets_tests.postgres import postgres_server
from jec_assets_tests.s3 import make_bucket, s3_server
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("cluster"),
    pytest.mark.needs("s3"),
    pytest.mark.needs("postgres"),
    pytest.mark.skipif("JEC_TEST_CLUSTER" not in os.environ, reason="it breaks the cluster: only one of its own"),
    pytest.mark.timeout(2400),  # more than any test and its fixtures may wait, which say what for
]

# A trial of the committee trains three epochs for each one of the settings, and its checkpoints are small.
EPOCHS = 75
SETTINGS = {
    "JEC_ENDPOINT": "local",
    "JEC_FAMILIES": '["pfn_committee"]',
    "JEC_TRIALS": "7",
    "JEC_EPOCHS": str(EPOCHS // 3),
    "JEC_STORAGE_ROOT": f"s3://{BUCKET}/storage",
}
EPOCH = rf"trial \d+: epoch (\d+)/{EPOCHS}"
STEP = "pfn_committee__trial_model"


@pytest.fixture(scope="module")
def replaced() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Parts of the cluster that tests started in place of others, or beside them; they end with it."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, replaced: list[subprocess.Popen[bytes]]
) -> Iterator[Installation]:
    """Dagster on a cluster of its own, and splits to train on."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("cluster", "s3", "jets", "home")}
    with ExitStack() as stack:
        cluster = stack.enter_context(started_cluster(Path(os.environ["JEC_TEST_CLUSTER"]), folders["cluster"]))
        services = Services(stack.enter_context(s3_server(folders["s3"])), stack.enter_context(postgres_server()).port)
        make_bucket(services.s3, BUCKET, stack.enter_context(pytest.MonkeyPatch.context()))
        write_jet_file(folders["jets"] / "a.root", toy_jets(1500, seed=1))
        _ingest_here(folders["jets"], folders["home"])
        made = client.V1Namespace(metadata=client.V1ObjectMeta(name="faults"))
        client.CoreV1Api(cluster.api).create_namespace(made)
        yield stack.enter_context(installed(cluster, "faults", folders["home"], services, SETTINGS))


def _ingest_here(jets: Path, folder: Path) -> None:
    settings = SETTINGS | {"JEC_SOURCE": str(jets), "JEC_WORK_FOLDER": str(folder / "work")}
    command = [sys.executable, "-m", "dagster", "job", "execute", "-m", "jec_assets.definitions", "-j", "ingest"]
    subprocess.run(command, env=os.environ | settings, check=True, capture_output=True, cwd=folder, timeout=300)


def _trial(installation: Installation, partition: str) -> str:
    return installation.launch("trials", {"dagster/partition": partition})


def _under_way(installation: Installation, run_id: str) -> bool:
    """Whether a run's trial has been trained for an epoch, which ends with a checkpoint."""
    assert installation.status(run_id) not in ENDED, installation.log(run_id)
    return any(int(epoch) > 1 for epoch in re.findall(EPOCH, installation.said(run_id)))


def _wait_for_training(installation: Installation, run_id: str) -> None:
    wait_until(lambda: _under_way(installation, run_id), 600, f"run {run_id} doesn't train")


def _killed_step(installation: Installation, run_id: str) -> None:
    [pod] = installation.pods(run_id, "step_worker")
    breaking.kill_pod(pod.metadata.name)


def _evicted_step(installation: Installation, run_id: str) -> None:
    [pod] = installation.pods(run_id, "step_worker")
    client.CoreV1Api(installation.cluster.api).delete_namespaced_pod(pod.metadata.name, installation.namespace)


def _lost_step(installation: Installation, run_id: str) -> None:
    """Its Pod is gone as with its node: Kubernetes no longer knows of it, and nobody told the process."""
    [pod] = installation.pods(run_id, "step_worker")
    core = client.CoreV1Api(installation.cluster.api)
    core.delete_namespaced_pod(pod.metadata.name, installation.namespace, grace_period_seconds=0)
    breaking.kill_pod(pod.metadata.name)


def _killed_run(installation: Installation, run_id: str) -> None:
    [pod] = installation.pods(run_id, "run_worker")
    breaking.kill_pod(pod.metadata.name)


def _killed_both(installation: Installation, run_id: str) -> None:
    _killed_step(installation, run_id)
    _killed_run(installation, run_id)


STRIKES: dict[str, Callable[[Installation, str], None]] = {
    "000": _killed_step,
    "001": _evicted_step,
    "002": _lost_step,
    "003": _killed_run,
    "004": _killed_both,
}


@pytest.fixture(scope="module")
def struck(installation: Installation) -> dict[str, str]:
    """The runs of five trials, by partition, after each was struck half-way and had ended."""
    runs = {partition: _trial(installation, partition) for partition in STRIKES}
    standing = set(runs)

    def all_struck() -> bool:
        for partition in sorted(standing):
            if _under_way(installation, runs[partition]):
                STRIKES[partition](installation, runs[partition])
                standing.remove(partition)
        return not standing

    wait_until(all_struck, 600, "trials aren't trained")
    installation.ends_of([*runs.values()], 900)
    return runs


def _assert_resumed(installation: Installation, *runs: str) -> None:
    """The trial told of an epoch, and after the fault of the same or a later one: it never began anew."""
    said = "\n".join(map(installation.said, runs))
    epochs = [int(epoch) for epoch in re.findall(EPOCH, said)]
    assert epochs == sorted(epochs)
    # At most: what is reported is told every few seconds, and a busy machine may be past the first step by then.
    assert len(re.findall(rf"epoch 1/{EPOCHS}, step 1/", said)) <= 1, "it began twice"


def _assert_finished(partition: str) -> None:
    record = Storage(SETTINGS["JEC_STORAGE_ROOT"]).read_json(f"trials/pfn_committee/{partition}.json")
    assert record["status"] == "finished"
    assert [each["epoch"] for each in record["history"]] == list(range(1, EPOCHS + 1))


def test_a_killed_step_is_started_again_and_goes_on(installation: Installation, struck: dict[str, str]) -> None:
    log = installation.log(struck["000"])
    assert installation.status(struck["000"]) == "SUCCESS", log
    assert re.search(rf"STEP_UP_FOR_RETRY {STEP} .*Discovered failed Kubernetes job", log), log
    assert "exit code 137" in log, "it isn't said how it ended"
    assert len(installation.jobs(struck["000"])) == 3, "one of the run, two of the step"
    _assert_resumed(installation, struck["000"])
    _assert_finished("000")


def test_an_evicted_step_is_started_again_and_goes_on(installation: Installation, struck: dict[str, str]) -> None:
    log = installation.log(struck["001"])
    assert installation.status(struck["001"]) == "SUCCESS", log
    assert re.search(rf"STEP_UP_FOR_RETRY {STEP} .*DagsterExecutionInterruptedError", log), log
    _assert_resumed(installation, struck["001"])
    _assert_finished("001")


def test_a_step_whose_pod_is_lost_is_not_waited_for(installation: Installation, struck: dict[str, str]) -> None:
    log = installation.log(struck["002"])
    assert installation.status(struck["002"]) == "SUCCESS", log
    assert re.search(rf"STEP_UP_FOR_RETRY {STEP} .*its first pod was lost", log), log
    _assert_resumed(installation, struck["002"])
    _assert_finished("002")


def test_a_run_whose_pod_is_killed_finds_its_step_again(installation: Installation, struck: dict[str, str]) -> None:
    log = installation.log(struck["003"])
    assert installation.status(struck["003"]) == "SUCCESS", log
    assert "Detected run worker status" in log, log
    assert "Launching a new run worker to resume run" in log, log
    assert len(installation.jobs(struck["003"])) == 3, "two of the run, one of the step"
    _assert_resumed(installation, struck["003"])
    _assert_finished("003")


def test_a_run_that_loses_all_is_tried_again(installation: Installation, struck: dict[str, str]) -> None:
    log = installation.log(struck["004"])
    assert installation.status(struck["004"]) == "FAILURE", log
    assert "Detected run worker status" in log, log
    [retried] = installation.runs({"dagster/parent_run_id": struck["004"]})
    assert installation.end_of(retried) == "SUCCESS", installation.log(retried)
    _assert_resumed(installation, struck["004"], retried)
    _assert_finished("004")


def test_no_slot_of_the_pool_stays_taken(installation: Installation, struck: dict[str, str]) -> None:
    storage = installation.instance.event_log_storage
    assert "gpu" in storage.get_concurrency_keys()

    def free() -> bool:
        info = storage.get_concurrency_info("gpu")
        return info.active_slot_count == 0 and info.pending_step_count == 0

    wait_until(free, 120, "slots of the pool stay taken")


def _wait_for_looks(installation: Installation, run_id: str) -> None:
    """Until the daemon has looked after a run twice more."""
    [log] = (installation.cluster.kubeconfig.parent / "pods").glob(f"{installation.namespace}_jec-daemon-*")

    def looks() -> int:
        return log.read_text().count(f"Checking run {run_id}")

    before = looks()
    wait_until(lambda: looks() >= before + 2, 240, "the daemon doesn't look after runs")


def test_an_api_server_may_restart(installation: Installation, replaced: list[subprocess.Popen[bytes]]) -> None:
    folder = installation.cluster.folder
    assert folder
    run_id = _trial(installation, "005")
    _wait_for_training(installation, run_id)
    command = breaking.stop_server(folder, "apiserver", signal.SIGKILL)
    _wait_for_looks(installation, run_id)
    replaced.append(breaking.start_server(folder, "apiserver", command))
    breaking.wait_for_api(installation.cluster)
    assert installation.end_of(run_id) == "SUCCESS", installation.log(run_id)
    assert "Launching a new run worker" not in installation.log(run_id), "it was taken for dead"
    assert not installation.runs({"dagster/parent_run_id": run_id})
    assert len(installation.jobs(run_id)) == 2
    _assert_finished("005")


def test_a_node_may_be_lost_with_all_that_ran_on_it(
    installation: Installation, replaced: list[subprocess.Popen[bytes]]
) -> None:
    """Dagster's own servers too."""
    folder = installation.cluster.folder
    assert folder
    run_id = _trial(installation, "006")
    _wait_for_training(installation, run_id)
    command = breaking.lose_node(installation.cluster, folder)
    replaced.append(breaking.garbage_collector(folder))
    replaced.append(breaking.start_server(folder, "nodelet", command))
    runs = [run_id]
    if installation.end_of(run_id) == "FAILURE":
        wait_until(lambda: bool(installation.runs({"dagster/parent_run_id": run_id})), 120, "it isn't tried again")
        runs += installation.runs({"dagster/parent_run_id": run_id})
    assert installation.end_of(runs[-1]) == "SUCCESS", installation.log(runs[-1])
    _assert_resumed(installation, *runs)
    _assert_finished("006")
