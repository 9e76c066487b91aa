"""Sums and means over consecutive rows, such as those of a jet's particles.

Belongs here: reductions of flat rows by offsets, with derivatives. Does not belong here: physics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.autograd.function import BackwardCFunction

    class _Context(BackwardCFunction):
        rows: int


def plain_segment_sum(rows: Tensor, offsets: Tensor) -> Tensor:
    """As `segment_sum`, without derivative."""
    # The fastest sum of consecutive rows that torch has on a CPU: embeddings of 0, 1, 2, ..., one bag a segment.
    everything = torch.arange(len(rows), device=rows.device)
    return torch.embedding_bag(rows, everything, offsets, mode=0, include_last_offset=True)[0]


class _SegmentSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, rows: Tensor, offsets: Tensor) -> Tensor:
        ctx.save_for_backward(offsets)
        ctx.rows = len(rows)
        return plain_segment_sum(rows, offsets)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor, None]:
        (offsets,) = ctx.saved_tensors
        # A GPU that is not told the size is asked for it, and waited for.
        return gradient.repeat_interleave(offsets.diff(), dim=0, output_size=ctx.rows), None


def segment_sum(rows: Tensor, offsets: Tensor) -> Tensor:
    """Sum of the rows (rows, columns) of each segment, (segments, columns).

    offsets: int64 (segments + 1,); segment s owns rows[offsets[s]:offsets[s + 1]]. An empty segment gives 0.
    """
    summed: Tensor = _SegmentSum.apply(rows, offsets)  # type: ignore[no-untyped-call]
    return summed


def segment_mean(rows: Tensor, offsets: Tensor) -> Tensor:
    """As `segment_sum`, divided by the number of rows of each segment; an empty segment gives 0."""
    return segment_sum(rows, offsets) / offsets.diff().clamp(min=1).unsqueeze(1)
