from __future__ import annotations

import socket
import time
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
            receive(client, time.monotonic() + 60)


@pytest.mark.parametrize("body", [b"", b"no"])
def test_an_answer_of_no_length_ends_with_its_connection(body: bytes) -> None:
    server, client = socket.socketpair()
    with server, client:
        server.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Type: text/plain\r\n\r\n" + body)
        server.close()
        answer = receive(client, time.monotonic() + 60)
    assert answer == Answer(401, {"content-type": "text/plain"}, body, stays=False)


@pytest.mark.parametrize("cut", [CHUNKED[:-2], b"HTTP/1.1 200 OK\r\nContent-Ty", b"HTTP/1.1 100 Continue\r\n\r\n", b""])
def test_other_answers_do_not_end_with_their_connection(cut: bytes) -> None:
    reader = AnswerReader()
    assert reader.feed(cut) is None
    assert reader.end() is None


def test_an_answer_must_come_until_its_end() -> None:
    server, client = socket.socketpair()
    with server, client:
        server.sendall(PLAIN)
        with pytest.raises(TimeoutError):
            receive(client, time.monotonic())
        assert receive(client, time.monotonic() + 60) == read(PLAIN)
        server.sendall(PLAIN[:-1])
        with pytest.raises(TimeoutError):
            receive(client, time.monotonic() + 0.05)


@pytest.mark.parametrize("head", ["", "Connection: upgrade\r\nUpgrade: h2c\r\n"])
def test_another_protocol_is_no_answer(head: str) -> None:
    with pytest.raises(MalformedAnswerError):
        AnswerReader().feed(f"HTTP/1.1 101 Switching Protocols\r\n{head}\r\n".encode())


@pytest.mark.parametrize("first", [PLAIN, CHUNKED])
@pytest.mark.parametrize("more", [PLAIN, PLAIN[:20], b"H", b"more"])
def test_more_than_an_answer_is_none(first: bytes, more: bytes) -> None:
    with pytest.raises(MalformedAnswerError, match="more bytes than the answer has"):
        AnswerReader().feed(first + more)
