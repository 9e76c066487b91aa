"""A dead or silent S3 server is said within seconds."""

from __future__ import annotations

import socket

import pytest

from jec_assets.processes import free_ports
from jec_assets.serving import reachable
from jec_assets.serving.reachable import UnreachableRepositoryError, require_reachable
from jec_assets.serving.triton import LocalTriton
from jec_assets_tests.serving.conftest import Served


@pytest.fixture
def dead() -> str:
    """A repository on a server that is not there."""
    return f"s3://http://127.0.0.1:{free_ports(1)[0]}/models/model_repository"


def test_a_folder_is_always_reachable() -> None:
    require_reachable("/some/folder")


def test_a_dead_server_is_named_with_what_to_do(dead: str) -> None:
    with pytest.raises(UnreachableRepositoryError, match=r"its server http://127.* refused.*AWS_ENDPOINT_URL"):
        require_reachable(dead)


def test_a_server_that_takes_connections_and_says_nothing_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(UnreachableRepositoryError, match="timed out"):
            require_reachable(f"s3://http://127.0.0.1:{silent.getsockname()[1]}/models")


@pytest.mark.needs("triton")
def test_triton_is_not_started_for_a_repository_out_of_reach(dead: str, own_triton: LocalTriton) -> None:
    with pytest.raises(UnreachableRepositoryError):
        own_triton.start_or_reuse(dead)
    assert own_triton.running() is None


@pytest.mark.needs("triton")
def test_a_server_that_runs_is_left_alone_when_another_repository_is_out_of_reach(dead: str, served: Served) -> None:
    with pytest.raises(UnreachableRepositoryError, match="models that are loaded are served all the same"):
        served.triton.start_or_reuse(dead)
    assert served.triton.running() == served.endpoint


def test_without_a_server_in_the_address_amazon_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def connection(host: str, port: int | None, **options: object) -> object:
        asked.append((host, port))
        raise OSError("not from here")

    monkeypatch.setattr(reachable, "HTTPSConnection", connection)
    monkeypatch.setattr(reachable, "TIMEOUT", 0.0)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with pytest.raises(UnreachableRepositoryError, match="not from here"):
        require_reachable("s3://models/model_repository")
    assert asked == [("s3.eu-west-1.amazonaws.com", None)]
