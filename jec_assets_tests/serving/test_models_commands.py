"""`jec models`, as people and scripts call it."""

from __future__ import annotations

import json
import socket
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from jec_assets.cli import app
from jec_assets.jets.packed import PackedJets
from jec_assets.serving import reachable
from jec_assets.serving.client import JetClient
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.endpoint import Endpoint
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.served import ENDPOINT_KEY, publish_endpoint
from jec_assets.storage import Storage
from jec_assets_tests.processes import free_port
from jec_assets_tests.serving.conftest import Served, card_of
from jec_assets_tests.serving.rollouts import like

SETTINGS = InstanceSettings()


def jec(repository: ModelRepository, *words: str, status: int = 0) -> str:
    environment = {"COLUMNS": "200", "JEC_STORAGE_ROOT": repository.storage.root, "JEC_BOOTSTRAP_RESAMPLES": "20"}
    result = CliRunner().invoke(app, ["models", *words], env=environment)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result.stdout if status == 0 and "--json" in words else result.output


@pytest.fixture
def filled(repository: ModelRepository) -> ModelRepository:
    for number, loss in enumerate((0.3, 0.1)):
        onnx = f"{number}".encode()
        card = replace(card_of("pfn", onnx), losses={"validation": loss}, hyperparameters={"units": 16 + number})
        repository.publish(card, onnx, SETTINGS)
    return repository


def test_versions_are_listed_shown_and_compared(filled: ModelRepository) -> None:
    listed = json.loads(jec(filled, "list", "--max-loss", "0.2", "--json"))
    assert [(each["card"]["family"], each["version"], each["state"]) for each in listed] == [("pfn", 2, "served")]
    table = jec(filled, "list", "--family", "pfn", "--since", "2020-01-01")
    assert "kept" in table
    assert "0.30000" in table
    assert "log_relative_pt" in jec(filled, "show", "pfn")
    assert json.loads(jec(filled, "show", "pfn", "1", "--json"))["version"] == 1
    assert json.loads(jec(filled, "diff", "pfn", "1", "2", "--json"))["hyperparameters.units"] == [16, 17]
    assert "losses.validation" in jec(filled, "diff", "pfn", "1", "served")


def test_tags_name_versions_and_protect_them(filled: ModelRepository) -> None:
    jec(filled, "tag", "pfn", "1", "paper")
    assert [each["version"] for each in json.loads(jec(filled, "list", "--tag", "paper", "--json"))] == [1]
    assert "paper" in jec(filled, "show", "pfn", "paper")
    jec(filled, "untag", "pfn", "paper")
    assert "no version 'paper'" in jec(filled, "show", "pfn", "paper", status=1)
    assert "can't be the name of a tag" in jec(filled, "tag", "pfn", "1", "A tag", status=1)


def test_what_is_served_changes_without_a_server_too(filled: ModelRepository) -> None:
    assert "pfn version 1 is served (no endpoint runs" in jec(filled, "rollback", "pfn")
    assert "nothing was served as pfn before" in jec(filled, "rollback", "pfn", status=1)
    assert "pfn version 2 is served" in jec(filled, "promote", "pfn", "2")
    assert "whole: pfn" in jec(filled, "verify")
    assert "is served or tried" in jec(filled, "delete", "pfn", "2", status=1)
    jec(filled, "rollback", "pfn")
    assert "pfn version 2 is deleted" in jec(filled, "delete", "pfn", "2")
    assert "no version 2 of pfn: there are 1" in jec(filled, "promote", "pfn", "2", status=1)


def test_how_many_versions_are_kept_and_served_is_set(filled: ModelRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEC_KEPT_VERSIONS", "1")
    monkeypatch.setenv("JEC_SERVED_VERSIONS", "1")
    for onnx in (b"three", b"four"):
        filled.store(card_of("pfn", onnx), onnx)
    jec(filled, "promote", "pfn", "4")
    pointer = filled.pointer("pfn")
    assert pointer is not None
    assert pointer.versions == (4,)
    assert filled.versions("pfn") == (2, 4)  # the one to go back to


@pytest.mark.parametrize("words", [("try", "pfn", "1"), ("rollout", "pfn", "1")])
def test_trying_needs_a_server(filled: ModelRepository, words: tuple[str, ...]) -> None:
    assert "no endpoint runs: start it with `jec serve`" in jec(filled, *words, status=1)


def test_mistakes_are_told(filled: ModelRepository) -> None:
    assert "'soon' is no date" in jec(filled, "list", "--since", "soon", status=1)
    assert "holds no version of particle_net" in jec(filled, "show", "particle_net", status=1)


def test_a_storage_server_that_is_gone_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(reachable, "TIMEOUT", 0.1)
    gone = ModelRepository(Storage("s3://models/gone"))
    assert "start it, or set AWS_ENDPOINT_URL" in jec(gone, "rollback", "pfn", status=1)


def test_a_server_that_is_busy_is_not_taken_for_none(filled: ModelRepository) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:  # takes connections and never answers
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        publish_endpoint(filled.storage, Endpoint("url", address, address))
        assert "is there and isn't ready" in jec(filled, "rollback", "pfn", status=1)
    assert filled.current("pfn") == filled.model("pfn", 2)


@pytest.mark.needs("triton")
def test_one_command_is_the_whole_act(
    served: Served, pfn_onnx: bytes, other_pfn_onnx: bytes, jets: PackedJets, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, family = served.repository, "by_command"
    publish_endpoint(repository.storage, served.endpoint)
    monkeypatch.setattr("jec_assets.jets.dataset.load_split", lambda *_: like(other_pfn_onnx, jets))
    try:
        repository.store(card_of(family, pfn_onnx), pfn_onnx)
        repository.store(card_of(family, other_pfn_onnx), other_pfn_onnx)
        assert served.endpoint.url in jec(repository, "promote", family, "1")
        assert f"version 2 as {family}.candidate" in jec(repository, "try", family, "2")
        with JetClient.of(served.endpoint, "http") as client:
            assert client.model(f"{family}.candidate").versions == (2,)
            jec(repository, "rollback", family)
            words = "--max-change", "10", "--max-slowdown", "1000000", "--jets", "300", "--json"
            result = json.loads(jec(repository, "rollout", family, "2", *words))["result"]
            assert (result["promoted"], result["jets"]) == (True, 300)
            assert client.model(family).versions == (1, 2)
            jec(repository, "rollback", family)
            assert client.model(family).versions == (1,)
            refused = jec(repository, "rollout", family, "2", "--max-change", "1e-9", "--max-slowdown", "1e6", status=1)
            assert f"{family} version 2 is withdrawn; version 1 stays served" in refused
            shown = jec(repository, "show", family, "2")
            assert "version 2 beside version 1, 300 jets: promoted" in shown
            assert "jets: withdrawn (change: half of the log factors" in shown
            rollouts = json.loads(jec(repository, "show", family, "2", "--json"))["rollouts"]
            assert [each["result"]["promoted"] for each in rollouts] == [True, False]
    finally:
        repository.storage.remove(ENDPOINT_KEY)
