from __future__ import annotations

import json

import numpy as np
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.wire import (
    JSON_LENGTH,
    SMALL,
    InferRequest,
    MalformedAnswerError,
    infer_path,
    message,
    outputs_in,
)


@pytest.mark.parametrize("number", [1, 500])
def test_requests_hold_the_tensors_behind_their_description(jets: PackedJets, number: int) -> None:
    batch = PaddedJets.of(jets.slice(0, number))
    request = InferRequest.of(batch)
    body = b"".join(request.body)
    assert len(body) == int(request.headers["Content-Length"])
    assert (len(request.body) == 1) == (len(body) < SMALL)
    start = int(request.headers[JSON_LENGTH])
    for described, array in zip(json.loads(body[:start])["inputs"], batch.arrays.values(), strict=True):
        stop = start + described["parameters"]["binary_data_size"]
        sent = np.frombuffer(body[start:stop], array.dtype).reshape(described["shape"])
        np.testing.assert_array_equal(sent, array)
        start = stop
    assert start == len(body)


def test_memory_in_another_order_is_sent_in_order(jets: PackedJets) -> None:
    batch = PaddedJets.of(jets.slice(0, 5))
    turned = PaddedJets(np.asfortranarray(batch.particles), batch.particle_count, np.asfortranarray(batch.jets))
    assert b"".join(InferRequest.of(turned).body) == b"".join(InferRequest.of(batch).body)


def test_outputs_come_in_one_order_whatever_the_servers() -> None:
    quantiles, factor = np.float32([[1, 2], [3, 4]]), np.float32([[5], [6]])
    outputs = [
        {"name": name, "shape": (2, width), "datatype": "FP32", "parameters": {"binary_data_size": 8 * width}}
        for name, width in (("log_factor_quantiles", 2), ("log_factor", 1))
    ]
    described = json.dumps({"outputs": outputs}).encode()
    found = outputs_in(described + quantiles.tobytes() + factor.tobytes(), str(len(described)))
    assert list(found) == ["log_factor", "log_factor_quantiles"]
    np.testing.assert_array_equal(found["log_factor"], factor)
    np.testing.assert_array_equal(found["log_factor_quantiles"], quantiles)


@pytest.mark.parametrize(
    ("body", "length"),
    [(b"", None), (b"<html>", None), (b"{}", "2"), (b'{"outputs": [{"name": "log_factor"}]}', None), (b"{}", "two")],
)
def test_anything_else_is_no_answer(body: bytes, length: str | None) -> None:
    with pytest.raises(MalformedAnswerError):
        outputs_in(body, length)


def test_the_server_chooses_the_version_unless_one_is_named() -> None:
    assert infer_path("pfn", "") == "/v2/models/pfn/infer"
    assert infer_path("pfn", "3") == "/v2/models/pfn/versions/3/infer"


def test_names_stay_within_the_path() -> None:
    assert (
        infer_path("a/b HTTP/1.1\r\nX: y", "1 2") == "/v2/models/a%2Fb%20HTTP%2F1.1%0D%0AX%3A%20y/versions/1%202/infer"
    )


def test_a_head_goes_with_the_first_part_of_its_body() -> None:
    parts = message("POST", "/path", {"Host": "here", "Content-Length": "4"}, (b"one", memoryview(b"2")))
    assert [bytes(part) for part in parts] == [
        b"POST /path HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\none",
        b"2",
    ]
    assert message("GET", "/", {}) == (b"GET / HTTP/1.1\r\n\r\n",)
