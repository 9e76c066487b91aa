"""This installation's Triton in the foreground, as a Pod runs it, and two of them behind one name."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from jec_assets.processes import SHARED_MEMORY
from jec_assets.serving.command_line import Ports, server_options
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.endpoint import Endpoint, EndpointError, load, load_as, ready, replicas_of, unload
from jec_assets.serving.foreground import shared_memory_of
from jec_assets.serving.instances import served_versions
from jec_assets.serving.record import PublishedModel
from jec_assets.serving.repository import ModelRepository
from jec_assets_tests.processes import ended, free_port_block
from jec_assets_tests.serving.conftest import card_of

pytestmark = pytest.mark.needs("triton")

HOSTS = "127.0.0.1", "127.0.0.2"  # both are this machine
SECONDS = 120
NAME = "replicas.test"


@pytest.fixture
def published(repository: ModelRepository, pfn_onnx: bytes) -> PublishedModel:
    return repository.publish(card_of("pfn", pfn_onnx), pfn_onnx, InstanceSettings())


@pytest.fixture
def endpoint(
    tmp_path: Path, repository: ModelRepository, published: PublishedModel, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Endpoint]:
    """Two servers of one repository. No name server is here that knows a name for both: that is made up."""
    first = free_port_block(3)
    ports = Ports(first, first + 1, first + 2)

    def look_up(host: str, *asked: Any, **how: Any) -> list[Any]:
        names = HOSTS if host == NAME else (host,)
        return [address for name in names for address in real(name, *asked, **how)]

    real = socket.getaddrinfo
    monkeypatch.setattr("jec_assets.serving.endpoint.socket.getaddrinfo", look_up)
    with ExitStack() as stack:
        for host in HOSTS:
            options = server_options(repository.uri, ports, [])
            command = [str(Path(sys.executable).with_name("jec")), "triton", "--host", host, *options]
            environment = os.environ | {"JEC_WORK_FOLDER": str(tmp_path / host)}
            log = stack.enter_context((tmp_path / f"{host}.log").open("wb"))
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            stack.enter_context(ended(process))
        both = Endpoint("kubernetes", *(f"{HOSTS[0]}:{port}" for port in (ports.http, ports.grpc)), replicas=NAME)
        deadline = time.monotonic() + SECONDS
        while not all(map(ready, replicas_of(both))):
            assert time.monotonic() < deadline, [(tmp_path / f"{host}.log").read_text()[-2000:] for host in HOSTS]
            time.sleep(0.1)
        yield both


def test_every_replica_loads_and_forgets(endpoint: Endpoint, published: PublishedModel) -> None:
    servers = replicas_of(endpoint)
    assert [server.http.partition(":")[0] for server in servers] == list(HOSTS)
    load(endpoint, [published])
    assert [served_versions(server) for server in servers] == [{("pfn", 1)}, {("pfn", 1)}]
    load_as(endpoint, "pfn", 1)
    unload(endpoint, "pfn")
    deadline = time.monotonic() + SECONDS
    while any(served_versions(server) for server in servers):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with pytest.raises(EndpointError):
        load_as(endpoint, "pfn", 2)


def test_one_that_is_asked_to_end_leaves_nothing_and_one_that_is_killed_is_cleaned_up_after(
    tmp_path: Path, repository: ModelRepository, published: PublishedModel
) -> None:
    first = free_port_block(3)
    options = server_options(repository.uri, Ports(first, first + 1, first + 2), ["*"])
    environment = os.environ | {"JEC_WORK_FOLDER": str(tmp_path)}
    prefix = shared_memory_of(tmp_path)
    for ending in (signal.SIGKILL, signal.SIGTERM):
        with (tmp_path / "log").open("wb") as log:
            command = [str(Path(sys.executable).with_name("jec")), "triton", *options]
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + SECONDS
            server = Endpoint("local", f"127.0.0.1:{first}", f"127.0.0.1:{first + 1}")
            while not ready(server):
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-2000:]
                time.sleep(0.1)
            assert served_versions(server) == {("pfn", 1)}
        finally:
            os.killpg(process.pid, ending)
            process.wait(timeout=SECONDS)
    assert not list(SHARED_MEMORY.glob(f"{prefix}*"))
