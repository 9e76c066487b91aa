"""The gate as a process of its own, in front of the real Triton; and in front of what is none."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.client import JetClient
from jec_assets.serving.endpoint import ready
from jec_assets.serving.gate import LARGEST, open_gate
from jec_assets.serving.tensors import MAX_JETS, MAX_SLOTS, PaddedJets
from jec_assets.serving.transport import RequestRefusedError, ServerUnavailableError
from jec_assets.serving.wire import JSON_LENGTH
from jec_assets_tests.processes import free_port
from jec_assets_tests.serving.conftest import Served
from jec_assets_tests.serving.damage import Damaged, as_binary, as_json, good
from jec_assets_tests.serving.gates import RunningGate, running_gate
from jec_assets_tests.serving.strange_servers import answer, strange_server

INFER = "/v2/models/pfn/infer"
FATAL = ([2**62, 1], [10**9], [2**31, 2**31, 4])
real = pytest.mark.needs("triton")


def ask(
    address: str, body: bytes, headers: dict[str, str] | None = None, path: str = INFER, method: str = "POST"
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of an answer."""
    with closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read(), dict(response.getheaders())


def error(said: bytes) -> str:
    return str(json.loads(said)["error"])


@pytest.fixture(scope="module")
def gate(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGate]:
    with running_gate(served.endpoint.http, tmp_path_factory.mktemp("gate") / "log") as gate:
        yield gate


@pytest.fixture
def request_of_three(jets: PackedJets) -> Damaged:
    return good(PaddedJets.of(jets.slice(0, 3)))


@real
@pytest.mark.parametrize("path", [INFER, "/v2/models/pfn/versions/1/infer"])
def test_answers_are_tritons_own(gate: RunningGate, served: Served, request_of_three: Damaged, path: str) -> None:
    body, headers = as_binary(request_of_three)
    wanted = json.dumps({**json.loads(body[: int(headers[JSON_LENGTH])]), "parameters": {"binary_data_output": True}})
    behind = body[int(headers[JSON_LENGTH]) :]
    for sent, told in (
        (as_json(request_of_three), {}),
        (body, headers),
        (wanted.encode() + behind, {JSON_LENGTH: str(len(wanted))}),  # answered in binary
    ):
        through, direct = ask(gate.address, sent, told, path), ask(served.endpoint.http, sent, told, path)
        assert through[:2] == direct[:2]
        assert through[0] == 200
        for name in ("Content-Type", "Content-Length", JSON_LENGTH):
            assert through[2].get(name) == direct[2].get(name)


@real
def test_mistakes_that_triton_finds_are_told_in_its_words(
    gate: RunningGate, served: Served, request_of_three: Damaged
) -> None:
    request_of_three.tensor("jets")["name"] = "jet"
    body, headers = as_binary(request_of_three)
    through, direct = (ask(address, body, headers) for address in (gate.address, served.endpoint.http))
    assert through[:2] == direct[:2]
    assert "'jet'" in error(through[1])
    assert ask(gate.address, body, headers, "/v2/models/nobody/infer")[0] == 404


