"""Calls of many requests: one is on its way to the real Triton while another is computed there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.serving import patience, tensors
from jec_assets.serving.client import AT_ONCE, JetClient
from jec_assets.serving.patience import Patience
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.tensors import BatchError
from jec_assets.serving.transport import (
    PROTOCOLS,
    DeadlineError,
    Protocol,
    RequestRefusedError,
    ServerUnavailableError,
    Transport,
)
from jec_assets_tests.serving.conftest import Served
from jec_assets_tests.serving.test_client import unreliable_proxy

pytestmark = [pytest.mark.needs("triton"), pytest.mark.parametrize("protocol", PROTOCOLS)]
REQUESTS = 10


@pytest.fixture(autouse=True)
def _many_requests(jets: PackedJets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors.batches_by_length, "__defaults__", (len(jets) // REQUESTS, tensors.MAX_SLOTS))


@pytest.fixture
def expected(pfn_onnx: bytes, jets: PackedJets) -> np.ndarray:
    return inference_session(pfn_onnx, threads=1).predict(jets)


@pytest.fixture
def happened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was done with requests, in order."""
    happened: list[str] = []
    begin = Transport.begin

    def telling(transport: Transport, *arguments: Any) -> Callable[[], np.ndarray]:
        wait = begin(transport, *arguments)
        happened.append("sent")

        def answer() -> np.ndarray:
            happened.append("answered")
            return wait()

        return answer

    monkeypatch.setattr(Transport, "begin", telling)
    return happened


def test_the_next_is_sent_before_an_answer_is_waited_for(
    served: Served, protocol: Protocol, jets: PackedJets, expected: np.ndarray, happened: list[str]
) -> None:
    with JetClient.of(served.endpoint, protocol) as client:
        np.testing.assert_array_equal(client.log_factors("pfn", jets), expected)
    turns = ["answered", "sent"] * (REQUESTS - AT_ONCE)
    assert happened == ["sent"] * AT_ONCE + turns + ["answered"] * AT_ONCE


def test_lost_connections_are_made_again(
    served: Served, protocol: Protocol, jets: PackedJets, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, number = Transport.begin, count()
    target = {"http": served.endpoint.http, "grpc": served.endpoint.grpc}[protocol]
    with unreliable_proxy(target, losses=0) as proxy, JetClient(proxy.address, protocol) as client:

        def cutting(transport: Transport, *arguments: Any) -> Callable[[], np.ndarray]:
            answer = begin(transport, *arguments)
            if next(number) == REQUESTS // 2:
                proxy.cut(losses=2)
            return answer

        monkeypatch.setattr(Transport, "begin", cutting)
        np.testing.assert_array_equal(client.log_factors("pfn", jets), expected)
        assert proxy.losses == 0, "nothing was lost"


def test_who_failed_gets_its_own_answers_afterwards(
    served: Served, protocol: Protocol, jets: PackedJets, expected: np.ndarray
) -> None:
    with JetClient.of(served.endpoint, protocol, Patience(attempts=1)) as client:
        for _ in range(3):
            with pytest.raises((RequestRefusedError, ServerUnavailableError), match="version"):
                client.log_factors("pfn", jets, version="99")
            np.testing.assert_array_equal(client.log_factors("pfn", jets), expected)


def test_a_call_whose_time_is_over_asks_no_more(
    served: Served, protocol: Protocol, jets: PackedJets, happened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def now() -> float:
        return 100.0 if happened.count("sent") == AT_ONCE + 1 else 0.0

    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=now))
    with (
        JetClient.of(served.endpoint, protocol, Patience(call=60)) as client,
        pytest.raises(DeadlineError, match="not answered within 60 s"),
    ):
        client.log_factors("pfn", jets)
    assert happened.count("sent") == AT_ONCE + 1


def test_what_no_network_can_answer_is_found_before_anything_is_sent(
    served: Served, protocol: Protocol, jets: PackedJets, happened: list[str]
) -> None:
    fullest = int(jets.counts.argmax())  # in the last of the requests
    broken = jets.jets.copy()
    broken[fullest, 0] = np.nan
    with JetClient.of(served.endpoint, protocol) as client, pytest.raises(BatchError, match=r"^jets: holds NaN"):
        client.log_factors("pfn", replace(jets, jets=broken))
    assert happened == []
