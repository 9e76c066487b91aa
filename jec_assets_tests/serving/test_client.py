"""Requests to the real Triton, good and bad."""

from __future__ import annotations

import asyncio
import json
import socket
import socketserver
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from http.client import HTTPConnection
from threading import Thread
from typing import Any

import numpy as np
import pytest

from jec_assets.jets.features import EXTENDED
from jec_assets.jets.packed import PackedJets
from jec_assets.processes import free_ports
from jec_assets.serving import tensors
from jec_assets.serving.async_client import AsyncJetClient
from jec_assets.serving.async_transport import AsyncTransport
from jec_assets.serving.client import JetClient, NoQuantilesError
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.endpoint import load, ready
from jec_assets.serving.export import export_onnx
from jec_assets.serving.patience import Patience
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.runtime import JetSession, inference_session
from jec_assets.serving.sendable import WrongFeaturesError
from jec_assets.serving.tensors import BatchError, PaddedJets
from jec_assets.serving.transport import (
    PROTOCOLS,
    Protocol,
    RequestRefusedError,
    ServerUnavailableError,
    Transport,
)
from jec_assets.serving.triton import LocalTriton
from jec_assets.serving.units import UnitsError
from jec_assets_tests.serving.conftest import Served, card_of, small_network

pytestmark = pytest.mark.needs("triton")

SETTINGS = InstanceSettings()


@pytest.fixture(scope="module")
def session(pfn_onnx: bytes) -> JetSession:
    return inference_session(pfn_onnx, threads=1)


@pytest.fixture(params=PROTOCOLS)
def client(served: Served, request: pytest.FixtureRequest) -> Iterator[JetClient]:
    with JetClient.of(served.endpoint, request.param) as client:
        yield client


def test_answers_equal_those_computed_here(client: JetClient, session: JetSession, jets: PackedJets) -> None:
    np.testing.assert_array_equal(client.log_factors("pfn", jets), session.predict(jets))
    np.testing.assert_array_equal(client.log_factors("pfn", jets, version="1"), session.predict(jets))
    assert len(client.log_factors("pfn", jets.slice(0, 0))) == 0


def test_the_server_says_what_it_serves(client: JetClient, jets: PackedJets) -> None:
    served = client.model("pfn")
    assert served.versions == (1,)
    assert (served.particle_features, served.jet_features) == (jets.particles.shape[1], jets.jets.shape[1])


def test_statistics_count_requests(client: JetClient, jets: PackedJets) -> None:
    batch = PaddedJets.of(jets.slice(0, 10))
    earlier = client.statistics("pfn")
    client.answer("pfn", batch)
    before = client.statistics("pfn", earlier.requests + 1)
    for _ in range(3):
        client.answer("pfn", batch)
    done = client.statistics("pfn", before.requests + 3) - before
    assert done.requests == 3
    assert done.compute > 0
    assert done.queue >= 0


def test_other_features_are_refused_before_sending(client: JetClient, jets: PackedJets) -> None:
    with pytest.raises(WrongFeaturesError, match="wants 14 particle and 9 jet features, these jets have 3 and 9"):
        client.log_factors("pfn", replace(jets, particles=jets.particles[:, :3]))


def test_values_that_are_not_finite_are_refused_before_sending(client: JetClient, jets: PackedJets) -> None:
    broken = jets.jets.copy()
    broken[3, 0] = np.nan
    with pytest.raises(BatchError, match="jets: "):
        client.log_factors("pfn", replace(jets, jets=broken))


def test_momenta_in_other_units_are_refused_before_sending(client: JetClient, jets: PackedJets) -> None:
    in_mev = jets.jets.copy()
    in_mev[:, EXTENDED.jet_names.index("log_pt")] += np.log(1000)
    with pytest.raises(UnitsError, match="pT must be in GeV"):
        client.log_factors("pfn", replace(jets, jets=in_mev))


def test_the_server_says_what_was_published(client: JetClient, served: Served) -> None:
    assert client.published("pfn") == served.model


