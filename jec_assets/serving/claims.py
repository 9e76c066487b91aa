"""What an inference request claims, read before Triton reads it.

Belongs here: which requests over HTTP no honest client sends, and the words of those that pass. Does not belong here:
receiving and passing them on (`gate.py`).

Triton 2.51 makes room for whatever shape a tensor in JSON claims, and ends where there is none. So what a request
claims is compared with what it carries, and what was read is written anew: Triton gets what was checked, and not
another reading of the same bytes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from jec_assets.serving.wire import JSON_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping

# Bytes, as in deployments/proxy/jec.conf.template: JSON takes many times its size when it is read.
MOST_JSON = 2 << 20
MOST_JSON_BEFORE_TENSORS = 999_999
# Lists and objects within each other: tensors of three dimensions, in the lists of their rows, have six.
DEEPEST = 16
SMALLEST, LARGEST = -(2**63), 2**64 - 1  # what 64 bits hold, with a sign or without
LONGEST = len(str(SMALLEST))  # digits
WHOLE = "request"  # the field where none is at fault
LENGTH = re.compile(r"[0-9]{1,9}")
BINARY_SIZE = "binary_data_size"
SHOWN = 200  # characters of what a request says


class ClaimError(ValueError):
    """A request that no honest client sends; `field` is what is wrong in it, a tensor's by the tensor's name."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field[:SHOWN]
        super().__init__(f"{self.field}: {message}")


@dataclass(frozen=True)
class CheckedRequest:
    """A request's headers, and its body in parts: the JSON that was read, written anew, and the tensors behind it."""

    headers: Mapping[str, str]
    body: tuple[bytes | memoryview, ...]


def checked_request(body: bytes, json_length: str | None) -> CheckedRequest:
    """The request as Triton is to get it; json_length: its header of that name. ClaimError for what isn't passed on."""
    end = _end_of_json(body, json_length)
    head = _read(body[:end])
    if not isinstance(head, dict):
        raise ClaimError(WHOLE, "must be an object")
    for key, value in head.items():
        _check_values(value, key[:SHOWN], 2)
    _check_inputs(head, len(body), len(body) - end)
    _check_outputs(head)
    described = json.dumps(head, allow_nan=False, separators=(",", ":")).encode()
    headers = {"Content-Length": str(len(described) + len(body) - end), "Content-Type": "application/json"}
    if json_length is not None:
        headers |= {JSON_LENGTH: str(len(described)), "Content-Type": "application/octet-stream"}
    return CheckedRequest(headers, (described, memoryview(body)[end:]))


def _end_of_json(body: bytes, json_length: str | None) -> int:
    """Where the tensors in binary begin."""
    if json_length is None:
        if len(body) > MOST_JSON:
            raise ClaimError(WHOLE, f"may have {MOST_JSON:,} bytes of JSON, not {len(body):,}")
        return len(body)
    # Nothing but digits: what else Python or Triton takes for a number, they may not take for the same one.
    if not LENGTH.fullmatch(json_length) or not 1 <= int(json_length) <= len(body):
        raise ClaimError(JSON_LENGTH, f"must be in 1..{len(body)}, the request's bytes, not {json_length[:SHOWN]!r}")
    if int(json_length) > MOST_JSON_BEFORE_TENSORS:
        raise ClaimError(JSON_LENGTH, f"may be {MOST_JSON_BEFORE_TENSORS:,}, not {json_length}")
    return int(json_length)


