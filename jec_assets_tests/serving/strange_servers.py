"""Servers that are no Triton: they take requests of HTTP and answer what they are told to.

Belongs here: the server. Does not belong here: what clients make of its answers (`test_transport.py`).
"""

from __future__ import annotations

import json
import socketserver
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread

# Of toy models: 14 particle features and 9 jet features, as the tests' jets have them.
METADATA = {
    "name": "pfn",
    "versions": ["1"],
    "inputs": [{"name": "particles", "shape": [-1, -1, 14]}, {"name": "jets", "shape": [-1, 9]}],
    "outputs": [{"name": "log_factor", "shape": [-1, 1]}],
}


def answer(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """A whole answer of HTTP."""
    head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class StrangeServer(socketserver.ThreadingTCPServer):
    """Answers each request by what `say` gives for its path, and ends the connection then; knows which were asked."""

    daemon_threads = True

    def __init__(self, say: Callable[[str], bytes], pause: float) -> None:
        super().__init__(("127.0.0.1", 0), _Saying)
        self.say, self.pause = say, pause
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Saying(socketserver.StreamRequestHandler):
    server: StrangeServer

    def handle(self) -> None:
        path = self.rfile.readline().split(b" ")[1].decode()
        self.server.asked.append(path)
        length = 0
        while (line := self.rfile.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        self.rfile.read(length)
        said = self.server.say(path)
        with suppress(OSError):  # the client may have had enough
            if not self.server.pause:
                self.wfile.write(said)
            for byte in said if self.server.pause else b"":
                self.wfile.write(bytes([byte]))
                time.sleep(self.server.pause)


@contextmanager
def strange_server(say: Callable[[str], bytes], pause: float = 0.0) -> Iterator[StrangeServer]:
    """A running one; pause: seconds after each byte that it says."""
    with StrangeServer(say, pause) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def until_inference(said: bytes) -> Callable[[str], bytes]:
    """What a server says that tells what Triton tells of the model pfn, and this of inference."""

    def say(path: str) -> bytes:
        if path.endswith("/infer"):
            return said
        return answer(b"{}" if path.endswith("/config") else json.dumps(METADATA).encode())

    return say
