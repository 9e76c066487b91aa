"""Nested state as one safetensors file: tensors by their path, everything else as JSON in the file's metadata.

Belongs here: the format. Does not belong here: what the state means (`checkpoint.py`). Nothing in such a file is ever
executed, unlike in a pickle.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

METADATA_KEY = "tree"

# A dictionary has one key, which says what it stands for: JSON knows neither tensors, tuples nor keys but strings.
TENSOR, DICT, LIST, TUPLE = "tensor", "dict", "list", "tuple"

Tree = dict[Any, Any] | list[Any] | tuple[Any, ...] | torch.Tensor | str | int | float | bool | None


class UnreadableTreeError(ValueError):
    """Bytes that `to_bytes` didn't write, or that were damaged since."""


def to_bytes(tree: Tree) -> bytes:
    """The tree as bytes; TypeError, with the path, for a value that is no `Tree`.

    Tensors are copied to the CPU.
    """
    tensors: dict[str, torch.Tensor] = {}
    skeleton = json.dumps(_folded(tree, "", tensors))
    return bytes(save(tensors, metadata={METADATA_KEY: skeleton}))


def from_bytes(data: bytes) -> Tree:
    """The inverse of `to_bytes`, tensors on the CPU; UnreadableTreeError for anything else."""
    try:
        tensors = load(data)
        # The format: 8 bytes with the length of a JSON header, little-endian; the header; the tensors.
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return _unfolded(json.loads(header["__metadata__"][METADATA_KEY]), tensors)
    except (SafetensorError, LookupError, TypeError, ValueError) as error:
        raise UnreadableTreeError(f"{len(data)} bytes are no saved state: {error!r}") from error


def _folded(tree: Tree, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(tree, torch.Tensor):
        if path in tensors:
            raise TypeError(f"two tensors at {path}: keys that read the same cannot be saved")
        # Copied, since the format knows no two tensors that share memory.
        tensors[path] = tree.detach().to("cpu", copy=True).contiguous()
        return {TENSOR: path}
    if isinstance(tree, dict):
        items = [(_folded(key, path, tensors), _folded(value, f"{path}/{key}", tensors)) for key, value in tree.items()]
        return {DICT: items}
    if isinstance(tree, list | tuple):
        values = [_folded(value, f"{path}/{index}", tensors) for index, value in enumerate(tree)]
        return {TUPLE if isinstance(tree, tuple) else LIST: values}
    if tree is None or isinstance(tree, str | int | float):
        return tree
    raise TypeError(f"a {type(tree).__name__} at {path or '/'} cannot be saved")


def _unfolded(skeleton: Any, tensors: dict[str, torch.Tensor]) -> Tree:
    if not isinstance(skeleton, dict):
        value: Tree = skeleton
        return value
    [(kind, content)] = skeleton.items()
    if kind == TENSOR:
        return tensors[content]
    if kind == DICT:
        return {_unfolded(key, tensors): _unfolded(value, tensors) for key, value in content}
    values = [_unfolded(value, tensors) for value in content]
    return tuple(values) if kind == TUPLE else values
