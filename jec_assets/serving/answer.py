"""Answers of HTTP/1.1, put together from what a connection receives.

Belongs here: where an answer ends, and what stands in its head. Does not belong here: connections (`transport.py`,
`load_connection.py`) and the tensors in its body (`wire.py`).

The standard library reads the head of an answer as that of an e-mail, a tenth of a single jet's time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from jec_assets.serving.wire import MalformedAnswerError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

AT_ONCE = 1 << 16  # bytes
FIRST_FINAL_STATUS = 200  # what has a lower one announces the answer


@dataclass(frozen=True)
class Answer:
    """A whole answer.

    headers: by their names in lower case. stays: whether the connection is there for another request.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    stays: bool


class AnswerReader:
    """Reads the answer to one request."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._has_head = False
        self._answer: Answer | None = None

    def feed(self, data: bytes) -> Answer | None:
        """The answer, if it ends with these bytes; MalformedAnswerError for what is no HTTP, or more than an answer."""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            raise MalformedAnswerError(f"no answer of HTTP: {error.__context__ or error}") from error
        except HttpParserUpgrade as error:
            raise MalformedAnswerError("the server changed to another protocol, which nobody asked for") from error
        return self._answer

    def end(self) -> Answer | None:
        """The answer, if it is one that ends where the connection does: of no length that is said, and in no chunks."""
        if self._has_head and not {"content-length", "transfer-encoding"} & self._headers.keys():
            return Answer(self._parser.get_status_code(), self._headers, b"".join(self._body), stays=False)
        return None

    def on_message_begin(self) -> None:
        """Called by the parser."""
        if self._answer is not None:
            raise MalformedAnswerError("more bytes than the answer has")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        """Called by the parser, for each part."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        status = self._parser.get_status_code()
        if status >= FIRST_FINAL_STATUS:
            stays = self._parser.should_keep_alive()
            self._answer = Answer(status, self._headers, b"".join(self._body), stays)
        self._headers, self._body, self._has_head = {}, [], False


def receive(connection: socket.socket, end: float) -> Answer:
    """Wait for the answer to the request that was sent, until `end` of the monotonic clock.

    Raises TimeoutError, another OSError where the connection ends, MalformedAnswerError for what is no HTTP.
    """
    reader = AnswerReader()
    while True:
        limit(connection, end)
        data = connection.recv(AT_ONCE)
        answer = reader.feed(data) if data else reader.end()
        if answer is not None:
            return answer
        if not data:
            raise ConnectionResetError("the server closed the connection before it had answered")


def limit(connection: socket.socket, end: float) -> None:
    """Let what is done next with a connection take until `end` of the monotonic clock; TimeoutError if that is over."""
    connection.settimeout(time_left(end))


def time_left(end: float) -> float:
    """Seconds until `end` of the monotonic clock; TimeoutError if that is over."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("time is up")
    return left
