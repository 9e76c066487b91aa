"""`ingest`, `trials` and `publish`, one after the other, as Kubernetes Jobs through a real API server, on toy jets.

Dagster's instance, servers, accounts and settings are those of deployments/kubernetes/base; storage is a bucket and
PostgreSQL; no two Pods share a folder. The endpoint is a Deployment whose command is this installation's Triton.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import dagster as dg
import pytest
from kubernetes import client

from jec_assets.defs.automation.runs import RETRAINING
from jec_assets.jets.arrivals import calibrated_files
from jec_assets.processes import remove_shared_memory
from jec_assets.search.provenance import present_inputs
from jec_assets.search.record import read_records
from jec_assets.serving.foreground import shared_memory_of
from jec_assets.storage import Storage
from jec_assets_tests.kubernetes.conftest import Cluster
from jec_assets_tests.kubernetes.installation import BUCKET, PATIENCE, Installation, Services, installed, wait_until
from jec_assets_tests.postgres import postgres_server
from jec_assets_tests.processes import free_port_block
from jec_assets_tests.s3 import make_bucket, s3_server
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("cluster"),
    pytest.mark.needs("s3"),
    pytest.mark.needs("postgres"),
    pytest.mark.needs("triton"),
    pytest.mark.timeout(2400),  # more than any test and its fixtures may wait, which say what for
]

FAMILIES = ("pfn", "pfn_committee")
PARTITIONS = ("000", "001")
QUICK = {
    "JEC_FAMILIES": json.dumps(FAMILIES),
    "JEC_TRIALS": str(len(PARTITIONS)),
    "JEC_EPOCHS": "1",
    "JEC_BOOTSTRAP_RESAMPLES": "5",
    "JEC_LATENCY_REPETITIONS": "3",
    "JEC_LATENCY_SECONDS": "0.05",
    "JEC_LOAD_SECONDS": "0.05",
    "JEC_ARRIVALS_QUIET_SECONDS": "1",
    "JEC_ARRIVALS_SECONDS": "5",
}


@pytest.fixture(scope="module")
def namespace_of_all(cluster: Cluster) -> Iterator[str]:
    core = client.CoreV1Api(cluster.api)
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name="whole")))
    yield "whole"
    core.delete_namespace("whole")


@pytest.fixture(scope="module")
def installation(
    cluster: Cluster, namespace_of_all: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Dagster on the cluster, and a bucket with jet files."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("s3", "jets", "home")}
    with ExitStack() as stack:
        services = Services(stack.enter_context(s3_server(folders["s3"])), stack.enter_context(postgres_server()).port)
        make_bucket(services.s3, BUCKET, stack.enter_context(pytest.MonkeyPatch.context()))
        _upload(folders["jets"], 0, 1)
        endpoint = _endpoint(folders["home"])
        stack.callback(remove_shared_memory, shared_memory_of(folders["home"] / "triton"))
        home = folders["home"]
        yield stack.enter_context(installed(cluster, namespace_of_all, home, services, QUICK | endpoint))


def _upload(folder: Path, *numbers: int) -> None:
    storage = Storage(f"s3://{BUCKET}/jets")
    for number in numbers:
        file = write_jet_file(folder / f"{number}.root", toy_jets(300, seed=number, run=number + 1))
        storage.publish_bytes(file.name, file.read_bytes())


def _endpoint(folder: Path) -> dict[str, str]:
    """Settings of the endpoint where Services have no network: its Pod is found by its ports."""
    first = free_port_block(3)
    command = ["env", f"JEC_WORK_FOLDER={folder / 'triton'}", str(Path(sys.executable).with_name("jec")), "triton"]
    return {
        "JEC_TRITON_COMMAND": json.dumps(command),
        "JEC_ENDPOINT_PORT": str(first),
        "JEC_ENDPOINT_URL": f"127.0.0.1:{first}",
        "JEC_ENDPOINT_GRPC_URL": f"127.0.0.1:{first + 1}",
    }


@pytest.fixture(scope="module")
def ingested(installation: Installation) -> str:
    """The run that made the splits."""
    run_id = installation.launch("ingest")
    assert installation.end_of(run_id) == "SUCCESS", installation.log(run_id)
    return run_id


@pytest.fixture(scope="module")
def trained(installation: Installation, ingested: str) -> list[str]:
    """The runs of all trials, of one backfill."""
    installation.backfill("trials", *PARTITIONS)
    wait_until(lambda: len(_trials(installation)) == len(PARTITIONS), PATIENCE, "the backfill doesn't start its runs")
    runs = _trials(installation)
    ends = installation.ends_of(runs)
    assert ends == ["SUCCESS"] * len(PARTITIONS), "\n".join(map(installation.log, runs))
    return runs


def _trials(installation: Installation) -> list[str]:
    return [run_id for run_id, run in installation.runs({}).items() if run.job_name == "trials"]


@pytest.fixture(scope="module")
def published(installation: Installation, trained: list[str]) -> str:
    """The run that served and reported."""
    run_id = installation.launch("publish")
    assert installation.end_of(run_id, 900) == "SUCCESS", installation.log(run_id)
    return run_id


def test_every_trial_is_one_job(installation: Installation, trained: list[str]) -> None:
    trials = [
        (run.tags["dagster/partition"], job.metadata.labels["dagster/op"])
        for run_id, run in installation.runs({}).items()
        for job in installation.jobs(run_id)
        if job.metadata.labels.get("dagster/op", "").endswith("__trial_model")
    ]
    expected = [(partition, f"{family}__trial_model") for partition in PARTITIONS for family in FAMILIES]
    assert sorted(trials) == sorted(expected)
    storage = _storage()
    for partition in PARTITIONS:
        for family in FAMILIES:
            assert storage.read_json(f"trials/{family}/{partition}.json")["status"] == "finished"
            assert storage.list(f"trials/{family}/checkpoints") == []


def _storage() -> Storage:
    return Storage(f"s3://{BUCKET}/storage")


def test_trials_ask_for_gpus_and_hold_to_the_pool(installation: Installation, trained: list[str]) -> None:
    [job, *_] = [job for job in installation.jobs(trained[0]) if "dagster/op" in job.metadata.labels]
    [container] = job.spec.template.spec.containers
    assert container.resources.limits["nvidia.com/gpu"] == "1"
    events = installation.instance.event_log_storage
    assert "gpu" in events.get_concurrency_keys()
    wait_until(lambda: events.get_concurrency_info("gpu").active_slot_count == 0, 120, "slots stay taken")


def test_no_pod_leaves_a_file_to_another(installation: Installation, trained: list[str]) -> None:
    folders = {folder.name for folder in (installation.folder / "pods").iterdir()}
    trials = {pod.metadata.name for run_id in trained for pod in installation.pods(run_id, "step_worker")}
    assert len(trials) == len(PARTITIONS) * len(FAMILIES)
    assert trials <= folders


def test_every_step_is_a_job_of_its_own(installation: Installation, ingested: str, published: str) -> None:
    for run_id in (ingested, published):
        run = installation.instance.get_run_by_id(run_id)
        assert run is not None
        steps = [job for job in installation.jobs(run_id) if job.metadata.name.startswith("dagster-step-")]
        assert {job.metadata.labels["dagster/op"] for job in steps} == set(_steps(installation, run_id))
        assert len(steps) == len(_steps(installation, run_id))
        wait_until(partial(_all_succeeded, installation, run_id), 120, "a Job doesn't end")
        assert len(installation.jobs(run_id)) == len(steps) + 1


def _all_succeeded(installation: Installation, run_id: str) -> bool:
    return all(job.status.succeeded == 1 for job in installation.jobs(run_id))


def _steps(installation: Installation, run_id: str) -> list[str]:
    return [stats.step_key for stats in installation.instance.get_run_step_stats(run_id)]


def test_the_endpoint_is_a_deployment_that_answers(installation: Installation, published: str) -> None:
    apps = client.AppsV1Api(installation.cluster.api)
    deployment = apps.read_namespaced_deployment("jec-endpoint", installation.namespace)
    assert deployment.status.ready_replicas == 1
    url = f"http://{installation.environment['JEC_ENDPOINT_URL']}/v2/health/ready"
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.status == 200


def test_the_results_are_in_the_bucket(installation: Installation, published: str) -> None:
    storage = _storage()
    assert b"<html" in storage.read_bytes("reports/calibration.html")[:1000].lower()
    for family in FAMILIES:
        assert storage.read_json(f"best_models/{family}.json")["candidates"] == [0, 1]
    logs = Storage(f"s3://{BUCKET}/dagster").base
    assert list(logs.glob(f"storage/{published}/**/*.err")), "output of steps isn't in the bucket"


def test_two_more_files_start_everything_anew(installation: Installation, published: str, tmp_path: Path) -> None:
    _upload(tmp_path, 2, 3)
    installation.switch_on("retraining")
    wait_until(lambda: _retraining(installation, "publish") != {}, 900, "the sensor doesn't come to publish")
    [run_id] = _retraining(installation, "publish")
    assert installation.end_of(run_id, 900) == "SUCCESS", installation.log(run_id)
    assert len(_retraining(installation, "ingest")) == 1
    trials = _retraining(installation, "trials")
    assert sorted(run.tags["dagster/partition"] for run in trials.values()) == list(PARTITIONS)
    storage = _storage()
    assert len(calibrated_files(storage)) == 4
    for family in FAMILIES:
        records = read_records(storage, family)
        assert len(records) == len(PARTITIONS)
        assert all(record.inputs == present_inputs(storage) for record in records)


def _retraining(installation: Installation, job: str) -> dict[str, dg.DagsterRun]:
    """The runs of a job that the sensor asked for, by id."""
    runs = installation.runs({})
    return {run_id: run for run_id, run in runs.items() if run.job_name == job and RETRAINING in run.tags}
