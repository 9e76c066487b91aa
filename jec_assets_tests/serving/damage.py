"""Requests that no client should send: each is a good one with one thing damaged, and says what its error must name.

Belongs here: making them from a seeded generator. Does not belong here: sending many of them (`fuzz.py`).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jec_assets.serving.tensors import INPUTS, JETS, PARTICLE_COUNT, PARTICLES, PaddedJets

DATATYPES = {"float32": "FP32", "int64": "INT64"}
OTHER_DATATYPES = ("BOOL", "UINT8", "INT32", "FP16", "FP64", "BYTES", "FP31", "")
BEYOND = (2**31, 2**62, 2**63 - 1, 2**63, 2**64, -1, -(2**63))


@dataclass
class Damaged:
    """A request's parts: the JSON that describes the tensors, their bytes, HTTP headers.

    names: one of these an error must contain; empty where no tensor is at fault. refused: whether it must be an error.
    fatal_as_json: this Triton makes room for whatever shape a tensor in JSON claims, and ends where there is none; only
    a gate (`jec_assets.serving.gate`) may be sent such a request.
    """

    header: dict[str, Any]
    tensors: list[bytes]
    names: tuple[str, ...] = ()
    refused: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    fatal_as_json: bool = False

    def tensor(self, name: str) -> dict[str, Any]:
        """The description of a tensor."""
        return next(tensor for tensor in self.header["inputs"] if tensor["name"] == name)


def good(batch: PaddedJets) -> Damaged:
    """The request before anything is damaged."""
    inputs = [
        {"name": name, "datatype": DATATYPES[array.dtype.name], "shape": list(array.shape)}
        for name, array in batch.arrays.items()
    ]
    return Damaged({"inputs": inputs}, [array.tobytes() for array in batch.arrays.values()], refused=False)


def damaged(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    """A request with one thing damaged."""
    damage = DAMAGES[random.integers(len(DAMAGES))]
    return damage(batch, random)


def _count_out_of_range(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    count = batch.particle_count.copy()
    count[random.integers(len(count))] = random.choice([-1, 0, batch.particles.shape[1] + 1, -(2**63), 2**63 - 1])
    return _refused(PaddedJets(batch.particles, count, batch.jets), PARTICLE_COUNT)


def _jets_not_finite(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    jets = batch.jets.copy()
    jets.flat[random.integers(jets.size)] = random.choice([np.nan, np.inf, -np.inf])
    return _refused(PaddedJets(batch.particles, batch.particle_count, jets), JETS)


def _particles_not_finite(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    particles = batch.particles.copy()
    particles[random.integers(len(particles)), 0, random.integers(particles.shape[2])] = random.choice([np.nan, np.inf])
    return _refused(PaddedJets(particles, batch.particle_count, batch.jets), PARTICLES)


def _too_many_slots(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    slots = int(random.integers(2_000, 20_000))
    particles = np.zeros((1, slots, batch.particles.shape[2]), np.float32)
    return _refused(PaddedJets(particles, np.full((1, 1), slots, np.int64), batch.jets[:1]), PARTICLES)


def _no_slots(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    return _refused(PaddedJets(batch.particles[:, :0], batch.particle_count, batch.jets), PARTICLE_COUNT, PARTICLES)


def _other_datatype(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    request, name = good(batch), _any(INPUTS, random)
    request.tensor(name)["datatype"] = _any(OTHER_DATATYPES, random)
    return _naming(request, name)


def _other_width(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    request, name = good(batch), _any((PARTICLES, JETS), random)
    position = INPUTS.index(name)
    array = np.zeros((*list(batch.arrays.values())[position].shape[:-1], int(random.integers(1, 9))), np.float32)
    request.tensor(name)["shape"], request.tensors[position] = list(array.shape), array.tobytes()
    return _naming(request, name)


def _other_rank(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    request, name = good(batch), _any(INPUTS, random)
    shape = request.tensor(name)["shape"]
    request.tensor(name)["shape"] = [*shape, 1] if random.random() < 0.5 else shape[:-1]
    return _naming(request, name)


def _impossible_shape(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    request, name = good(batch), _any(INPUTS, random)
    shape = request.tensor(name)["shape"]
    size = BEYOND[random.integers(len(BEYOND))]
    shape[random.integers(len(shape))] = size
    request.fatal_as_json = 0 < size < 2**64
    # A wrong number of jets is seen only by comparing tensors, and the error names the one that Triton looks at.
    # It sees 32 bits of that number, and answers with as many jets as there are where these are zero.
    return _naming(request, *INPUTS, "shape", refused=size % 2**32 != 0)


def _jets_that_disagree(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    fewer = PaddedJets(batch.particles, batch.particle_count[:-1], batch.jets)
    return _refused(fewer, *INPUTS)


def _tensor_missing(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    request, position = good(batch), int(random.integers(3))
    del request.header["inputs"][position], request.tensors[position]
    return _naming(request, INPUTS[position])


def _tensor_twice(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    request, position = good(batch), int(random.integers(3))
    request.header["inputs"].append(request.header["inputs"][position])
    request.tensors.append(request.tensors[position])
    return _naming(request, INPUTS[position], "inputs")


def _tensor_unknown(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    request, position = good(batch), int(random.integers(3))
    name = "".join(map(chr, random.integers(32, 0xD7FF, int(random.integers(1, 200)))))
    request.header["inputs"][position]["name"] = name
    return _naming(request, INPUTS[position], "unexpected inference input")


def _bytes_missing(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    request, position = good(batch), int(random.integers(3))
    request.tensors[position] = request.tensors[position][: int(random.integers(len(request.tensors[position])))]
    return _naming(request, INPUTS[position])


def _parameters_that_make_no_sense(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    request = good(batch)
    key = _any(("sequence_id", "priority", "timeout", "sequence_start", "binary_data_output", "triton_enable"), random)
    request.header["parameters"] = {key: [-1, "x", 2**64, None, {}][random.integers(5)]}
    return _naming(request, refused=False)


def _shared_memory(batch: PaddedJets, random: np.random.Generator) -> Damaged:
    request, name = good(batch), _any(INPUTS, random)
    region = {"shared_memory_region": "jec_triton", "shared_memory_byte_size": 2**40, "shared_memory_offset": 2**40}
    request.tensor(name)["parameters"] = region
    return _naming(request, "shared memory", "shared_memory_region")


DAMAGES: tuple[Callable[[PaddedJets, np.random.Generator], Damaged], ...] = (
    _count_out_of_range,
    _jets_not_finite,
    _particles_not_finite,
    _too_many_slots,
    _no_slots,
    _other_datatype,
    _other_width,
    _other_rank,
    _impossible_shape,
    _jets_that_disagree,
    _tensor_missing,
    _tensor_twice,
    _tensor_unknown,
    _bytes_missing,
    _parameters_that_make_no_sense,
    _shared_memory,
)


def broken_body(whole: bytes, random: np.random.Generator) -> tuple[bytes, dict[str, str]]:
    """The body of an HTTP request with binary tensors as a broken client or line sends it, and headers with it."""
    breakage = BREAKAGES[random.integers(len(BREAKAGES))]
    return breakage(whole, random)


def _noise(_: bytes, random: np.random.Generator) -> tuple[bytes, dict[str, str]]:
    return random.bytes(int(random.integers(2_000))), {}


def _cut(whole: bytes, random: np.random.Generator) -> tuple[bytes, dict[str, str]]:
    return whole[: int(random.integers(len(whole)))], {}


def _flipped(whole: bytes, random: np.random.Generator) -> tuple[bytes, dict[str, str]]:
    return changed_bytes(whole, random), {}


def _nested(_: bytes, random: np.random.Generator) -> tuple[bytes, dict[str, str]]:
    depth = int(random.integers(1, 200_000))
    return b'{"inputs":' + b"[" * depth + b"]" * int(random.integers(depth)) + b"}", {}


def _wrong_header_length(whole: bytes, random: np.random.Generator) -> tuple[bytes, dict[str, str]]:
    return whole, {"Inference-Header-Content-Length": _any(("-1", "9" * 30, "x", "1000000000", ""), random)}


def _cut_compressed(whole: bytes, random: np.random.Generator) -> tuple[bytes, dict[str, str]]:
    packed = gzip.compress(whole)
    encoding = _any(("gzip", "deflate", "x"), random)
    return packed[: int(random.integers(len(packed)))], {"Content-Encoding": encoding}


def _megabytes(_: bytes, random: np.random.Generator) -> tuple[bytes, dict[str, str]]:
    return b"{}" + bytes(int(random.integers(4 << 20))), {"Inference-Header-Content-Length": "2"}


BREAKAGES = (_noise, _cut, _flipped, _nested, _wrong_header_length, _cut_compressed, _megabytes)


def changed_bytes(whole: bytes, random: np.random.Generator) -> bytes:
    """Some of the bytes replaced."""
    changed = bytearray(whole)
    for position in random.integers(len(changed), size=int(random.integers(1, 30))):
        changed[position] = int(random.integers(256))
    return bytes(changed)


def as_json(request: Damaged) -> bytes:
    """The request in JSON alone; what is no number stands there as Python writes it, which is no JSON."""
    inputs = []
    for tensor, data in zip(request.header["inputs"], request.tensors, strict=True):
        dtype = np.dtype(np.int64 if tensor["name"] == PARTICLE_COUNT else np.float32)
        whole = data[: len(data) // dtype.itemsize * dtype.itemsize]
        inputs.append({**tensor, "data": np.frombuffer(whole, dtype).tolist()})
    return json.dumps({**request.header, "inputs": inputs}).encode()


def as_binary(request: Damaged) -> tuple[bytes, dict[str, str]]:
    """The request's body with binary tensors, and its headers."""
    inputs = [
        {**tensor, "parameters": {"binary_data_size": len(data), **tensor.get("parameters", {})}}
        for tensor, data in zip(request.header["inputs"], request.tensors, strict=True)
    ]
    header = json.dumps({**request.header, "inputs": inputs}).encode()
    return header + b"".join(request.tensors), {"Inference-Header-Content-Length": str(len(header))}


def _refused(batch: PaddedJets, *names: str) -> Damaged:
    return _naming(good(batch), *names)


def _naming(request: Damaged, *names: str, refused: bool = True) -> Damaged:
    request.names, request.refused = names, refused
    return request


def _any(choices: tuple[str, ...], random: np.random.Generator) -> str:
    return choices[int(random.integers(len(choices)))]
