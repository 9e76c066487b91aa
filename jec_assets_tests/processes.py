"""Servers that tests start: free ports, waiting, and ending every process by its id."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_ports_with_neighbors(number: int, distance: int) -> list[int]:
    """Ports that are free together with the ports `distance` above them (servers that derive their gRPC port so)."""
    found: list[int] = []
    while len(found) < number:
        port = random.randint(20_000, 40_000)
        if port not in found and _is_free(port) and _is_free(port + distance):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def wait_for_port(port: int, seconds: float) -> None:
    """Return when something listens on the port; TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while _is_free(port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens on 127.0.0.1:{port} after {seconds} s")
        time.sleep(0.1)


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End the process and all its children when the block is left, politely and then not."""
    try:
        yield process
    finally:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for member in family:
            member.terminate()
        for member in psutil.wait_procs(family, timeout=3)[1]:
            member.kill()
        process.wait(timeout=10)
