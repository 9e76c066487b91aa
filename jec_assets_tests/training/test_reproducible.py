from __future__ import annotations

import pytest
import torch

from jec_assets.training.reproducible import seeded, threads


def test_a_seed_is_local() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeded(7):
        first = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with seeded(7):
        assert torch.equal(torch.rand(2), first)


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(AssertionError, match="inside"), threads(before + 1):
        assert torch.get_num_threads() == before, "inside"
    assert torch.get_num_threads() == before


def test_zero_threads_change_nothing() -> None:
    before = torch.get_num_threads()
    with threads(0):
        assert torch.get_num_threads() == before
