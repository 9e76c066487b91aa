"""The calibration job where nothing lies on a disk: source, storage, models, curves and logs on a real S3 server.

It refuses some requests for overload and loses some connections half-way, as busy servers and networks do.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jec_assets_tests.faulty_s3 import FaultyS3, answering, cutting, cutting_download, faulty_s3, losing_the_answer
from jec_assets_tests.s3 import make_bucket
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

BIN = Path(sys.executable).parent
INSTANCE = Path(__file__).parents[2] / "deployments/kubernetes/base/dagster.yaml"
BUCKET = "calibration"
FAULTS = [
    answering(503, "SlowDown"),
    losing_the_answer,
    cutting,
    answering(500, "InternalError"),
    cutting_download(10),
]
SETTINGS = {
    "JEC_SOURCE": f"s3://{BUCKET}/jets",
    "JEC_STORAGE_ROOT": f"s3://{BUCKET}/root",
    "JEC_FAMILIES": '["pfn"]',
    "JEC_TRIALS": "1",
    "JEC_EPOCHS": "1",
    "JEC_READING_PROCESSES": "1",
    "JEC_PARALLEL_TRIALS": "1",
    "JEC_BOOTSTRAP_RESAMPLES": "2",
    "JEC_LATENCY_REPETITIONS": "2",
    "JEC_LOAD_SECONDS": "0.05",
    "JEC_THREADS": "1",
    "DAGSTER_LOGS_BUCKET": BUCKET,
}

pytestmark = [pytest.mark.needs("triton"), pytest.mark.needs("s3"), pytest.mark.slow]


@dataclass(frozen=True)
class Place:
    """A machine's folder, and the proxy to the server."""

    folder: Path
    proxy: FaultyS3

    def call(self, *command: str) -> str:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("JEC_", "DAGSTER_"))}
        here = {"JEC_WORK_FOLDER": str(self.folder / "work"), "DAGSTER_HOME": str(self.folder)}
        done = subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=self.folder,
            env={**own, **SETTINGS, **here},
            capture_output=True,
            text=True,
            check=False,
            timeout=540,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
        return done.stdout


@pytest.fixture(scope="module")
def calibrated(s3: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A place where the job ran once; every fifteenth request met a fault."""
    folder = tmp_path_factory.mktemp("calibrated")
    (folder / "dagster.yaml").write_text(yaml.safe_dump(logs_on_s3(folder)))
    with pytest.MonkeyPatch.context() as patch, faulty_s3(s3) as proxy:
        make_bucket(proxy.url, BUCKET, patch)
        system = fsspec.filesystem("s3", skip_instance_cache=True)
        for number in range(2):
            file = write_jet_file(folder / f"{number}.root", toy_jets(400, seed=number))
            system.put_file(str(file), f"{BUCKET}/jets/{number}.root")
            file.unlink()
        proxy.fail_every(15, FAULTS)
        place = Place(folder, proxy)
        try:
            place.call("dagster", "job", "execute", "-m", "jec_assets.definitions", "-j", "calibration")
            proxy.heal()
            yield place
        finally:
            proxy.heal()
            place.call("jec", "stop")


def logs_on_s3(folder: Path) -> dict[str, Any]:
    """The part of a cluster's instance that says where the output of steps is kept."""
    logs = yaml.safe_load(INSTANCE.read_text())["compute_logs"]
    return {"compute_logs": {**logs, "config": {**logs["config"], "local_dir": str(folder / "output")}}}


def test_everything_is_on_the_server(calibrated: Place) -> None:
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    lines = dict(line.split(": ", 1) for line in calibrated.call("jec", "results").splitlines())
    assert lines["report"] == f"s3://{BUCKET}/root/reports/calibration.html"
    assert b"<html" in system.cat_file(lines["report"])
    numbers = json.loads(system.cat_file(lines["numbers"]))
    assert sum(numbers["splits"].values()) > 1000
    assert set(numbers["loss"]) >= {"standard", "pfn"}
    index = urllib.request.Request(f"{lines['endpoint']}/v2/models/pfn")  # noqa: S310 - loopback
    with urllib.request.urlopen(index) as answer:  # noqa: S310 - loopback
        assert json.load(answer)["versions"] == ["1"]
    assert system.exists(f"{BUCKET}/root/model_repository/pfn/1/model.onnx")
    losses = EventAccumulator(f"s3://{BUCKET}/root/tensorboard/pfn/000").Reload().Scalars("loss/validation")
    assert [event.step for event in losses] == [1]
    assert any(file.endswith(".err") for file in system.find(f"{BUCKET}/dagster"))


def test_only_copies_are_on_the_machine(calibrated: Place) -> None:
    kept = {path.relative_to(calibrated.folder).parts[:2] for path in calibrated.folder.rglob("*") if path.is_file()}
    assert {parts[1] for parts in kept if parts[0] == "work"} <= {"cache", "tensorboard", "triton"}
