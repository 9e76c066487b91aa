"""Two more files arrive in a bucket, and Dagster's own daemon, a process of its own, really reads them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from jec_assets.definitions import build_defs
from jec_assets.defs.automation.runs import RETRAINING
from jec_assets.jets.manifest import Manifest
from jec_assets.settings import Settings
from jec_assets.storage import Storage
from jec_assets_tests.processes import ended
from jec_assets_tests.s3 import make_bucket, s3_server
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

# Two waits, and what comes before them.
pytestmark = [pytest.mark.needs("s3"), pytest.mark.slow, pytest.mark.timeout(1200)]

BIN = Path(sys.executable).parent
INSTANCE = "telemetry: {enabled: false}\nnux: {enabled: false}\n"
PATIENCE = 400.0  # seconds, on the busiest machine


def test_two_more_files_start_one_run_that_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    for folder in ("s3", "home", "jets"):
        (tmp_path / folder).mkdir()
    files = [write_jet_file(tmp_path / f"jets/{number}.root", toy_jets(500, seed=number)) for number in range(4)]
    (tmp_path / "home/dagster.yaml").write_text(INSTANCE)
    with s3_server(tmp_path / "s3") as url:
        make_bucket(url, "jets", monkeypatch)
        bucket = fsspec.filesystem("s3", skip_instance_cache=True)
        variables = {
            "JEC_SOURCE": "s3://jets/source",
            "JEC_STORAGE_ROOT": "s3://jets/storage",
            "JEC_WORK_FOLDER": str(tmp_path / "work"),
            "JEC_READING_PROCESSES": "1",
            "JEC_FAMILIES": '["pfn"]',
            "JEC_ARRIVALS": "ingest",
            "JEC_ARRIVALS_MIN_FILES": "2",
            "JEC_ARRIVALS_MIN_PERCENT": "1000",
            "JEC_ARRIVALS_QUIET_SECONDS": "0",
            "JEC_ARRIVALS_SECONDS": "1",
            "DAGSTER_HOME": str(tmp_path / "home"),
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        put(bucket, files[:2])
        first = build_defs(Settings()).get_repository_def().get_job("ingest").execute_in_process()
        assert first.success
        storage = Storage("s3://jets/storage")
        assert len(Manifest.load(storage).rows) == 2
        location = ["-m", "jec_assets.definitions"]
        subprocess.run([str(BIN / "dagster"), "sensor", "start", "retraining", *location], check=True, cwd=tmp_path)
        with (tmp_path / "log").open("wb") as log:
            daemon = subprocess.Popen(
                [str(BIN / "dagster-daemon"), "run", *location], cwd=tmp_path, stdout=log, stderr=log, env=os.environ
            )
        with ended(daemon), dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
            put(bucket, files[2:])
            run = wait_for_run(instance, tmp_path / "log")
            wait_for_ticks(instance, 3, tmp_path / "log")
            assert len(instance.get_runs()) == 1
        manifest = Manifest.load(storage)
    assert [Path(row.file.url).name for row in manifest.rows if row.read_now] == ["2.root", "3.root"]
    assert len(manifest.rows) == 4
    assert (run.job_name, run.tags["experiment"]) == ("ingest", "default")
    assert run.tags[RETRAINING]


def put(bucket: object, files: list[Path]) -> None:
    for file in files:
        bucket.put_file(str(file), f"jets/source/{file.name}")


def ticks(instance: dg.DagsterInstance) -> list[object]:
    states = instance.all_instigator_state()
    return [tick for state in states for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)]


def wait_for_ticks(instance: dg.DagsterInstance, more: int, log: Path) -> None:
    after, deadline = len(ticks(instance)), time.monotonic() + PATIENCE
    while len(ticks(instance)) < after + more:
        assert time.monotonic() < deadline, log.read_text()[-5000:]
        time.sleep(0.2)


def wait_for_run(instance: dg.DagsterInstance, log: Path) -> dg.DagsterRun:
    deadline = time.monotonic() + PATIENCE
    while True:
        runs = instance.get_runs()
        if runs and runs[0].is_finished:
            assert runs[0].is_success, log.read_text()[-5000:]
            return runs[0]
        assert time.monotonic() < deadline, log.read_text()[-5000:]
        time.sleep(0.2)
