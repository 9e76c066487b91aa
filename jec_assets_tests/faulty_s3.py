"""A proxy between S3 clients and a real S3 server that fails in chosen ways: what networks and busy servers do.

Belongs here: the proxy and the faults that it can be told to have. Does not belong here: the server (`s3.py`). A fault
is a function of one exchange; without one, requests and answers go through unchanged, signatures included.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from jec_assets_tests.processes import free_port

HOP = {"connection", "expect", "keep-alive", "transfer-encoding"}


@dataclass
class Answer:
    """What the server said."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Exchange(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        fault = self.server.proxy.fault_of(self.command, self.path, dict(self.headers.items()))
        if fault is None:
            self.give(self.ask(self.body()))
        else:
            fault(self)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815 - names of the standard library

    def body(self, most: int | None = None) -> bytes:
        """The request's body, or its beginning; over TLS it comes in chunks, and is read whole."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            return b"".join(self._chunks())
        length = int(self.headers.get("Content-Length", 0))
        return self.rfile.read(length if most is None else min(most, length))

    def ask(self, body: bytes) -> Answer:
        """The server's answer to the request."""
        connection = self._upstream()
        try:
            connection.request(self.command, self.path, body, dict(self._headers()))
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def give(self, answer: Answer, most: int | None = None) -> None:
        """Send the answer, or its head and the beginning of its body."""
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() not in HOP:
                self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[:most])
        self.wfile.flush()

    def cut(self) -> None:
        """End the connection here and now."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def send_half(self, body: bytes) -> None:
        """Send the server the request's head and this beginning of its body, then end the connection."""
        connection = self._upstream()
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self._headers():
            connection.putheader(name, value)
        connection.endheaders()
        connection.send(body)
        connection.close()

    def wait(self, seconds: float) -> None:
        """Do nothing for so long, or until the proxy ends."""
        self.server.proxy.over.wait(seconds)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _headers(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for name, value in self.headers.items() if name.lower() not in HOP)

    def _upstream(self) -> HTTPConnection:
        server = urlsplit(self.server.proxy.upstream)
        return HTTPConnection(str(server.hostname), server.port, timeout=300)


Act = Callable[[Exchange], None]


@dataclass
class Fault:
    """An act upon the next `times` requests of these methods whose path contains the text and that have the header."""

    act: Act
    methods: tuple[str, ...]
    path: str
    times: int
    header: str | None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    proxy: FaultyS3

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that were cut off end their connections: that's what the tests are about."""


@dataclass
class FaultyS3:
    """The proxy while it runs. `requests`: method and path of all that came."""

    upstream: str
    url: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    _faults: list[Fault] = field(default_factory=list)
    _rhythm: tuple[int, Iterator[Act]] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def inject(self, act: Act, *methods: str, path: str = "", times: int = 1, header: str | None = None) -> None:
        """Have a fault; of several that fit a request, the first."""
        with self._lock:
            self._faults.append(Fault(act, methods, path, times, header))

    def fail_every(self, number: int, acts: Sequence[Act]) -> None:
        """Have a fault in every so many requests, each of these in turn."""
        with self._lock:
            self._rhythm = (number, itertools.cycle(acts))

    def heal(self) -> None:
        """Have no more faults."""
        with self._lock:
            self._faults.clear()
            self._rhythm = None

    def fault_of(self, method: str, path: str, headers: dict[str, str]) -> Act | None:
        """What is to be done to a request, None where nothing is."""
        with self._lock:
            self.requests.append((method, path))
            for fault in self._faults:
                fits = not fault.methods or method in fault.methods
                if fits and fault.path in path and (fault.header is None or fault.header in headers) and fault.times:
                    fault.times -= 1
                    return fault.act
            if self._rhythm is not None and len(self.requests) % self._rhythm[0] == 0:
                return next(self._rhythm[1])
        return None

    def count(self, method: str, path: str = "") -> int:
        """How many such requests came."""
        return sum(each == method and path in asked for each, asked in self.requests)


@contextmanager
def faulty_s3(upstream: str, tls: ssl.SSLContext | None = None) -> Iterator[FaultyS3]:
    """A proxy to the server at that URL; with TLS where there is a context."""
    port = free_port()
    server = _Server(("127.0.0.1", port), Exchange)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.proxy = FaultyS3(upstream, f"{'http' if tls is None else 'https'}://127.0.0.1:{port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.proxy
    finally:
        server.proxy.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def answering(status: int, code: str) -> Act:
    """The server answers with an S3 error."""
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code} it is</Message></Error>".encode()

    def act(exchange: Exchange) -> None:
        exchange.body()
        body = b"" if exchange.command == "HEAD" else text
        exchange.give(Answer(status, [("Content-Type", "application/xml")], body))

    return act


def cutting_upload(after: int) -> Act:
    """The connection ends when so many bytes of the body are with the server."""

    def act(exchange: Exchange) -> None:
        exchange.send_half(exchange.body(after))
        exchange.cut()

    return act


def cutting_download(after: int) -> Act:
    """The connection ends when so many bytes of the answer's body are with the client."""

    def act(exchange: Exchange) -> None:
        exchange.give(exchange.ask(exchange.body()), after)
        exchange.cut()

    return act


def stalling(after: int, seconds: float = 30.0) -> Act:
    """Nothing more comes when so many bytes of the answer's body are with the client."""

    def act(exchange: Exchange) -> None:
        exchange.give(exchange.ask(exchange.body()), after)
        exchange.wait(seconds)
        exchange.cut()

    return act


def silent(seconds: float = 30.0) -> Act:
    """No answer comes at all."""

    def act(exchange: Exchange) -> None:
        exchange.wait(seconds)
        exchange.cut()

    return act


def trickling(piece: int, pause: float) -> Act:
    """The answer's body comes in small pieces with pauses (s)."""

    def act(exchange: Exchange) -> None:
        answer = exchange.ask(exchange.body())
        exchange.give(answer, 0)
        for start in range(0, len(answer.body), piece):
            time.sleep(pause)
            exchange.wfile.write(answer.body[start : start + piece])
            exchange.wfile.flush()

    return act


def cutting(exchange: Exchange) -> None:
    """The connection ends as soon as something is asked."""
    exchange.cut()


def losing_the_answer(exchange: Exchange) -> None:
    """The server does what it was asked, and the connection ends before it can say so."""
    exchange.ask(exchange.body())
    exchange.cut()


def after(deed: Callable[[], object]) -> Act:
    """Somebody does something at the server just before the request arrives there."""

    def act(exchange: Exchange) -> None:
        deed()
        exchange.give(exchange.ask(exchange.body()))

    return act
