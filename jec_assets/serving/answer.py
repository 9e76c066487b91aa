"""Answers of HTTP/1.1, put together from what a connection receives.

Belongs here: where an answer ends, and what stands in its head. Does not belong here: connections (`transport.py`,
`load_connection.py`) and the tensors in its body (`wire.py`).

The standard library reads the head of an answer as that of an e-mail, a tenth of a single jet's time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpResponseParser

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
        self._answer: Answer | None = None

    def feed(self, data: bytes) -> Answer | None:
        """The answer, if it ends with these bytes; MalformedAnswerError for what is no HTTP."""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            raise MalformedAnswerError(f"no answer of HTTP: {error}") from error
        return self._answer

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Called by the parser, for each part."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        status = self._parser.get_status_code()
        if status >= FIRST_FINAL_STATUS:
            stays = self._parser.should_keep_alive()
            self._answer = Answer(status, self._headers, b"".join(self._body), stays)
        self._headers, self._body = {}, []


def receive(connection: socket.socket) -> Answer:
    """Wait for the answer to the request that was sent.

    Raises OSError where the connection ends or is silent for its time, MalformedAnswerError for what is no HTTP.
    """
    reader = AnswerReader()
    while True:
        data = connection.recv(AT_ONCE)
        if not data:
            raise ConnectionResetError("the server closed the connection before it had answered")
        if (answer := reader.feed(data)) is not None:
            return answer
