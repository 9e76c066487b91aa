"""Servers that tests start: free ports, waiting, and ending every process by its id."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

# Below the range that the kernel takes outgoing connections' ports from (32768 and more on Linux): a port there can be
# taken, by a client of another test, between the choice and the server's start.
LOWEST, HIGHEST = 12_000, 32_000


def free_port() -> int:
    """A port of 127.0.0.1 that can be listened on now."""
    return free_ports_with_neighbors(1, 0)[0]


def free_ports_with_neighbors(number: int, distance: int) -> list[int]:
    """Ports that are free together with the ports `distance` above them (servers that derive their gRPC port so)."""
    found: list[int] = []
    while len(found) < number:
        port = _random.randint(LOWEST, HIGHEST - distance)
        if port not in found and _can_be_listened_on(port) and _can_be_listened_on(port + distance):
            found.append(port)
    return found


def free_port_block(number: int) -> int:
    """The first of so many free ports that follow each other."""
    while True:
        first = _random.randint(LOWEST, HIGHEST - number)
        if all(_can_be_listened_on(first + offset) for offset in range(number)):
            return first


# Of its own, and of the system's entropy: tests seed the common one, and two processes of tests must not choose alike.
_random = random.SystemRandom()


def _can_be_listened_on(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_for_port(port: int, seconds: float) -> None:
    """Return when something listens on the port; TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while _nothing_listens_on(port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens on 127.0.0.1:{port} after {seconds} s")
        time.sleep(0.1)


def _nothing_listens_on(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


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
