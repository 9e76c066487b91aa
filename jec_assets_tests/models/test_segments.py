"""Sums and means over consecutive rows."""

from __future__ import annotations

import pytest
import torch

from jec_assets.models.segments import segment_mean, segment_sum

ROWS = torch.arange(12.0, dtype=torch.float64).reshape(6, 2)
OFFSETS = torch.tensor([0, 2, 2, 5, 6])  # the second segment is empty


def test_sums() -> None:
    assert segment_sum(ROWS, OFFSETS).tolist() == [[2, 4], [0, 0], [18, 21], [10, 11]]


def test_means() -> None:
    assert segment_mean(ROWS, OFFSETS).tolist() == [[1, 2], [0, 0], [6, 7], [10, 11]]


def test_no_rows() -> None:
    assert segment_sum(torch.zeros(0, 3), torch.tensor([0, 0, 0])).tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize("reduce", [segment_sum, segment_mean])
def test_derivatives(reduce: object) -> None:
    assert callable(reduce)
    assert torch.autograd.gradcheck(lambda rows: reduce(rows, OFFSETS), ROWS.clone().requires_grad_())