def test_a_network_without_quantiles_has_none(client: JetClient, jets: PackedJets) -> None:
    with pytest.raises(NoQuantilesError, match="pfn predicts no quantiles"):
        client.quantiles("pfn", jets)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"particle_count": np.full((4, 1), -1)}, "particle_count: must be in 1.."),
        ({"particle_count": np.full((4, 1), 1_000)}, "particle_count: must be in 1.."),
        ({"particles": np.full((4, 60, 14), np.nan, np.float32)}, "particles: holds NaN"),
        ({"jets": np.full((4, 9), np.inf, np.float32)}, "jets: holds NaN"),
        ({"jets": np.zeros((4, 8), np.float32)}, "input 'jets'"),
        ({"particles": np.zeros((4, 60, 14), np.int64)}, "input 'particles'"),
        ({"particles": np.zeros((4, 0, 14), np.float32)}, "particle"),
    ],
)
def test_requests_at_fault_are_refused_and_the_server_stays_healthy(
    served: Served, client: JetClient, jets: PackedJets, change: dict[str, np.ndarray], field: str
) -> None:
    good = PaddedJets.of(jets.slice(0, 4))
    expected = client.answer("pfn", good)
    with pytest.raises(RequestRefusedError, match=field.replace(".", r"\.")):
        client.answer("pfn", replace(good, **change))
    assert ready(served.endpoint)
    np.testing.assert_array_equal(client.answer("pfn", good), expected)


def test_padding_may_hold_anything(client: JetClient, jets: PackedJets) -> None:
    batch = PaddedJets.of(jets.slice(0, 20))
    dirty = batch.particles.copy()
    dirty[np.arange(dirty.shape[1]) >= batch.particle_count] = np.nan
    np.testing.assert_array_equal(client.answer("pfn", replace(batch, particles=dirty)), client.answer("pfn", batch))


def test_unknown_models_and_versions_are_refused(client: JetClient, jets: PackedJets) -> None:
    batch = PaddedJets.of(jets.slice(0, 2))
    with pytest.raises(RequestRefusedError, match="absent"):
        client.answer("absent", batch)
    with pytest.raises(RequestRefusedError, match="version"):
        client.answer("pfn", batch, version="99")


def test_requests_at_once_get_their_own_answers(served: Served, session: JetSession, jets: PackedJets) -> None:
    """Triton puts them together: neither another's jets nor another's fault may come back."""

    def ask(number: int) -> bool:
        batch = PaddedJets.of(jets.slice(2 * number, 2 * number + 2))
        with JetClient.of(served.endpoint, "grpc") as client:
            for _ in range(10):
                if number % 5 == 0:
                    with pytest.raises(RequestRefusedError, match="particle_count"):
                        client.answer("pfn", replace(batch, particle_count=-batch.particle_count))
                else:
                    np.testing.assert_allclose(client.answer("pfn", batch), session.log_factors(batch), atol=1e-6)
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(32)))


