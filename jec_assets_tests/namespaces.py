"""Two machines for the price of one: network namespaces joined by a cable, each with its own addresses and ports."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Node:
    """A namespace with one network interface, which has an address."""

    name: str
    interface: str
    address: str

    def command(self, *arguments: str) -> list[str]:
        """What runs a program there."""
        return ["ip", "netns", "exec", self.name, *arguments]


def namespaces_work() -> bool:
    """Whether this process may make namespaces and join them."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    try:
        with two_nodes():
            return True
    except subprocess.CalledProcessError:
        return False


@contextmanager
def two_nodes() -> Iterator[tuple[Node, Node]]:
    """Two namespaces that see each other and nothing else; they vanish with the block."""
    first, second = (Node(f"jec-{os.getpid()}-{number}", f"jec{number}", f"10.213.7.{number}") for number in (1, 2))
    with ExitStack() as stack:
        for node in (first, second):
            _ip("netns", "add", node.name)
            stack.callback(_ip, "netns", "del", node.name)
        # The cable vanishes with the namespaces of its ends.
        ends = [f"{word} {node.interface} netns {node.name}" for word, node in (("name", first), ("name", second))]
        _ip("link", "add", *ends[0].split(), "type", "veth", "peer", *ends[1].split())
        for node in (first, second):
            _ip("-n", node.name, "address", "add", f"{node.address}/24", "dev", node.interface)
            for interface in ("lo", node.interface):
                _ip("-n", node.name, "link", "set", interface, "up")
        yield first, second


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
