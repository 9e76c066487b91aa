"""What requests claim: each refusal names its field, and what passes says the same as before."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest

from jec_assets.serving import claims
from jec_assets.serving.claims import (
    DEEPEST,
    MOST_JSON,
    MOST_JSON_BEFORE_TENSORS,
    SHOWN,
    CheckedRequest,
    ClaimError,
    checked_request,
)
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.wire import JSON_LENGTH, InferRequest
from jec_assets_tests.serving.conftest import make_jets

VALUES = [1.5, -2.0, 0.1]


def tensor(**changed: Any) -> dict[str, Any]:
    return {"name": "jets", "datatype": "FP32", "shape": [1, 3], "data": VALUES, **changed}


def binary(size: Any = 12, **changed: Any) -> dict[str, Any]:
    described = {"name": "jets", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": size}}
    return described | changed


def in_json(*tensors: Any, **others: Any) -> CheckedRequest:
    return checked_request(json.dumps({"inputs": tensors, **others}).encode(), None)


def in_binary(*tensors: Any, behind: bytes = bytes(12), **others: Any) -> CheckedRequest:
    head = json.dumps({"inputs": tensors, **others}).encode()
    return checked_request(head + behind, str(len(head)))


def whole(request: CheckedRequest) -> bytes:
    return b"".join(request.body)


def refused(body: bytes, json_length: str | None = None) -> str:
    with pytest.raises(ClaimError) as caught:
        checked_request(body, json_length)
    assert str(caught.value).startswith(f"{caught.value.field}: ")
    return caught.value.field


def test_our_clients_request_passes_with_its_tensors_as_they_are() -> None:
    sent = InferRequest.of(PaddedJets.of(make_jets(300, seed=1)))
    body, length = b"".join(sent.body), int(sent.headers[JSON_LENGTH])
    passed = checked_request(body, str(length))
    described = int(passed.headers[JSON_LENGTH])
    assert json.loads(whole(passed)[:described]) == json.loads(body[:length])
    assert whole(passed)[described:] == body[length:]
    assert passed.headers == {
        JSON_LENGTH: str(described),
        "Content-Length": str(len(whole(passed))),
        "Content-Type": "application/octet-stream",
    }


def test_json_alone_passes_with_its_length() -> None:
    passed = in_json(tensor(), outputs=[{"name": "log_factor", "parameters": {"binary_data": False}}], id="mine")
    assert json.loads(whole(passed)) == {
        "inputs": [tensor()],
        "outputs": [{"name": "log_factor", "parameters": {"binary_data": False}}],
        "id": "mine",
    }
    assert passed.headers == {"Content-Length": str(len(whole(passed))), "Content-Type": "application/json"}


def test_numbers_stay_what_they_are() -> None:
    random = np.random.default_rng(1)
    floats = np.frombuffer(random.bytes(8 * 3000), np.float64)
    singles = np.frombuffer(random.bytes(4 * 3000), np.float32)
    numbers = [*floats[np.isfinite(floats)].tolist(), *singles[np.isfinite(singles)].tolist(), 5e-324, -0.0, 1e308]
    integers = [0, -1, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1]
    passed = in_json(
        tensor(shape=[len(numbers)], data=numbers), tensor(name="n", shape=[2, 3], data=[integers[:3], integers[3:]])
    )
    read = [each["data"] for each in json.loads(whole(passed))["inputs"]]
    assert struct.pack(f"{len(numbers)}d", *read[0]) == struct.pack(f"{len(numbers)}d", *numbers)
    assert read[1] == [integers[:3], integers[3:]]
    assert all(type(number) is int for number in read[1][0])


def test_text_stays_what_it_is() -> None:
    name = 'jets "\\\x00\n\u00e9\u2028\U0001f600'
    assert json.loads(whole(in_json(tensor(name=name))))["inputs"][0]["name"] == name


@pytest.mark.parametrize(
    ("shape", "data"),
    [([0, 3], []), ([1, 1, 3], [[VALUES]]), ([3, 1], [[each] for each in VALUES]), ([3], VALUES), ([], [1.0])],
)
def test_shapes_that_fit_pass(shape: list[int], data: list[Any]) -> None:
    in_json(tensor(shape=shape, data=data))


@pytest.mark.parametrize(
    "shape",
    [
        [2**62, 1],
        [10**9],
        [2**31, 2**31, 4],
        [2**63],
        [2**64],
        [2**32, 2**32],
        [1000],
        [1, 4],
        [1, 2],
        [0, 2**62],
        [2**62, 0],
        [-1, 3],
        [-1, -3],
        [1.0, 3],
        [True, 3],
        ["3"],
        [[3]],
        3,
        None,
        {},
        10**100,
    ],
)
def test_a_shape_that_claims_what_is_not_there_is_refused_by_name(shape: Any) -> None:
    for described in (tensor(shape=shape), tensor(shape=shape, datatype="BYTES", data=["a", "b", "c"])):
        assert refused(json.dumps({"inputs": [described]}).encode()) == "jets.shape"
    # A tensor in binary may hold fewer values than bytes: how many is for Triton to compare.
    if shape not in ([1, 4], [1, 2]):
        head = json.dumps({"inputs": [binary(shape=shape)]}).encode()
        assert refused(head + bytes(12), str(len(head))) == "jets.shape"


def test_data_in_json_before_tensors_in_binary_is_looked_at_too() -> None:
    behind = bytes(1 << 20)
    huge = tensor(name="huge", shape=[1 << 20])
    head = json.dumps({"inputs": [binary(len(behind)), huge]}).encode()
    assert refused(head + behind, str(len(head))) == "huge.shape"  # fewer values than bytes, and yet not there
    passed = in_binary(binary(len(behind)), tensor(name="small"), behind=behind)
    assert whole(passed).endswith(behind)


@pytest.mark.timeout(60)  # computed to its end it takes minutes
def test_a_product_of_many_numbers_is_not_computed_to_its_end() -> None:
    assert refused(json.dumps({"inputs": [tensor(shape=[50_000] * 250_000)]}).encode()) == "jets.shape"


@pytest.mark.parametrize(
    ("described", "field"),
    [
        ({"name": 5}, "inputs[0].name"),
        ({"name": None}, "inputs[0].name"),
        ({"datatype": 1}, "jets.datatype"),
        ({"data": None}, "jets.data"),
        ({"data": 1.5}, "jets.data"),
        ({"data": {"0": 1.5}}, "jets.data"),
        ({"data": [1, 2, 2**64]}, "jets.data"),
        ({"data": [1, 2, -(2**63) - 1]}, "jets.data"),
        ({"data": [1, 2, 10**4000]}, "jets.data"),
        ({"data": [1, 2, float("nan")]}, "jets.data"),
        ({"data": [[1, 2], [float("inf")]]}, "jets.data"),
        ({"parameters": []}, "jets.parameters"),
        ({"parameters": None}, "jets.parameters"),
        ({"parameters": {"x": {"y": -(2**70)}}}, "jets.parameters.x.y"),
        ({"parameters": {"shared_memory_region": "r"}}, "jets.parameters.shared_memory_region"),
        ({"parameters": {"shared_memory_byte_size": 5}}, "jets.parameters.shared_memory_byte_size"),
        ({"parameters": {"shared_memory_offset": 5}}, "jets.parameters.shared_memory_offset"),
    ],
)
def test_a_tensor_that_is_none_is_refused_by_its_field(described: dict[str, Any], field: str) -> None:
    assert refused(json.dumps({"inputs": [tensor(**described)]}).encode()) == field


@pytest.mark.parametrize("number", ["1e400", "-1e999", "NaN", "Infinity", "-Infinity", "9" * 1_000_000])
def test_what_is_no_number_or_none_that_can_be_sent_is_refused_by_its_field(number: str) -> None:
    body = json.dumps({"inputs": [tensor()]}).replace("0.1", number).encode()
    assert refused(body) == "jets.data"


@pytest.mark.parametrize(
    ("head", "field"),
    [
        ([], "request"),
        ("inputs", "request"),
        (None, "request"),
        ({}, "inputs"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": None}, "inputs"),
        ({"inputs": [[]]}, "inputs[0]"),
        ({"inputs": [tensor(), None]}, "inputs[1]"),
        ({"inputs": [tensor()], "outputs": None}, "outputs"),
        ({"inputs": [tensor()], "outputs": ["log_factor"]}, "outputs[0]"),
        ({"inputs": [tensor()], "outputs": [{"name": "y", "parameters": 1}]}, "y.parameters"),
        (
            {"inputs": [tensor()], "outputs": [{"name": "y", "parameters": {"shared_memory_region": "r"}}]},
            "y.parameters.shared_memory_region",
        ),
        ({"inputs": [tensor()], "parameters": {"priority": 2**64}}, "parameters.priority"),
    ],
)
def test_a_request_that_is_none_is_refused_by_its_field(head: Any, field: str) -> None:
    assert refused(json.dumps(head).encode()) == field


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe{}", b'\xef\xbb\xbf{"inputs": []}', b"{} {}", b"{'inputs': []}"])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    assert refused(text) == "request"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"inputs": [], "inputs": []}', "inputs"),
        ('{"inputs": [{"shape": [1], "shape": [4611686018427387904]}]}', "shape"),
        ('{"inputs": [{"shape": [1], "sh\\u0061pe": [4611686018427387904]}]}', "shape"),
    ],
)
def test_keys_that_stand_twice_are_refused(text: str, field: str) -> None:
    assert refused(text.encode()) == field


@pytest.mark.parametrize("depth", [DEEPEST, 5_000, 900_000])
@pytest.mark.parametrize("bracket", ["[]", '{"":}'])
def test_what_is_nested_too_deep_is_refused(depth: int, bracket: str) -> None:
    depth = min(depth, MOST_JSON // len(bracket) - 100)
    nested = bracket[:-1] * depth + "1" + bracket[-1] * depth
    field = refused(f'{{"inputs": [], "parameters": {nested}}}'.encode())
    assert field.split(".")[0] == ("parameters" if depth == DEEPEST else "request")  # too deep for Python to read


def test_what_is_nested_as_deep_as_may_be_passes() -> None:
    data: Any = VALUES
    for _ in range(DEEPEST - 4):  # request, inputs, tensor and the innermost list are the others
        data = [data]
    in_json(tensor(data=data))
    assert refused(json.dumps({"inputs": [tensor(data=[data])]}).encode()) == "jets.data"


@pytest.mark.parametrize("length", ["0", "-1", "+2", "2x", "x", "", " 2", "2, 2", "1_0", "0x2", "٢", "9" * 30])
def test_a_length_of_json_that_is_none_is_refused(length: str) -> None:
    assert refused(b"{}" + bytes(20), length) == JSON_LENGTH


def test_a_length_of_json_that_lies_is_refused() -> None:
    head = json.dumps({"inputs": [binary()]}).encode()
    body = head + bytes(12)
    assert refused(body, str(len(body) + 1)) == JSON_LENGTH
    assert refused(body, str(len(head) - 1)) == "request"
    assert refused(body, str(len(head) + 1)) == "request"
    assert refused(body) == "request"
    assert refused(body[:-1], str(len(head))) == "jets.parameters.binary_data_size"
    assert refused(body + b"\0", str(len(head))) == "inputs"


@pytest.mark.parametrize("size", [-1, 13, 2**62, 2**64 - 1, 12.0, True, "12", None, []])
def test_a_length_of_a_tensor_that_lies_is_refused(size: Any) -> None:
    head = json.dumps({"inputs": [binary(size)]}).encode()
    assert refused(head + bytes(12), str(len(head))) == "jets.parameters.binary_data_size"


def test_tensors_share_no_bytes() -> None:
    head = json.dumps({"inputs": [binary(8), binary(8, name="others")]}).encode()
    assert refused(head + bytes(12), str(len(head))) == "inputs"


def test_json_has_its_limits() -> None:
    alone = json.dumps({"inputs": [tensor()]}).encode()
    checked_request(alone.ljust(MOST_JSON), None)
    assert refused(alone.ljust(MOST_JSON + 1)) == "request"
    head = json.dumps({"inputs": [binary()]}).encode().ljust(MOST_JSON_BEFORE_TENSORS)
    checked_request(head + bytes(12), str(len(head)))
    assert refused(head + b" " + bytes(12), str(len(head) + 1)) == JSON_LENGTH


@pytest.mark.parametrize("depth", [1, 10])
def test_what_a_value_is_called_is_not_as_long_as_a_request_likes(monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    """Else a request of 2 MB, a long key above many values, makes gigabytes of names."""
    called: list[str] = []
    check = claims._check_values

    def listening(value: Any, field: str, level: int) -> None:
        called.append(field)
        check(value, field, level)

    monkeypatch.setattr(claims, "_check_values", listening)
    nested: Any = [{"x": 1}, {"name": "n" * 10_000, "x": [1]}]
    for _ in range(depth):
        nested = {"k" * 10_000: nested}
    in_json(tensor(), **{"p" * 10_000: nested})
    assert len(called) > depth
    assert max(map(len, called)) <= 2 * SHOWN


def test_a_refusal_is_short_whatever_the_request_says() -> None:
    with pytest.raises(ClaimError) as caught:
        in_json(tensor(name="n" * 100_000, shape=[2**62]))
    assert len(str(caught.value)) < 400