def _read(text: bytes) -> Any:
    """What stands there in JSON. What Python takes for a number and JSON doesn't is refused later, by its field."""
    try:
        return json.loads(text.decode(), object_pairs_hook=_object, parse_int=_integer)
    except ClaimError:
        raise
    except (RecursionError, ValueError) as error:
        raise ClaimError(WHOLE, f"no JSON that can be read: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, whose keys are different: of two that are the same Triton reads the first, and Python the last."""
    read: dict[str, Any] = {}
    for key, value in pairs:
        if key in read:
            raise ClaimError(key, "stands twice in one object")
        read[key] = value
    return read


def _integer(digits: str) -> int:
    """A number. One of a million digits takes long to read: it stands for itself as any that is too large."""
    return int(digits) if len(digits) <= LONGEST else LARGEST + 1


def _check_values(value: Any, field: str, depth: int) -> None:
    """Refuse numbers that JSON hasn't or 64 bits don't hold, and what is nested too deep.

    field: what this value is called, at most SHOWN characters: a key of a million with a hundred thousand values below
    it would be copied for each of them. depth: of this value.
    """
    if isinstance(value, dict | list) and depth > DEEPEST:
        raise ClaimError(field, f"has more than {DEEPEST} lists and objects within each other")
    if isinstance(value, dict):
        for key, each in value.items():
            _check_values(each, f"{field}.{key[:SHOWN]}"[:SHOWN], depth + 1)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            _check_values(each, _called(each, field, place) if isinstance(each, dict) else field, depth + 1)
    elif isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        raise ClaimError(field, "has a number that is beyond 64 bits")
    elif isinstance(value, float) and not isfinite(value):
        raise ClaimError(field, "has a number that is not finite")


def _check_inputs(head: dict[str, Any], size: int, behind: int) -> None:
    """Compare what tensors claim with what is there; size: the request's bytes, behind: those behind its JSON."""
    claimed = 0
    for field, tensor in _objects(head, "inputs"):
        for key in ("name", "datatype"):
            if not isinstance(tensor.get(key), str):
                raise ClaimError(f"{field}.{key}", "must be a string")
        values = _number_of_values(tensor, field, size)
        parameters = _parameters(tensor, field)
        if BINARY_SIZE in parameters:
            claimed += _binary_size(parameters[BINARY_SIZE], f"{field}.parameters.{BINARY_SIZE}", behind)
        elif values != (given := _given(tensor.get("data"), f"{field}.data")):
            raise ClaimError(f"{field}.shape", f"claims {values} values, 'data' has {given}")
    if claimed != behind:
        raise ClaimError("inputs", f"claim {claimed} bytes behind the JSON, where there are {behind}")


def _check_outputs(head: dict[str, Any]) -> None:
    if "outputs" in head:
        for field, output in _objects(head, "outputs"):
            _parameters(output, field)


def _objects(head: dict[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
    """The objects of a list, each with what it is called."""
    listed = head.get(key)
    if not isinstance(listed, list):
        raise ClaimError(key, "must be a list of objects")
    for place, each in enumerate(listed):
        if not isinstance(each, dict):
            raise ClaimError(f"{key}[{place}]", "must be an object")
    return [(_called(each, key, place), each) for place, each in enumerate(listed)]


def _called(each: dict[str, Any], field: str, place: int) -> str:
    """What an object of a list is called: by its name, else by its place."""
    name = each.get("name")
    return name[:SHOWN] if isinstance(name, str) and name else f"{field}[{place}]"


def _number_of_values(tensor: dict[str, Any], field: str, size: int) -> int:
    """How many values a tensor claims by its shape: never more than the request has bytes, whatever it is made of."""
    shape, values = tensor.get("shape"), 1
    # JSON's true and false are Python's numbers 1 and 0.
    if not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise ClaimError(f"{field}.shape", "must be a list of whole numbers, none below 0")
    for length in shape:
        values *= length
        # At once, since a product of a hundred thousand such numbers takes minutes; and each, since one may be zero.
        if max(values, length) > size:
            raise ClaimError(f"{field}.shape", f"claims more values than the request has bytes, {size}")
    return values


def _parameters(owner: dict[str, Any], field: str) -> dict[str, Any]:
    """What else a tensor claims; none that lies in shared memory."""
    parameters = owner.get("parameters", {})
    if not isinstance(parameters, dict):
        raise ClaimError(f"{field}.parameters", "must be an object")
    for key in parameters:
        if key.startswith("shared_memory"):
            raise ClaimError(f"{field}.parameters.{key}", "shared memory is for programs on the server's machine")
    return parameters


def _binary_size(claimed: Any, field: str, behind: int) -> int:
    if type(claimed) is not int or not 0 <= claimed <= behind:
        raise ClaimError(field, f"must be in 0..{behind}, the bytes behind the JSON")
    return claimed


def _given(data: Any, field: str) -> int:
    """How many values stand in a tensor's data, in lists within each other or in one."""
    if not isinstance(data, list):
        raise ClaimError(field, "must be a list: there is no binary_data_size")
    return sum(_given(each, field) if isinstance(each, list) else 1 for each in data)
