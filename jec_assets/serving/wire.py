"""Inference requests and answers as HTTP carries them.

Belongs here: the KServe protocol's JSON and Triton's extension by which tensors follow it as they lie in memory
(https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md). Does not belong here:
connections (`transport.py`).

A request of a thousand jets is megabytes: they go to the socket from where they are, copied nowhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import numpy as np

from jec_assets.serving.tensors import OUTPUTS, BatchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from jec_assets.serving.tensors import PaddedJets

JSON_LENGTH = "Inference-Header-Content-Length"
TRITON_TYPES = {"<f4": "FP32", "<i8": "INT64"}  # by NumPy's name, with the order of bytes
LITTLE_ENDIAN = {"FP32": np.dtype("<f4")}  # what networks answer
# What comes of reading JSON that isn't what it should be.
NOT_AS_AGREED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
SMALL = 1 << 16  # bytes: less than this is copied sooner than sent in parts


class MalformedAnswerError(ValueError):
    """Bytes that are no answer of the protocol."""


class Tensor(NamedTuple):
    """What a request says of a tensor. kind: its type as NumPy calls it. place: where it lies, Triton's parameters."""

    name: str
    kind: str
    shape: tuple[int, ...]
    place: tuple[tuple[str, str | int], ...]


@dataclass(frozen=True)
class Request:
    """A request's headers, and its body in parts that are sent one after the other."""

    headers: Mapping[str, str]
    body: tuple[bytes | memoryview, ...]

    @classmethod
    def of_json(cls, said: bytes, headers: Mapping[str, str]) -> Request:
        """A request that is JSON alone, with these headers besides."""
        return cls({"Content-Length": str(len(said)), "Content-Type": "application/json", **headers}, (said,))


class InferRequest(Request):
    """A request for all outputs of jets, whose tensors lie in its body."""

    @classmethod
    def of(cls, batch: PaddedJets) -> InferRequest:
        """A request for all outputs of these jets; it shares their memory where there is much of it."""
        arrays = batch.arrays
        described = description(tuple(_in_body(name, array) for name, array in arrays.items()))
        parts: list[bytes | memoryview] = [described, *map(_memory, arrays.values())]
        length = sum(map(len, parts))
        headers = {
            JSON_LENGTH: str(len(described)),
            "Content-Length": str(length),
            "Content-Type": "application/octet-stream",
        }
        return cls(headers, (b"".join(parts),) if length < SMALL else tuple(parts))


def model_path(family: str) -> str:
    """Where a model is."""
    return f"/v2/models/{quote(family, safe='')}"


@lru_cache(maxsize=64)
def infer_path(family: str, version: str) -> str:
    """Where requests to a version of a model go; the server chooses the version where that is empty."""
    versioned = f"/versions/{quote(version, safe='')}" if version else ""
    return f"{model_path(family)}{versioned}/infer"


def message(
    method: str, path: str, headers: Mapping[str, str], body: Sequence[bytes | memoryview] = ()
) -> tuple[bytes | memoryview, ...]:
    """A request of HTTP/1.1 in parts that are sent one after the other.

    The head goes with the body's first part: a server that gets it alone wakes up for nothing.
    """
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    first = f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode()
    return (b"".join((first, *body[:1])), *body[1:])


def triton_type(name: str, kind: str) -> str:
    """What Triton calls a tensor's type that NumPy calls so; BatchError, naming the tensor, for one that none has."""
    if kind not in TRITON_TYPES:
        raise BatchError(name, f"must be one of {', '.join(TRITON_TYPES)}, not {kind}")
    return TRITON_TYPES[kind]


@lru_cache(maxsize=256)  # a client's requests are of few shapes, and JSON takes a while beside a single jet
def description(tensors: tuple[Tensor, ...]) -> bytes:
    """The JSON of a request for all outputs of these tensors; BatchError for a type that none has."""
    inputs = [
        {"name": name, "shape": shape, "datatype": triton_type(name, kind), "parameters": dict(place)}
        for name, kind, shape, place in tensors
    ]
    return json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()


def outputs_in(body: bytes, json_length: str | None) -> dict[str, NDArray[np.float32]]:
    """An answer's tensors by name; json_length: its header of that name. MalformedAnswerError if it is none."""
    try:
        end = len(body) if json_length is None else int(json_length)
        found: dict[str, NDArray[np.float32]] = {}
        start = end
        for output in json.loads(body[:end].decode())["outputs"]:
            size = int(output["parameters"]["binary_data_size"])
            values = np.frombuffer(body[start : start + size], dtype=LITTLE_ENDIAN[output["datatype"]])
            found[str(output["name"])] = values.reshape(output["shape"])
            start += size
    except NOT_AS_AGREED as error:
        raise MalformedAnswerError(f"no answer of the KServe protocol: {body[:200]!r}") from error
    return {name: found[name] for name in OUTPUTS if name in found}


def _in_body(name: str, array: NDArray[np.generic]) -> Tensor:
    return Tensor(name, array.dtype.str, array.shape, (("binary_data_size", array.nbytes),))


def _memory(array: NDArray[np.generic]) -> bytes | memoryview:
    """An array's bytes, uncopied where there are many and they lie in order."""
    return array.tobytes() if array.nbytes < SMALL else np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