def test_plain_json_is_enough(served: Served, session: JetSession, jets: PackedJets) -> None:
    batch = PaddedJets.of(jets.slice(0, 3))
    status, answer = post_json(served, batch.arrays)
    assert status == 200
    (output,) = answer["outputs"]
    assert output["name"] == "log_factor"
    np.testing.assert_allclose(np.reshape(output["data"], (3, 1)), session.log_factors(batch), atol=1e-6)
    missing = {name: array for name, array in batch.arrays.items() if name != "particle_count"}
    status, answer = post_json(served, missing)
    assert status == 400
    assert "expected 3 inputs but got 2" in answer["error"]
    assert ready(served.endpoint)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_lost_connections_are_made_again(
    served: Served, protocol: Protocol, session: JetSession, jets: PackedJets
) -> None:
    batch = PaddedJets.of(jets.slice(0, 3))
    target = {"http": served.endpoint.http, "grpc": served.endpoint.grpc}[protocol]
    with unreliable_proxy(target, losses=2) as proxy, JetClient(proxy.address, protocol) as client:
        np.testing.assert_array_equal(client.answer("pfn", batch), session.log_factors(batch))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_is_not_there_is_said_to_be_unavailable(protocol: Protocol, jets: PackedJets) -> None:
    (port,) = free_ports(1)
    with JetClient(f"127.0.0.1:{port}", protocol) as client, pytest.raises(ServerUnavailableError, match=str(port)):
        client.answer("pfn", PaddedJets.of(jets.slice(0, 3)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_all_batches_of_a_call_are_answered_by_the_version_that_was_the_highest_when_it_began(
    own_triton: LocalTriton,
    repository: ModelRepository,
    jets: PackedJets,
    protocol: Protocol,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    versions = [export_onnx(small_network("pfn", seed)) for seed in (1, 2, 3)]
    expected = [inference_session(onnx, threads=1).predict(jets) for onnx in versions]
    coming = iter(versions)

    def publish() -> None:
        onnx = next(coming)
        model = repository.publish(card_of("pfn", onnx), onnx, SETTINGS)
        load(own_triton.start_or_reuse(repository.uri), [model])

    publish()
    endpoint = own_triton.start_or_reuse(repository.uri)
    monkeypatch.setattr(tensors.batches_by_length, "__defaults__", (100, tensors.MAX_SLOTS))
    begin, async_infer = Transport.begin, AsyncTransport.infer

    def publishing(transport: Transport, *arguments: Any) -> Callable[[], Any]:
        monkeypatch.setattr(Transport, "begin", begin)
        answers = begin(transport, *arguments)()
        publish()
        return lambda: answers

    async def async_publishing(transport: AsyncTransport, *arguments: Any) -> Any:
        monkeypatch.setattr(AsyncTransport, "infer", async_infer)
        answers = await async_infer(transport, *arguments)
        publish()
        return answers

    with JetClient.of(endpoint, protocol) as client:
        monkeypatch.setattr(Transport, "begin", publishing)
        np.testing.assert_allclose(client.log_factors("pfn", jets), expected[0], atol=1e-6)
        np.testing.assert_allclose(client.log_factors("pfn", jets), expected[1], atol=1e-6)

    async def asked() -> None:
        async with AsyncJetClient(
            {"http": endpoint.http, "grpc": endpoint.grpc}[protocol], protocol, at_once=1
        ) as client:
            monkeypatch.setattr(AsyncTransport, "infer", async_publishing)
            np.testing.assert_allclose(await client.log_factors("pfn", jets), expected[1], atol=1e-6)
            np.testing.assert_allclose(await client.log_factors("pfn", jets), expected[2], atol=1e-6)

    asyncio.run(asked())
    # Two versions are served; Triton takes one that is gone for one that may come again.
    with (
        JetClient.of(endpoint, protocol, Patience(attempts=1)) as client,
        pytest.raises(ServerUnavailableError, match="'pfn' version 1 is not at ready state"),
    ):
        client.log_factors("pfn", jets, version="1")


def post_json(served: Served, arrays: dict[str, np.ndarray]) -> tuple[int, dict[str, Any]]:
    types = {"float32": "FP32", "int64": "INT64"}
    inputs = [
        {"name": name, "shape": array.shape, "datatype": types[array.dtype.name], "data": array.ravel().tolist()}
        for name, array in arrays.items()
    ]
    with closing(HTTPConnection(served.endpoint.http, timeout=30)) as connection:
        connection.request("POST", "/v2/models/pfn/infer", json.dumps({"inputs": inputs}))
        answer = connection.getresponse()
        return answer.status, json.load(answer)


class UnreliableProxy(socketserver.ThreadingTCPServer):
    """Drops the next connections, as many as `losses` says, and passes the others on."""

    daemon_threads = True

    def __init__(self, target: str, losses: int) -> None:
        super().__init__(("127.0.0.1", 0), PassOn)
        host, port = target.split(":")
        self.target = host, int(port)
        self.losses = losses
        self.passed: list[socket.socket] = []

    def cut(self, losses: int) -> None:
        """End all connections, and drop so many of those that are made then."""
        self.losses = losses
        for connection in self.passed:
            with suppress(OSError):  # which has ended
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.server_address[1]}"


class PassOn(socketserver.BaseRequestHandler):
    server: UnreliableProxy

    def handle(self) -> None:
        if self.server.losses:
            self.server.losses -= 1
            return
        self.server.passed.append(self.request)
        with socket.create_connection(self.server.target) as upstream:
            back = Thread(target=pump, args=(upstream, self.request))
            back.start()
            pump(self.request, upstream)
            upstream.shutdown(socket.SHUT_RDWR)
            back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)


@contextmanager
def unreliable_proxy(target: str, losses: int) -> Iterator[UnreliableProxy]:
    with UnreliableProxy(target, losses) as proxy:
        thread = Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield proxy
        proxy.shutdown()
        thread.join()
