"""A real HTTP server that takes messages, and answers as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class WebhookServer:
    """answers: statuses of the first answers, 200 from then on. delay: seconds before each answer."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    delay: float = 0.0
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is, with a secret in it."""
        return f"http://127.0.0.1:{self.port}/hooks/secret-token"


@contextmanager
def webhook_server() -> Iterator[WebhookServer]:
    """The server while the block lasts."""
    state = WebhookServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/json"
            state.messages.append({"path": self.path, **json.loads(body)})
            time.sleep(state.delay)
            status = state.answers.pop(0) if state.answers else 200
            self.send_response(status)
            if status in {302, 307}:
                self.send_header("Location", state.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
