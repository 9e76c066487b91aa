"""What both clients make of servers that are no Triton, of lost connections and of addresses that are none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.serving import tensors
from jec_assets.serving.async_client import AsyncJetClient
from jec_assets.serving.client import AT_ONCE, JetClient
from jec_assets.serving.patience import Patience
from jec_assets.serving.tensors import BatchError, PaddedJets
from jec_assets.serving.transport import (
    PROTOCOLS,
    AddressError,
    DeadlineError,
    Protocol,
    RequestRefusedError,
    ServerUnavailableError,
)
from jec_assets_tests.serving.strange_servers import METADATA, answer, strange_server, until_inference

Kind = Literal["plain", "asyncio"]
KINDS: tuple[Kind, ...] = ("plain", "asyncio")
PATIENCE = Patience(attempts=3)
HTML = answer(b"<html>Welcome to nginx!</html>", kind="text/html")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


def published(kind: Kind, address: str, protocol: Protocol = "http") -> Any:
    if kind == "asyncio":
        return in_loop(address, protocol, lambda client: client.published("pfn"), PATIENCE)
    with JetClient(address, protocol, PATIENCE) as client:
        return client.published("pfn")


def outputs(kind: Kind, address: str, jets: PackedJets, patience: Patience = PATIENCE) -> Any:
    if kind == "asyncio":
        return in_loop(address, "http", lambda client: client.outputs("pfn", jets), patience)
    with JetClient(address, "http", patience) as client:
        return client.outputs("pfn", jets)


def in_loop(
    address: str, protocol: Protocol, ask: Callable[[AsyncJetClient], Awaitable[Any]], patience: Patience
) -> Any:
    async def run() -> Any:
        async with AsyncJetClient(address, protocol, patience) as client:
            return await ask(client)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "said",
    [
        HTML,
        answer(b"{}"),
        answer(b"[]"),
        answer(b"[" * 100_000),
        answer(json.dumps({**METADATA, "versions": []}).encode()),
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_who_says_nothing_that_triton_says_of_a_model_is_told_to_be_none(kind: Kind, said: bytes) -> None:
    with strange_server(lambda _: said) as server:
        with pytest.raises(RequestRefusedError, match=f"{server.address} doesn't answer as Triton does"):
            published(kind, server.address)
        assert len(server.asked) == 1  # asking again would not help


@pytest.mark.parametrize(
    "said", [HTML, answer(b"{}"), answer(b"[]"), answer(b"[" * 100_000), b"HTTP/1.1 two OK\r\n\r\n"]
)
def test_answers_that_cannot_be_read_are_not_asked_for_again(kind: Kind, said: bytes, jets: PackedJets) -> None:
    with strange_server(until_inference(said)) as server:
        with pytest.raises(RequestRefusedError, match="doesn't answer as Triton does"):
            outputs(kind, server.address, jets.slice(0, 2))
        assert sum(path.endswith("/infer") for path in server.asked) == 1


def test_lost_connections_are_made_again(kind: Kind, jets: PackedJets) -> None:
    cut = answer(b"{}")[:-1]
    with strange_server(until_inference(cut)) as server:
        with pytest.raises(ServerUnavailableError, match=server.address):
            outputs(kind, server.address, jets.slice(0, 2))
        assert sum(path.endswith("/infer") for path in server.asked) == PATIENCE.attempts


def test_each_request_under_way_is_lost_by_itself(jets: PackedJets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors.batches_by_length, "__defaults__", (1, tensors.MAX_SLOTS))
    with strange_server(until_inference(answer(b"{}")[:-1])) as server:
        with pytest.raises(ServerUnavailableError, match=server.address):
            outputs("plain", server.address, jets.slice(0, 5))
        # The first until patience was at an end, and those that were sent meanwhile.
        assert sum(path.endswith("/infer") for path in server.asked) == PATIENCE.attempts + AT_ONCE - 1


def test_a_refusal_that_ends_with_its_connection_is_a_refusal(kind: Kind) -> None:
    said = b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/html\r\n\r\n<h1>401 Authorization Required</h1>"
    with strange_server(lambda _: said) as server:
        with pytest.raises(RequestRefusedError, match=r"wants a token .*: 401 Authorization Required"):
            published(kind, server.address)
        assert len(server.asked) == 1


@pytest.mark.parametrize("patience", [Patience(request=0.5), Patience(call=0.5)])
def test_who_answers_byte_by_byte_is_given_up_in_time(kind: Kind, patience: Patience, jets: PackedJets) -> None:
    endless = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 500
    with strange_server(lambda _: endless, pause=0.05) as server:
        with pytest.raises(DeadlineError):
            outputs(kind, server.address, jets.slice(0, 2), patience)
        assert len(server.asked) == 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "address",
    ["localhost:8000/v2", "http://localhost:8000", "localhost:x", "localhost:70000", "a..b:8000", "", "a b:1"],
)
def test_what_is_no_address_is_said_to_be_none(kind: Kind, protocol: Protocol, address: str) -> None:
    with pytest.raises(AddressError, match="is no address: give host:port"):
        published(kind, address, protocol)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "[::1]:1", "localhost", "jec-endpoint.jec.svc:8000", "a_b:80"])
def test_hosts_may_be_given_in_any_way(address: str) -> None:
    for protocol in PROTOCOLS:
        JetClient(address, protocol).close()


def test_arrays_of_other_types_are_refused_by_name_before_sending(kind: Kind, jets: PackedJets) -> None:
    few = jets.slice(0, 2)
    others = {
        "jets: must be float32, not float64": replace(few, jets=few.jets.astype(np.float64)),
        "particles: must be float32, not float16": replace(few, particles=few.particles.astype(np.float16)),
        "particle_count: must be int64, not int32": replace(few, offsets=few.offsets.astype(np.int32)),
    }
    with strange_server(until_inference(HTML)) as server:
        for said, other in others.items():
            with pytest.raises(BatchError, match=said):
                outputs(kind, server.address, other)
        assert not any(path.endswith("/infer") for path in server.asked)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_batch_of_a_type_that_no_tensor_has_is_refused_by_name(protocol: Protocol, jets: PackedJets) -> None:
    batch = PaddedJets.of(jets.slice(0, 2))
    with (
        JetClient("127.0.0.1:1", protocol) as client,
        pytest.raises(BatchError, match=r"jets: must be one of <f4, <i8, not <f8"),
    ):
        client.answer("pfn", replace(batch, jets=batch.jets.astype(np.float64)))
