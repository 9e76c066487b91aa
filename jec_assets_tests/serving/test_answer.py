from __future__ import annotations

import socket
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.serving.answer import Answer, AnswerReader, receive
from jec_assets.serving.wire import MalformedAnswerError

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nlat\r\n2\r\ner\r\n0\r\n\r\n"


def read(*parts: bytes) -> Answer | None:
    reader = AnswerReader()
    answers = [reader.feed(part) for part in parts]
    assert answers[:-1] == [None] * (len(parts) - 1)
    return answers[-1]


def test_an_answer_has_its_status_head_and_body() -> None:
    headers = {"content-type": "text/plain", "content-length": "5"}
    assert read(PLAIN) == Answer(200, headers, b"hello", stays=True)


def test_an_answer_in_chunks_is_put_together() -> None:
    answer = read(CHUNKED)
    assert answer is not None
    assert (answer.status, answer.body) == (503, b"later")


@given(st.sampled_from([PLAIN, CHUNKED]), st.data())
def test_it_may_come_in_any_parts(whole: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(1, len(whole) - 1), unique=True).map(sorted))
    bounds = [0, *cuts, len(whole)]
    assert read(*(whole[a:b] for a, b in pairwise(bounds))) == read(whole)


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 200 OK\r\nConnection: close\r\n"])
def test_a_connection_that_the_server_will_close_is_not_used_again(head: bytes) -> None:
    answer = read(head + b"Content-Length: 0\r\n\r\n")
    assert answer is not None
    assert not answer.stays


def test_what_only_announces_the_answer_is_not_the_answer() -> None:
    assert read(b"HTTP/1.1 100 Continue\r\nX-Early: yes\r\n\r\n", PLAIN) == read(PLAIN)


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 two OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"]
)
def test_anything_else_is_no_answer(data: bytes) -> None:
    with pytest.raises(MalformedAnswerError, match="no answer of HTTP"):
        AnswerReader().feed(data)


def test_a_connection_that_ends_before_the_answer_does_is_an_error() -> None:
    server, client = socket.socketpair()
    with server, client:
        server.sendall(PLAIN[:-1])
        server.close()
        with pytest.raises(ConnectionResetError, match="before it had answered"):
            receive(client)
