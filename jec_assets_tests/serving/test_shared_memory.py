"""Jets in memory that a client shares with the real Triton: the same answers, and nothing is left of it."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.processes import SHARED_MEMORY
from jec_assets.serving import tensors
from jec_assets.serving.client import AT_ONCE, JetClient
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.endpoint import Endpoint, EndpointError, connected, load
from jec_assets.serving.patience import Patience
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.shared_memory import (
    PREFIX,
    SMALLEST,
    Region,
    SharedMemoryError,
    SharedMemoryTransport,
    give_back_of_the_dead,
)
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.transport import RequestRefusedError
from jec_assets.serving.triton import LocalTriton
from jec_assets_tests.serving.conftest import Served, card_of

pytestmark = pytest.mark.needs("triton")

# Asks once, says so, and waits to be killed.
CLIENT = """
import json
import sys
import time

import numpy as np

from jec_assets.serving.client import JetClient
from jec_assets.serving.endpoint import Endpoint
from jec_assets.serving.tensors import PaddedJets

client = JetClient.beside(Endpoint(**json.loads(sys.argv[1])))
served = client.model("pfn")
ones = np.ones((1, served.particle_features), np.float32), np.ones((1, served.jet_features), np.float32)
client.answer("pfn", PaddedJets(ones[0][np.newaxis], np.ones((1, 1), np.int64), ones[1]))
print("answered", flush=True)
time.sleep(600)
"""


@pytest.fixture
def expected(pfn_onnx: bytes, jets: PackedJets) -> np.ndarray:
    return inference_session(pfn_onnx, threads=1).predict(jets)


@pytest.fixture
def client(served: Served) -> Iterator[JetClient]:
    endpoint = served.triton.running()  # as documented
    assert endpoint is not None
    with JetClient.beside(endpoint) as client:
        yield client


def regions(endpoint: Endpoint) -> dict[str, int]:
    """What the server shares with clients: bytes by name."""
    with connected(endpoint, 10) as server:
        status = server.get_system_shared_memory_status(headers=endpoint.management_headers())
    return {region["name"]: region["byte_size"] for region in status}


def mapped(endpoint: Endpoint) -> list[str]:
    """Clients' regions in the server's memory."""
    return [region.path for region in psutil.Process(endpoint.pid).memory_maps() if PREFIX in region.path]


def files() -> list[Path]:
    return list(SHARED_MEMORY.glob(f"{PREFIX}*"))


@contextmanager
def killed_client(endpoint: Endpoint) -> Iterator[None]:
    """Another process that has been answered, by shared memory, until the block is left, and is killed then."""
    arguments = [sys.executable, "-c", CLIENT, json.dumps(asdict(endpoint))]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "answered\n"
            yield
        finally:
            process.kill()


def test_answers_are_those_of_the_network_bit_by_bit(client: JetClient, jets: PackedJets, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(client.log_factors("pfn", jets), expected)


def test_requests_under_way_do_not_write_over_each_other(
    client: JetClient, served: Served, jets: PackedJets, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors.batches_by_length, "__defaults__", (len(jets) // 50, tensors.MAX_SLOTS))
    np.testing.assert_allclose(client.log_factors("pfn", jets), expected, atol=1e-6)
    assert len(regions(served.endpoint)) == AT_ONCE


def test_jets_are_not_sent(client: JetClient, jets: PackedJets, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = PaddedJets.of(jets)
    client.answer("pfn", batch)  # until there is a region
    sent: list[int] = []
    send = SharedMemoryTransport._send

    def counting(transport: SharedMemoryTransport, method: str, path: str, end: float, request: Any) -> None:
        sent.extend(map(len, request.body))
        send(transport, method, path, end, request)

    monkeypatch.setattr(SharedMemoryTransport, "_send", counting)
    client.answer("pfn", batch)
    assert 0 < sum(sent) < 1_000 < batch.particles.nbytes


def test_more_jets_than_fit_get_a_larger_region_and_the_smaller_is_given_back(
    client: JetClient, served: Served, jets: PackedJets, expected: np.ndarray
) -> None:
    several = jets.take(np.tile(np.arange(len(jets)), 2))
    for given, factors in ((jets.slice(0, 20), expected[:20]), (several, np.tile(expected, 2))):
        answer = client.answer("pfn", PaddedJets.of(given))
        np.testing.assert_allclose(answer[:, 0], factors, atol=1e-6)
        (size,) = regions(served.endpoint).values()
        assert size >= max(SMALLEST, PaddedJets.of(given).particles.nbytes)
    assert size > SMALLEST


def test_a_region_has_no_name_that_others_could_open_and_none_is_left(
    served: Served, jets: PackedJets, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    forget = Region.forget_name

    def looking(region: Region) -> None:
        modes.append(stat.S_IMODE((SHARED_MEMORY / region.name).stat().st_mode))
        forget(region)

    monkeypatch.setattr(Region, "forget_name", looking)
    with JetClient.beside(served.endpoint) as client:
        client.answer("pfn", PaddedJets.of(jets.slice(0, 2)))
        assert (files(), len(mapped(served.endpoint))) == ([], 1)
    assert modes == [0o600]
    assert (regions(served.endpoint), mapped(served.endpoint)) == ({}, [])


def test_an_answer_that_nobody_waits_for_does_not_meet_the_next_jets(
    served: Served, jets: PackedJets, expected: np.ndarray
) -> None:
    transport = SharedMemoryTransport(served.endpoint)
    first, second = PaddedJets.of(jets.slice(0, 250)), PaddedJets.of(jets.slice(250, 500))
    transport.begin("pfn", first, "", 10)
    np.testing.assert_allclose(transport.infer("pfn", second, "", 10)[:, 0], expected[250:], atol=1e-6)
    transport.close()
    # What the server still read when it was given back it keeps, as long as this process lives.
    left = regions(served.endpoint)
    assert (give_back_of_the_dead(served.endpoint), regions(served.endpoint)) == ((), left)
    with connected(served.endpoint, 10) as server:
        for name in left:
            server.unregister_system_shared_memory(name, headers=served.endpoint.management_headers())


def test_what_a_killed_client_shared_is_given_back(served: Served, client: JetClient, jets: PackedJets) -> None:
    client.answer("pfn", PaddedJets.of(jets.slice(0, 2)))
    own = set(regions(served.endpoint))
    with killed_client(served.endpoint):
        (shared,) = set(regions(served.endpoint)) - own
        assert give_back_of_the_dead(served.endpoint) == ()
    orphan = SHARED_MEMORY / shared  # as if it had been killed before the server knew the region
    orphan.touch()
    assert give_back_of_the_dead(served.endpoint) == (shared,)
    assert set(regions(served.endpoint)) == own
    assert not orphan.exists()
    client.answer("pfn", PaddedJets.of(jets.slice(0, 2)))


def test_a_server_that_was_started_again_is_shared_with_anew(
    own_triton: LocalTriton, repository: ModelRepository, pfn_onnx: bytes, jets: PackedJets, expected: np.ndarray
) -> None:
    model = repository.publish(card_of("pfn", pfn_onnx), pfn_onnx, InstanceSettings())
    load(own_triton.start_or_reuse(repository.uri), [model])
    state = own_triton.state()
    assert state is not None
    with JetClient.beside(state.endpoint, Patience(attempts=10)) as client:
        np.testing.assert_array_equal(client.log_factors("pfn", jets), expected)
        psutil.Process(state.pid).kill()
        with own_triton.locked():
            own_triton.restart(state, ["pfn"])
        np.testing.assert_array_equal(client.log_factors("pfn", jets), expected)
        psutil.Process(own_triton.state().pid).kill()  # type: ignore[union-attr]
    assert files() == []


def test_without_the_servers_token_nothing_is_shared(served: Served, jets: PackedJets, tmp_path: Path) -> None:
    batch = PaddedJets.of(jets.slice(0, 2))
    stranger = replace(served.endpoint, token_file=None)
    with (
        JetClient.beside(stranger) as client,
        pytest.raises(RequestRefusedError, match="on this machine that the same user has started"),
    ):
        client.answer("pfn", batch)
    with (
        JetClient.beside(replace(served.endpoint, token_file=str(tmp_path / "none"))) as client,
        pytest.raises(EndpointError, match="managed by whoever may read"),
    ):
        client.answer("pfn", batch)
    assert (files(), regions(served.endpoint)) == ([], {})


def test_a_machine_without_room_says_so() -> None:
    with pytest.raises(SharedMemoryError, match=r"has no room for .* MB of jets .*--shm-size"):
        Region(1 << 50)
    assert files() == []
