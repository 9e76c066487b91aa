"""The sensor `failed_runs`, on real failed runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from jec_assets.defs.automation import webhook
from jec_assets.defs.automation.failures import failed_runs_sensor
from jec_assets.settings import Settings
from jec_assets_tests.defs.automation.webhook_server import WebhookServer, webhook_server


@dg.asset
def broken() -> None:
    message = "3 files could not be had\nfrom s3://jets"
    raise OSError(message)


@dg.asset
def fine() -> None:
    """Nothing to do."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookServer]:
    monkeypatch.setattr(webhook, "FIRST_PAUSE", 0.01)
    with webhook_server() as running:
        yield running


class Failures:
    """A repository with a job that fails and one that doesn't, and the sensor that looks at their runs."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.instance, self.settings, self.cursor = instance, settings, None
        jobs = [dg.define_asset_job(name, [name], tags={"experiment": "mine"}) for name in ("broken", "fine")]
        definitions = dg.Definitions([broken, fine], jobs=jobs, sensors=[failed_runs_sensor()])
        self.repository = definitions.get_repository_def()
        self.look()  # the first look only says where to begin

    def run(self, job: str) -> str:
        result = self.repository.get_job(job).execute_in_process(instance=self.instance, raise_on_error=False)
        return result.run_id

    def look(self) -> None:
        resources = {"settings": self.settings}
        context = dg.build_sensor_context(
            self.instance, self.cursor, repository_def=self.repository, resources=resources
        )
        with context:
            data = self.repository.get_sensor_def("failed_runs").evaluate_tick(context)
        assert [reaction.error for reaction in data.dagster_run_reactions or []].count(None) == len(
            data.dagster_run_reactions or []
        )
        self.cursor = data.cursor


@pytest.fixture
def failures(instance: dg.DagsterInstance, server: WebhookServer, tmp_path: Path) -> Failures:
    (tmp_path / "webhook").write_text(server.url)
    settings = Settings(failure_webhook_file=tmp_path / "webhook", ui_url="https://dagster.example/")
    return Failures(instance, settings)


def test_a_failed_run_is_told_once(failures: Failures, server: WebhookServer) -> None:
    failures.run("fine")
    run = failures.run("broken")
    for _ in range(2):
        failures.look()
    url = f"https://dagster.example/runs/{run}"
    (message,) = server.messages
    assert message == {
        "path": "/hooks/secret-token",
        "text": f"run {run} of broken, step broken failed: OSError: 3 files could not be had {url}",
        "job": "broken",
        "run_id": run,
        "step": "broken",
        "partition": None,
        "experiment": "mine",
        "error": "OSError: 3 files could not be had",
        "url": url,
    }


def test_a_run_whose_process_died_is_told_with_the_reason(failures: Failures, server: WebhookServer) -> None:
    run = failures.instance.create_run_for_job(failures.repository.get_job("broken"))
    failures.instance.report_run_failed(run, "the process of the run is gone")
    failures.look()
    (message,) = server.messages
    assert (message["step"], message["error"]) == (None, "the process of the run is gone")


def test_a_webhook_that_fails_is_logged_and_the_next_run_told(
    failures: Failures, server: WebhookServer, capfd: pytest.CaptureFixture[str]
) -> None:
    server.answers = [404]
    first, second = failures.run("broken"), failures.run("broken")
    failures.look()
    assert [message["run_id"] for message in server.messages] == [first, second]
    logged = "".join(capfd.readouterr())
    assert f"the webhook answered 404; run {first} was not told" in logged
    assert "secret-token" not in logged


def test_without_a_webhook_it_is_only_logged(instance: dg.DagsterInstance, server: WebhookServer) -> None:
    failures = Failures(instance, Settings())
    failures.run("broken")
    failures.look()
    assert server.messages == []
