"""Sums over the particles of each jet, where all particles stand in one flat array.

Belongs here: reductions of flat rows by offsets, with derivatives. Does not belong here: physics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.autograd.function import BackwardCFunction


def bag_sum(rows: Tensor, indices: Tensor, offsets: Tensor) -> Tensor:
    """Sum of rows[indices[offsets[b]:offsets[b + 1]]] for each bag b, (bags, columns); empty bags give 0."""
    return torch.embedding_bag(rows, indices, offsets, mode=0, include_last_offset=True)[0]


class _SegmentSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: BackwardCFunction, rows: Tensor, offsets: Tensor) -> Tensor:
        ctx.save_for_backward(offsets)
        return bag_sum(rows, torch.arange(len(rows), device=rows.device), offsets)

    @staticmethod
    def backward(ctx: BackwardCFunction, gradient: Tensor) -> tuple[Tensor, None]:
        (offsets,) = ctx.saved_tensors
        return gradient.repeat_interleave(offsets.diff(), dim=0), None


def segment_sum(rows: Tensor, offsets: Tensor) -> Tensor:
    """Sum of the rows (rows, columns) of each segment, (segments, columns).

    offsets: int64 (segments + 1,); segment s owns rows[offsets[s]:offsets[s + 1]]. An empty segment sums to 0.
    """
    summed: Tensor = _SegmentSum.apply(rows, offsets)  # type: ignore[no-untyped-call]
    return summed
