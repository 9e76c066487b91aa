from __future__ import annotations

import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.training.tensor_tree import Tree, UnreadableTreeError, from_bytes, to_bytes

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
KEYS = st.text(max_size=5) | st.integers(0, 9) | st.tuples(st.integers(0, 3), st.integers(0, 3))
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(TREES)
def test_plain_values_come_back_as_they_were(tree: Tree) -> None:
    back = from_bytes(to_bytes(tree))
    assert back == tree
    assert repr(back) == repr(tree)  # tuples are no lists, 1 is not True, -0.0 is not 0.0


def test_tensors_come_back_bit_by_bit() -> None:
    shared = torch.tensor([1.0, math.nan, -0.0, math.inf])
    tree = {
        0: {"exp_avg": shared, "step": torch.tensor(3.0)},
        (0, 1): [shared[1:], shared.view(2, 2).t(), torch.tensor([], dtype=torch.int64)],
        "states": (torch.get_rng_state(), torch.tensor(True), torch.ones(2, dtype=torch.bfloat16)),
    }
    back = from_bytes(to_bytes(tree))
    assert isinstance(back, dict)
    assert list(back) == list(tree)
    pairs = zip(tensors(tree), tensors(back), strict=True)
    for tensor, other in pairs:
        assert tensor.dtype == other.dtype
        assert (
            tensor.contiguous().numpy(force=True).tobytes() == other.numpy(force=True).tobytes()
            if (tensor.dtype != torch.bfloat16)
            else torch.equal(tensor, other)
        )


def tensors(tree: object) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ()
    return [tensor for part in inner for tensor in tensors(part)]


def test_what_is_no_state_is_refused_with_its_path() -> None:
    with pytest.raises(TypeError, match="object at /outer/1"):
        to_bytes({"outer": [1, object()]})
    with pytest.raises(TypeError, match="two tensors at /0"):
        to_bytes({0: torch.zeros(1), "0": torch.ones(1)})


def test_other_bytes_are_refused() -> None:
    whole = to_bytes({"a": torch.zeros(100)})
    for data in (b"", b"abc", whole[:-1], whole[:40], pickle.dumps({"a": 1})):
        with pytest.raises(UnreadableTreeError, match=f"{len(data)} bytes are no saved state"):
            from_bytes(data)
