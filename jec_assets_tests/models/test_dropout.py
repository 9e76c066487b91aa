"""Dropout: what it drops, and that a seed decides it."""

from __future__ import annotations

import pytest
import torch

from jec_assets.models.dropout import Dropout


@pytest.mark.parametrize("p", [0.00945, 0.3, 0.5])
def test_drops_with_its_probability_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(5)
    draws = 400_000
    rows = Dropout(p)(torch.ones(1000, 400))
    dropped = (rows == 0).float().mean().item()
    assert dropped == pytest.approx(p, abs=5 * (p * (1 - p) / draws) ** 0.5)
    assert rows[rows != 0].tolist() == pytest.approx([1 / (1 - p)] * int((rows != 0).sum()))


def test_neighbors_are_dropped_independently() -> None:
    torch.manual_seed(6)
    dropped = (Dropout(0.5)(torch.ones(1000, 401)) == 0).float() - 0.5
    for other in (dropped.roll(1, 0), dropped.roll(1, 1), dropped.roll(2, 1)):
        assert abs((dropped * other).mean().item()) < 5 * 0.25 / dropped.numel() ** 0.5


def test_a_seed_gives_the_same_mask_and_the_next_call_another() -> None:
    ones, dropout = torch.ones(7, 3), Dropout(0.5)
    torch.manual_seed(7)
    first, second = dropout(ones), dropout(ones)
    torch.manual_seed(7)
    assert torch.equal(dropout(ones), first)
    assert not torch.equal(first, second)


def test_the_derivative_is_dropped_alike() -> None:
    torch.manual_seed(8)
    rows = torch.ones(40, 5, requires_grad=True)
    kept = Dropout(0.4)(rows)
    kept.sum().backward()
    assert torch.equal(rows.grad, kept.detach())


def test_evaluation_drops_nothing() -> None:
    rows = torch.randn(5, 3)
    assert torch.equal(Dropout(0.4).eval()(rows), rows)