@real
def test_our_clients_largest_request_gets_through(gate: RunningGate, served: Served) -> None:
    random = np.random.default_rng(1)
    batch = PaddedJets(
        random.normal(size=(MAX_JETS, MAX_SLOTS // MAX_JETS, 14)).astype(np.float32),
        random.integers(1, MAX_SLOTS // MAX_JETS, (MAX_JETS, 1)),
        random.normal(size=(MAX_JETS, 9)).astype(np.float32),
    )
    with JetClient(gate.address) as through, JetClient(served.endpoint.http) as direct:
        np.testing.assert_array_equal(through.answer("pfn", batch), direct.answer("pfn", batch))
        fewer = PaddedJets(batch.particles, batch.particle_count[:-1], batch.jets)
        with pytest.raises(RequestRefusedError, match="particle"):
            through.answer("pfn", fewer)


@real
@pytest.mark.parametrize("shape", FATAL)
@pytest.mark.parametrize("name", ["particles", "particle_count", "jets"])
def test_what_ends_a_triton_does_not_reach_it(
    gate: RunningGate, served: Served, request_of_three: Damaged, shape: list[int], name: str
) -> None:
    before = psutil.Process(served.endpoint.pid)
    request_of_three.tensor(name)["shape"] = shape
    body, headers = as_binary(request_of_three)
    end = int(headers[JSON_LENGTH])
    head = json.loads(body[:end])
    inline = {"name": "inline", "datatype": "INT64", "shape": shape, "data": [1]}
    with_data = json.dumps({"inputs": [*head["inputs"], inline]}).encode()
    for sent, told in (
        (as_json(request_of_three), {}),
        (body, headers),
        (json.dumps({"inputs": [inline]}).encode(), {}),
        (with_data + body[end:], {JSON_LENGTH: str(len(with_data))}),
    ):
        status, said, _ = ask(gate.address, sent, told)
        assert status == 400
        assert error(said).split(": ")[0] in {f"{name}.shape", "inline.shape"}
    assert served.triton.running() == served.endpoint
    assert psutil.Process(served.endpoint.pid).create_time() == before.create_time()
    assert ready(served.endpoint)


@real
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", INFER),
        ("PUT", INFER),
        ("POST", "/v2/models/pfn"),
        ("POST", "/v2/models/pfn/generate"),
        ("POST", "/v2/models/pfn/versions/x/infer"),
        ("POST", "/v2/models/../infer"),
        ("POST", "/v2/models/%2e%2e/infer"),
        ("POST", "/v2/models/a%2Fb/infer"),
        ("POST", "/v2/models/pfn%0d%0aX/infer"),
        ("POST", "/v2/models/pfn/infer/"),
        ("POST", "/v2/models/pfn/infer?x=/v2/repository"),
        ("POST", "/v2//models/pfn/infer"),
        ("POST", "http://127.0.0.1:1/v2/models/pfn/infer"),
        ("POST", "/v2/repository/models/pfn/load"),
        ("POST", "/v2/systemsharedmemory/region/x/register"),
        ("GET", "/v2/health/ready"),
        ("GET", "/"),
    ],
)
def test_nothing_but_inference_gets_through(gate: RunningGate, method: str, path: str) -> None:
    status, said, _ = ask(gate.address, b"{}", path=path, method=method)
    assert status == 404
    assert "only inference" in error(said)


@real
def test_what_is_compressed_or_too_large_is_refused(gate: RunningGate, request_of_three: Damaged) -> None:
    body = as_json(request_of_three)
    assert ask(gate.address, body, {"Content-Encoding": "identity"})[0] == 200
    for encoding in ("gzip", "deflate", "br", "x", "identity, gzip"):
        status, said, _ = ask(gate.address, b"\x1f\x8b", {"Content-Encoding": encoding})
        assert (status, error(said)) == (415, "Content-Encoding: must be identity")
    status, said, _ = ask(gate.address, b"", {"Content-Length": str(LARGEST + 1)})
    assert (status, error(said)) == (413, "request: may have 67,108,864 bytes")


@real
def test_what_comes_in_chunks_passes_if_it_is_not_too_large(gate: RunningGate, request_of_three: Damaged) -> None:
    body, headers = as_binary(request_of_three)
    assert ask(gate.address, (body[at : at + 100] for at in range(0, len(body), 100)), headers)[0] == 200  # type: ignore[arg-type]
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    with closing(socket.create_connection(("127.0.0.1", int(gate.address.split(":")[1])), timeout=60)) as connection:
        connection.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for _ in range(LARGEST >> 20):
            connection.sendall(chunk)
        connection.sendall(b"1\r\n \r\n")
        assert b" 413 " in connection.recv(1000)


@real
def test_a_length_that_is_said_twice_is_none(gate: RunningGate, request_of_three: Damaged) -> None:
    body, headers = as_binary(request_of_three)
    with closing(http.client.HTTPConnection(gate.address, timeout=60)) as connection:
        connection.putrequest("POST", INFER)
        for length in (headers[JSON_LENGTH], "2"):
            connection.putheader(JSON_LENGTH, length)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        assert (response.status, error(response.read()).split(":")[0]) == (400, JSON_LENGTH)


@real
def test_only_this_machine_is_listened_to(gate: RunningGate) -> None:
    listening = [each for each in psutil.Process(gate.process.pid).net_connections("inet") if each.status == "LISTEN"]
    assert [each.laddr.ip for each in listening] == ["127.0.0.1"]


def test_a_triton_that_is_not_there_is_told_as_such(tmp_path: Path, request_of_three: Damaged) -> None:
    triton = f"127.0.0.1:{free_port()}"
    with running_gate(triton, tmp_path / "log") as gate:
        status, said, _ = ask(gate.address, as_json(request_of_three))
        assert (status, triton in error(said)) == (503, True)
        with JetClient(gate.address) as client, pytest.raises(ServerUnavailableError, match=triton):
            client.answer("pfn", PaddedJets(*(np.zeros((1, 1, 14), np.float32),) * 3))  # type: ignore[arg-type]
    assert "Traceback" not in (tmp_path / "log").read_text()


@pytest.mark.parametrize("said", [b"", b"what?\r\n\r\n", answer(b"{}" * 100)[:-50]])
def test_what_does_not_answer_as_triton_does_is_told_as_such(request_of_three: Damaged, said: bytes) -> None:
    with strange_server(lambda _: said) as server:
        assert asked_through(server.address, as_json(request_of_three))[0] == 503


def test_who_does_not_answer_in_time_is_not_waited_for(request_of_three: Damaged) -> None:
    with strange_server(lambda _: answer(b"{}"), pause=0.1) as server:
        status, told = asked_through(server.address, as_json(request_of_three), answer_within=0.3)
        assert (status, told) == (504, f"{server.address} did not answer in time")


def asked_through(triton: str, body: bytes, **options: Any) -> tuple[int, str]:
    """Status and error of what is asked through a gate in this process."""
    port = free_port()

    async def asked() -> tuple[int, str]:
        async with open_gate(triton, port, **options):
            status, said, _ = await asyncio.to_thread(ask, f"127.0.0.1:{port}", body)
            return status, error(said)

    return asyncio.run(asked())


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_asked_to(tmp_path: Path, ending: signal.Signals) -> None:
    log = tmp_path / "log"
    with running_gate("127.0.0.1:1", log) as gate:
        host, _, port = gate.address.partition(":")
        with closing(socket.create_connection((host, int(port)))):  # who keeps a connection open doesn't keep it
            gate.process.send_signal(ending)
            # What is left of it stays, for who started it.
            done = os.waitid(os.P_PID, gate.process.pid, os.WEXITED | os.WNOWAIT)
    assert done is not None
    assert (done.si_code, done.si_status) == (os.CLD_EXITED, 0)
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("option", ["--triton=http://127.0.0.1:8000", "--triton=127.0.0.1:99999", "--port={taken}"])
def test_what_cannot_be_is_said(option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "jec_assets.cli", "gate", option.format(taken=taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "is no address" in done.stderr or "address already in use" in done.stderr
