"""The life of a local server, with the real Triton."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jec_assets.processes import SHARED_MEMORY, free_ports, is_running
from jec_assets.serving import triton as module
from jec_assets.serving.command_line import Ports
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.endpoint import EndpointError, load, ready
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.triton import LocalTriton, PortTakenError, TritonStartError
from jec_assets_tests.serving.conftest import Served, card_of
from jec_assets_tests.test_processes import wait_until

pytestmark = pytest.mark.needs("triton")

STARTER = """
import sys, time, pathlib, jec_assets.serving.triton as triton
triton.LocalTriton(pathlib.Path(sys.argv[1])).start_or_reuse(sys.argv[2])
time.sleep(600)
"""


def leftovers(triton: LocalTriton) -> list[str]:
    processes = [
        str(process.info)
        for process in psutil.process_iter(["pid", "cmdline"])
        if any(str(triton.folder) in argument for argument in process.info["cmdline"] or [])
    ]
    return processes + [str(path) for path in SHARED_MEMORY.glob(f"{triton._shared_memory}*")]


def serve(triton: LocalTriton, repository: ModelRepository, onnx: bytes) -> int:
    model = repository.publish(card_of("pfn", onnx), onnx, InstanceSettings())
    endpoint = triton.start_or_reuse(repository.uri)
    load(endpoint, [model])
    assert endpoint.pid is not None
    return endpoint.pid


def kill(process: psutil.Process) -> None:
    process.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(process))


def test_a_server_is_started_reused_and_stopped_without_a_trace(
    own_triton: LocalTriton, repository: ModelRepository, pfn_onnx: bytes
) -> None:
    assert own_triton.running() is None
    assert not own_triton.stop()
    pid = serve(own_triton, repository, pfn_onnx)
    endpoint = own_triton.running()
    assert endpoint is not None
    assert endpoint.http.startswith("127.0.0.1:")
    assert os.getsid(pid) == pid
    assert len(leftovers(own_triton)) == 3  # server, the model's process, its shared memory
    listening = psutil.Process(pid).net_connections("inet")
    addresses = {connection.laddr.ip for connection in listening if connection.status == psutil.CONN_LISTEN}
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}

    assert own_triton.start_or_reuse(repository.uri) == endpoint
    assert LocalTriton(own_triton.folder.parent).start_or_reuse(repository.uri) == endpoint

    assert own_triton.stop()
    assert not ready(endpoint)
    assert leftovers(own_triton) == []
    assert own_triton.running() is None
    assert not own_triton.stop()


def test_a_killed_server_is_replaced(own_triton: LocalTriton, repository: ModelRepository, pfn_onnx: bytes) -> None:
    pid = serve(own_triton, repository, pfn_onnx)
    kill(psutil.Process(pid))
    assert own_triton.running() is None
    assert any(name.startswith(str(SHARED_MEMORY)) for name in leftovers(own_triton))
    assert serve(own_triton, repository, pfn_onnx) != pid
    assert len(leftovers(own_triton)) == 3


def test_a_server_that_lost_a_models_process_is_replaced(
    own_triton: LocalTriton, repository: ModelRepository, pfn_onnx: bytes
) -> None:
    pid = serve(own_triton, repository, pfn_onnx)
    (child,) = psutil.Process(pid).children()
    kill(child)
    assert own_triton.running() is None
    assert serve(own_triton, repository, pfn_onnx) != pid


def test_a_server_of_another_repository_or_other_code_is_replaced(
    own_triton: LocalTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first = own_triton.start_or_reuse(str(tmp_path / "one"))
    second = own_triton.start_or_reuse(str(tmp_path / "two"))
    assert first.pid != second.pid
    monkeypatch.setattr(module, "fingerprint", lambda: "of other code")
    assert own_triton.start_or_reuse(str(tmp_path / "two")).pid != second.pid


def test_a_server_whose_state_was_never_written_is_stopped(own_triton: LocalTriton, tmp_path: Path) -> None:
    endpoint = own_triton.start_or_reuse(str(tmp_path))
    (own_triton.folder / "server.json").unlink()
    assert own_triton.running() is None
    assert own_triton.stop()
    assert not ready(endpoint)
    assert leftovers(own_triton) == []


def test_the_state_of_another_release_means_a_server_to_replace(own_triton: LocalTriton, tmp_path: Path) -> None:
    first = own_triton.start_or_reuse(str(tmp_path))
    (own_triton.folder / "server.json").write_text('{"process": 1}')
    second = own_triton.start_or_reuse(str(tmp_path))
    assert second.pid != first.pid
    assert not ready(first)


def test_a_reused_process_id_is_not_taken_for_the_server(own_triton: LocalTriton, tmp_path: Path) -> None:
    endpoint = own_triton.start_or_reuse(str(tmp_path))
    state = own_triton.folder / "server.json"
    state.write_text(state.read_text().replace(f'"pid": {endpoint.pid}', f'"pid": {os.getpid()}'))
    assert own_triton.running() is None
    own_triton.stop()
    assert psutil.Process(os.getpid()).is_running()


def test_a_taken_port_is_chosen_again(own_triton: LocalTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        choices = [[port, *free_ports(2)], free_ports(3)]
        monkeypatch.setattr(module, "free_ports", lambda _: choices.pop(0))
        assert ready(own_triton.start_or_reuse(str(tmp_path)))
    assert choices == []


def test_a_server_that_cannot_start_says_why(own_triton: LocalTriton, tmp_path: Path) -> None:
    with pytest.raises(TritonStartError, match=r"server\.log(.|\n)*absent"):
        own_triton.start_or_reuse(str(tmp_path / "absent"))
    assert own_triton.running() is None
    assert leftovers(own_triton) == []


def test_a_broken_model_is_named_and_keeps_no_other_from_being_served(
    served: Served, pfn_onnx: bytes, other_pfn_onnx: bytes
) -> None:
    repository = served.repository
    broken = repository.publish(card_of("broken", b"garbage"), b"garbage", InstanceSettings())
    fine = repository.publish(card_of("fine", other_pfn_onnx), other_pfn_onnx, InstanceSettings())
    with pytest.raises(EndpointError, match=r"broken: .*can't load a model of 7 bytes") as failure:
        load(served.endpoint, [broken, fine, served.model])
    assert "fine:" not in str(failure.value)
    assert ready(served.endpoint)
    load(served.endpoint, [fine, served.model])


def test_a_broken_version_leaves_the_one_before_served(served: Served, pfn_onnx: bytes) -> None:
    repository = served.repository
    first = repository.publish(card_of("stays", pfn_onnx), pfn_onnx, InstanceSettings())
    load(served.endpoint, [first])
    broken = repository.publish(card_of("stays", b"garbage"), b"garbage", InstanceSettings())
    with pytest.raises(EndpointError, match="stays: "):
        load(served.endpoint, [broken])
    assert repository.publish(first.card, pfn_onnx, InstanceSettings()) == first
    load(served.endpoint, [first])


def test_a_model_of_other_widths_than_its_configuration_is_not_served(served: Served, pfn_onnx: bytes) -> None:
    from dataclasses import replace

    card = replace(card_of("narrow", pfn_onnx), jet_features=("only one",))
    model = served.repository.publish(card, pfn_onnx, InstanceSettings())
    with pytest.raises(EndpointError, match=r"config.pbtxt says \(14, 1\) particle and jet features"):
        load(served.endpoint, [model])


def test_a_port_that_was_asked_for_and_is_in_use_is_said(repository: ModelRepository, tmp_path: Path) -> None:
    Path(repository.uri).mkdir(parents=True)
    http, grpc, metrics = free_ports(3)
    triton = LocalTriton(tmp_path / "work", Ports(http, grpc, metrics))
    try:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", http))
            taken.listen()
            with pytest.raises(PortTakenError, match=rf"end it or choose:(.|\n)*{http}"):
                triton.start_or_reuse(repository.uri)
        assert leftovers(triton) == []
        assert triton.start_or_reuse(repository.uri).http == f"127.0.0.1:{http}"
        elsewhere = LocalTriton(tmp_path / "work", Ports(*free_ports(3)))
        assert elsewhere.start_or_reuse(repository.uri).http != f"127.0.0.1:{http}"
    finally:
        triton.stop()


def test_what_dies_with_its_starter_killed_leaves_nothing(tmp_path: Path, repository: ModelRepository) -> None:
    Path(repository.uri).mkdir(parents=True)
    triton = LocalTriton(tmp_path / "work")
    arguments = [str(tmp_path / "work"), repository.uri]
    starter = subprocess.Popen([sys.executable, "-c", STARTER, *arguments])
    try:
        wait_until(triton.log.exists)
        starter.kill()  # at whatever point of starting it is
    finally:
        starter.wait()
        triton.stop()
    assert leftovers(triton) == []
