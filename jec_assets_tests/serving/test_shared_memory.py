"""Jets in memory that a client shares with the real Triton: the same answers, and nothing is left of it."""

from __future__ import annotations

import errno
import json
import os
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
    Owner,
    Region,
    SharedMemoryError,
    forget_name,
    give_back_of_the_dead,
)
from jec_assets.serving.shared_transport import SMALLEST, SharedMemoryTransport
from jec_assets.serving.tensors import BatchError, PaddedJets
from jec_assets.serving.transport import DeadlineError, RequestRefusedError, ServerUnavailableError
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


# A child asks and closes, as if the client were its own; then its parent goes on.
FORKING = """
import json
import os
import sys

import numpy as np

from jec_assets.serving.client import JetClient
from jec_assets.serving.endpoint import Endpoint
from jec_assets.serving.tensors import PaddedJets


def asked(value):
    particles = np.full((1, 1, served.particle_features), value, np.float32)
    return client.answer("pfn", PaddedJets(particles, np.ones((1, 1), np.int64), jets))


with JetClient.beside(Endpoint(**json.loads(sys.argv[1]))) as client:
    served = client.model("pfn")
    jets = np.ones((1, served.jet_features), np.float32)
    one, two = asked(1), asked(2)
    connection = client._transport._connection
    parents = connection.sock.getsockname()
    child = os.fork()
    if child == 0:
        client.model("pfn")
        own = connection.sock.getsockname() != parents
        print("child", bool(own and asked(2) == two), flush=True)
    else:
        assert os.waitpid(child, 0)[1] == 0
        kept = connection.sock.getsockname() == parents
        print("parent", bool(kept and asked(1) == one and one != two), flush=True)
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
def killed_client(endpoint: Endpoint) -> Iterator[subprocess.Popen[str]]:
    """Another process that has been answered, by shared memory, until the block is left, and is killed then."""
    arguments = [sys.executable, "-c", CLIENT, json.dumps(asdict(endpoint))]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "answered\n"
            yield process
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

    def looking(name: str) -> None:
        modes.append(stat.S_IMODE((SHARED_MEMORY / name).stat().st_mode))
        forget_name(name)

    monkeypatch.setattr("jec_assets.serving.shared_transport.forget_name", looking)
    with JetClient.beside(served.endpoint) as client:
        client.answer("pfn", PaddedJets.of(jets.slice(0, 2)))
        assert (files(), len(mapped(served.endpoint))) == ([], 1)
    assert modes == [0o600]
    assert (regions(served.endpoint), mapped(served.endpoint)) == ({}, [])


@pytest.mark.parametrize("interrupted", ["mmap.mmap", "os.posix_fallocate"])
def test_no_name_is_left_by_who_is_interrupted(
    served: Served, jets: PackedJets, monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with JetClient.beside(served.endpoint) as client, monkeypatch.context() as patch:
        patch.setattr(interrupted, interrupt)
        with pytest.raises(KeyboardInterrupt):
            client.answer("pfn", PaddedJets.of(jets.slice(0, 2)))
        assert files() == []


def test_what_is_no_tensor_is_refused_by_name_before_anything_is_written(client: JetClient, jets: PackedJets) -> None:
    batch = PaddedJets.of(jets.slice(0, 2))
    client.answer("pfn", batch)  # until there is memory whose bytes something could be taken for
    for name, array in (
        ("particles", batch.particles.astype(object)),
        ("particles", batch.particles.astype(">f4")),
        ("jets", batch.jets.astype(np.float64)),
        ("particles", batch.particles[:, :0]),
        ("jets", batch.jets[:0]),
    ):
        with pytest.raises(BatchError, match=f"{name}: "):
            client.answer("pfn", replace(batch, **{name: array}))
    client.answer("pfn", batch)


def test_an_answer_that_nobody_waits_for_does_not_meet_the_next_jets_and_leaves_nothing(
    served: Served, jets: PackedJets, expected: np.ndarray
) -> None:
    transport = SharedMemoryTransport(served.endpoint)
    first, second = PaddedJets.of(jets.slice(0, 250)), PaddedJets.of(jets.slice(250, 500))
    for _ in range(10):
        transport.begin("pfn", first, "", 10)
        np.testing.assert_allclose(transport.infer("pfn", second, "", 10)[:, 0], expected[250:], atol=1e-6)
    transport.begin("pfn", first, "", 10)
    transport.close()
    assert regions(served.endpoint) == {}


@pytest.mark.parametrize("error", [DeadlineError("time was up"), KeyboardInterrupt()])
def test_what_a_deadline_or_an_interrupt_left_is_given_back_later(
    served: Served, jets: PackedJets, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    batch, receive = PaddedJets.of(jets.slice(0, 2)), SharedMemoryTransport._receive

    def lost(transport: SharedMemoryTransport, end: float) -> None:
        receive(transport, end)  # the server knows, this process doesn't
        raise error

    with JetClient.beside(served.endpoint) as client:
        monkeypatch.setattr(SharedMemoryTransport, "_receive", lost)
        with pytest.raises(type(error)):
            client.answer("pfn", batch)
        monkeypatch.undo()
        (left,) = regions(served.endpoint)
        client.answer("pfn", batch)
        (used,) = regions(served.endpoint)
        assert used != left
    assert regions(served.endpoint) == {}


def test_who_manages_the_server_may_have_it_let_go(client: JetClient, served: Served, jets: PackedJets) -> None:
    batch = PaddedJets.of(jets.slice(0, 2))
    answer = client.answer("pfn", batch)
    with connected(served.endpoint, 10) as server:
        server.unregister_system_shared_memory(headers=served.endpoint.management_headers())
    np.testing.assert_array_equal(client.answer("pfn", batch), answer)


def test_a_forked_process_has_regions_of_its_own(served: Served) -> None:
    arguments = [sys.executable, "-c", FORKING, json.dumps(asdict(served.endpoint))]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (0, "child True\nparent True\n"), done.stderr
    assert regions(served.endpoint) == {}


def test_what_a_killed_client_shared_is_given_back(served: Served, client: JetClient, jets: PackedJets) -> None:
    client.answer("pfn", PaddedJets.of(jets.slice(0, 2)))
    own = set(regions(served.endpoint))
    with killed_client(served.endpoint) as process:
        (shared,) = set(regions(served.endpoint)) - own
        orphan = SHARED_MEMORY / shared  # as if the server had not mapped it yet
        orphan.touch()
        assert give_back_of_the_dead(served.endpoint) == ()
        assert orphan.exists()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert give_back_of_the_dead(served.endpoint) == (shared,), "though nobody has waited for it yet"
        assert not orphan.exists()
    assert set(regions(served.endpoint)) == own
    client.answer("pfn", PaddedJets.of(jets.slice(0, 2)))


def test_whose_a_region_is_stands_in_its_name() -> None:
    this = Owner.this()
    assert Owner.of(this.new_name()) == this
    assert this.new_name() != this.new_name()
    for name in ("", PREFIX, f"{PREFIX}1_x", f"{this.new_name()}x", f"{PREFIX}4294967296_1_1_{'0' * 16}"):
        assert Owner.of(name) is None


def test_only_who_is_known_to_have_ended_has() -> None:
    this = Owner.this()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert not this.has_ended()
    assert replace(this, pid=process.pid).has_ended()
    assert replace(this, started=this.started - 100).has_ended(), "another process has its number now"
    assert not replace(this, pid=process.pid, namespace=this.namespace + 1).has_ended()


def test_what_others_call_like_a_region_is_left_alone(served: Served) -> None:
    of_the_dead = SHARED_MEMORY / replace(Owner.this(), started=1).new_name()
    of_the_dead.mkdir()
    try:
        assert give_back_of_the_dead(served.endpoint) == ()
        assert of_the_dead.exists()
    finally:
        of_the_dead.rmdir()


def test_closing_hides_nothing_though_the_server_is_gone(
    own_triton: LocalTriton, repository: ModelRepository, pfn_onnx: bytes, jets: PackedJets
) -> None:
    model = repository.publish(card_of("pfn", pfn_onnx), pfn_onnx, InstanceSettings())
    endpoint = own_triton.start_or_reuse(repository.uri)
    load(endpoint, [model])
    client = JetClient.beside(endpoint, Patience(attempts=2))
    client.log_factors("pfn", jets)
    own_triton.stop()
    with pytest.raises(ServerUnavailableError), client:
        client.answer("pfn", PaddedJets.of(jets))
    assert all(transport._connection.sock is None for transport in client._transports)  # type: ignore[attr-defined]


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
        JetClient.beside(replace(served.endpoint, token_file=str(tmp_path))) as client,
        pytest.raises(EndpointError, match="managed by whoever may read"),
    ):
        client.answer("pfn", batch)
    assert (files(), regions(served.endpoint)) == ([], {})


def test_a_machine_without_room_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SharedMemoryError, match=r"lends no .* MB for jets .*--shm-size"):
        Region(name := Owner.this().new_name(), 1 << 50)
    forget_name(name)

    def no_more(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", no_more)
    with pytest.raises(SharedMemoryError, match="Too many open files"):
        Region(name, SMALLEST)
