"""Telling a webhook, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jec_assets.defs.automation import webhook
from jec_assets.defs.automation.webhook import ATTEMPTS, Webhook, WebhookError
from jec_assets_tests.defs.automation.webhook_server import WebhookServer, webhook_server
from jec_assets_tests.processes import free_port


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookServer]:
    monkeypatch.setattr(webhook, "FIRST_PAUSE", 0.01)
    with webhook_server() as running:
        yield running


@pytest.fixture
def hook(server: WebhookServer, tmp_path: Path) -> Webhook:
    file = tmp_path / "webhook"
    file.write_text(server.url + "\n")
    return Webhook(file)


def test_a_message_arrives_as_json(server: WebhookServer, hook: Webhook) -> None:
    hook.tell({"text": "Δφ failed", "step": None})
    assert server.messages == [{"path": "/hooks/secret-token", "text": "Δφ failed", "step": None}]


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_fault_that_passes_is_waited_for(server: WebhookServer, hook: Webhook, status: int) -> None:
    server.answers = [status] * (ATTEMPTS - 1)
    hook.tell({"text": "x"})
    assert len(server.messages) == ATTEMPTS


@pytest.mark.parametrize(("status", "asked"), [(503, ATTEMPTS), (400, 1), (404, 1), (302, 1), (307, 1)])
def test_a_refusal_is_said_without_the_url(server: WebhookServer, hook: Webhook, status: int, asked: int) -> None:
    server.answers = [status] * 9
    with pytest.raises(WebhookError, match=str(status)) as refused:
        hook.tell({"text": "x"})
    assert len(server.messages) == asked
    assert "secret-token" not in str(refused.value)


def test_a_server_that_does_not_answer_in_time(
    server: WebhookServer, hook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "SECONDS", 0.05)
    server.delay = 1.0
    with pytest.raises(WebhookError, match="can't be reached"):
        hook.tell({"text": "x"})


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "FIRST_PAUSE", 0.01)
    (tmp_path / "webhook").write_text(f"http://127.0.0.1:{free_port()}/secret-token")
    with pytest.raises(WebhookError, match="can't be reached") as unreachable:
        Webhook(tmp_path / "webhook").tell({"text": "x"})
    assert "secret-token" not in str(unreachable.value)


@pytest.mark.parametrize("text", ["", "ftp://127.0.0.1/x", "file:///etc/passwd", "127.0.0.1/x", "https://"])
def test_what_is_no_url_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "webhook").write_text(text)
    with pytest.raises(WebhookError, match="does not hold an http:// or https:// URL"):
        Webhook(tmp_path / "webhook").tell({"text": "x"})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WebhookError, match=r"webhook.*JEC_FAILURE_WEBHOOK_FILE"):
        Webhook(tmp_path / "webhook").tell({"text": "x"})
