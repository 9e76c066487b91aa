"""The asyncio client against the real Triton: the numbers of the other client, many requests at once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from socket import create_server
from typing import Any

import numpy as np
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.processes import free_ports
from jec_assets.serving import async_client, tensors
from jec_assets.serving.async_client import AsyncJetClient
from jec_assets.serving.async_transport import AsyncTransport
from jec_assets.serving.client import JetClient, NoQuantilesError
from jec_assets.serving.patience import Patience
from jec_assets.serving.sendable import WrongFeaturesError
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.transport import (
    PROTOCOLS,
    DeadlineError,
    Protocol,
    RequestRefusedError,
    ServerUnavailableError,
)
from jec_assets_tests.serving.conftest import Served
from jec_assets_tests.serving.test_client import unreliable_proxy

pytestmark = [pytest.mark.needs("triton"), pytest.mark.parametrize("protocol", PROTOCOLS)]


def asked(address: str, protocol: Protocol, ask: Callable[[AsyncJetClient], Awaitable[Any]], **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncJetClient(address, protocol, **options) as client:
            return await ask(client)

    return asyncio.run(run())


def address_of(served: Served, protocol: Protocol) -> str:
    return {"http": served.endpoint.http, "grpc": served.endpoint.grpc}[protocol]


def test_numbers_are_those_of_the_other_client(
    served: Served, protocol: Protocol, jets: PackedJets, monkeypatch: pytest.MonkeyPatch
) -> None:
    with JetClient.of(served.endpoint, protocol) as client:
        expected = client.outputs("pfn", jets)
    outputs = asked(address_of(served, protocol), protocol, lambda client: client.outputs("pfn", jets, "1"))
    np.testing.assert_array_equal(outputs, expected)
    # The same jets in many requests at once.
    monkeypatch.setattr(tensors.batches_by_length, "__defaults__", (20, tensors.MAX_SLOTS))
    factors = asked(address_of(served, protocol), protocol, lambda client: client.log_factors("pfn", jets))
    np.testing.assert_allclose(factors, expected[:, 0], atol=1e-6)
    none = asked(address_of(served, protocol), protocol, lambda client: client.outputs("pfn", jets.slice(0, 0)))
    assert none.shape == (0, 1)


def test_no_more_than_so_many_requests_are_under_way(
    served: Served, protocol: Protocol, jets: PackedJets, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way: list[int] = []
    now = padded = 0

    async def counted(transport: AsyncTransport, *arguments: Any) -> Any:
        nonlocal now, padded
        now += 1
        under_way.append(now)
        try:
            return await infer(transport, *arguments)
        finally:
            now -= 1
            padded -= 1

    def counted_padding(*arguments: Any) -> PaddedJets:
        nonlocal padded
        padded += 1
        assert padded <= 3, "padded before it can be sent"
        return tensors.padded_batch(*arguments)

    monkeypatch.setattr(async_client, "padded_batch", counted_padding)

    infer = AsyncTransport.infer
    monkeypatch.setattr(AsyncTransport, "infer", counted)
    monkeypatch.setattr(tensors.batches_by_length, "__defaults__", (10, tensors.MAX_SLOTS))

    async def two_calls(client: AsyncJetClient) -> None:
        await asyncio.gather(client.outputs("pfn", jets), client.outputs("pfn", jets))

    asked(address_of(served, protocol), protocol, two_calls, at_once=3)
    assert len(under_way) == 100
    assert max(under_way) == 3


def test_what_cannot_be_answered_is_refused(served: Served, protocol: Protocol, jets: PackedJets) -> None:
    address = address_of(served, protocol)
    other = replace(jets, particles=jets.particles[:, :3])
    with pytest.raises(WrongFeaturesError):
        asked(address, protocol, lambda client: client.outputs("pfn", other))
    with pytest.raises(RequestRefusedError, match="absent"):
        asked(address, protocol, lambda client: client.outputs("absent", jets))


def test_it_tells_what_the_other_client_tells(served: Served, protocol: Protocol, jets: PackedJets) -> None:
    address = address_of(served, protocol)
    assert asked(address, protocol, lambda client: client.published("pfn")) == served.model
    with pytest.raises(NoQuantilesError, match="pfn predicts no quantiles"):
        asked(address, protocol, lambda client: client.quantiles("pfn", jets))


def test_a_call_whose_time_is_over_asks_nothing(served: Served, protocol: Protocol, jets: PackedJets) -> None:
    """Neither the server nor, which would be a warning, for an answer that nobody awaits."""
    address = address_of(served, protocol)
    with pytest.raises(DeadlineError, match="not answered within 0 s"):
        asked(address, protocol, lambda client: client.outputs("pfn", jets), patience=Patience(call=0))
    gc.collect()


def test_lost_connections_are_made_again(served: Served, protocol: Protocol, jets: PackedJets) -> None:
    few = jets.slice(0, 3)
    with unreliable_proxy(address_of(served, protocol), losses=2) as proxy:
        found = asked(proxy.address, protocol, lambda client: client.log_factors("pfn", few))
    with JetClient.of(served.endpoint, protocol) as client:
        np.testing.assert_array_equal(found, client.log_factors("pfn", few))


def test_servers_that_are_not_there_or_say_nothing_are_told(protocol: Protocol, jets: PackedJets) -> None:
    (port,) = free_ports(1)
    with pytest.raises(ServerUnavailableError, match=str(port)):
        asked(f"127.0.0.1:{port}", protocol, lambda client: client.outputs("pfn", jets), patience=Patience(attempts=2))
    with create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises((DeadlineError, ServerUnavailableError)):
            asked(address, protocol, lambda client: client.outputs("pfn", jets), patience=Patience(call=0.3))
