"""Dagster on PostgreSQL, as deployments/kubernetes/base/dagster.yaml says: runs at once, a server that restarts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from jec_assets.defs.jets import jet_files
from jec_assets.defs.resources import resources
from jec_assets.pools import worker_pool
from jec_assets.settings import Settings
from jec_assets_tests.deployments.rendered import BASE
from jec_assets_tests.postgres import DATABASE, PASSWORD, USER, Postgres, postgres_server

pytestmark = pytest.mark.needs("postgres")

RUNS, PROCESSES = 20, 2


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def home(server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DAGSTER_HOME with the storage of the cluster's instance, but for the port."""
    storage = yaml.safe_load((BASE / "dagster.yaml").read_text())["storage"]
    storage["postgres"]["postgres_db"]["port"] = server.port
    values = {"HOST": "127.0.0.1", "USERNAME": USER, "PASSWORD": PASSWORD, "DB": DATABASE}
    for name, value in values.items():
        monkeypatch.setenv(f"DAGSTER_PG_{name}", value)
    local = {
        "module": "dagster.core.storage.root",
        "class": "LocalArtifactStorage",
        "config": {"base_dir": str(tmp_path)},
    }
    text = yaml.safe_dump({"storage": storage, "local_artifact_storage": local, "telemetry": {"enabled": False}})
    assert PASSWORD not in text
    (tmp_path / "dagster.yaml").write_text(text)
    return tmp_path


def run(instance: dg.DagsterInstance, source: Path, storage: Path) -> str:
    """List the source in a run of its own; the run's id."""
    settings = Settings(source=str(source), storage_root=str(storage))
    return dg.materialize([jet_files], resources=resources(settings), instance=instance).run_id


def run_several(home: Path, source: Path, process: int) -> list[str]:
    """In a process, with an instance of its own as a Pod has one: a share of the runs, one after the other."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return [run(instance, source, home / f"storage_{process}_{number}") for number in range(RUNS // PROCESSES)]


def test_runs_of_several_processes_lose_and_mix_nothing(home: Path, toy_source: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_runs() == []
        with worker_pool(PROCESSES) as pool:
            shares = [pool.submit(run_several, home, toy_source, process) for process in range(PROCESSES)]
            ids = sorted(each for share in shares for each in share.result())
        runs = instance.get_runs()
        assert sorted(each.run_id for each in runs) == ids
        assert {each.status for each in runs} == {dg.DagsterRunStatus.SUCCESS}
        for each in ids:
            kinds = [event.dagster_event_type for event in instance.all_logs(each) if event.is_dagster_event]
            for once in (dg.DagsterEventType.RUN_START, dg.DagsterEventType.ASSET_MATERIALIZATION):
                assert kinds.count(once) == 1
            assert kinds[-1] == dg.DagsterEventType.RUN_SUCCESS
        found = instance.fetch_materializations(jet_files.key, limit=10 * RUNS).records
        assert sorted(record.run_id for record in found) == ids


def test_a_server_that_was_restarted_is_used_again(home: Path, server: Postgres, toy_source: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        first = run(instance, toy_source, home / "storage")
        server.end()
        server.start()
        # The same instance, as a daemon keeps one: whatever connection it had is gone.
        second = run(instance, toy_source, home / "storage")
        assert {first, second} <= {each.run_id for each in instance.get_runs()}
