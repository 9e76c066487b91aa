"""Attention among the particles of each jet, with a bias per pair and head.

Belongs here: queries, keys and values to what attention gives, by the way that suits the device. Does not belong here:
where they come from (`blocks.py`), and what a batch is made of (`jet_blocks.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention

from jec_assets.models.dropout import kept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.autograd.function import BackwardCFunction

    from jec_assets.models.particle_transformer.jet_blocks import JetBlock, JetBlocks

    class _Context(BackwardCFunction):
        jets: JetBlocks
        saved: list[tuple[Tensor, ...]]


def attend(projected: Tensor, jets: JetBlocks, biases: Sequence[Tensor], dropout: float) -> Tensor:
    """softmax(queries keys^T / sqrt(dimensions) + bias) values, (particles, width).

    projected: (particles, 3 width), queries, keys and values of each particle, head by head; biases: those of
    `JetBlocks.biases`; dropout: of the weights.
    """
    if projected.device.type == "cpu" and projected.requires_grad:
        # torch's fused attention on the CPU has no derivative by a bias, and what torch does in its place goes over the
        # logits three times as often.
        attended: Tensor = _Attention.apply(jets, dropout, projected, *biases)  # type: ignore[no-untyped-call]
        return attended
    parts = []
    for block, part, bias in zip(jets.blocks, jets.split(projected), biases, strict=True):
        queries, keys, values = _heads(block, part, 3 * len(bias)).chunk(3)
        parts.append(_rows(block, scaled_dot_product_attention(queries, keys, values, bias, dropout)))
    return torch.cat(parts)


class _Attention(torch.autograd.Function):
    """The same with logits and weights of one block at a time, and nothing between that autograd would keep."""

    @staticmethod
    def forward(ctx: _Context, jets: JetBlocks, dropout: float, projected: Tensor, *biases: Tensor) -> Tensor:
        parts, ctx.jets, ctx.saved = [], jets, []
        for block, part, bias in zip(jets.blocks, jets.split(projected), biases, strict=True):
            heads = _heads(block, part, 3 * len(bias)).contiguous()
            queries, keys, values = (numbers.flatten(0, 1) for numbers in heads.chunk(3))
            scale = queries.shape[2] ** -0.5
            weights = torch.baddbmm(bias.flatten(0, 1), queries, keys.transpose(1, 2), alpha=scale).softmax(dim=2)
            factors = kept(weights, dropout) if dropout else torch.ones_like(weights[:1])
            attended = torch.bmm(weights * factors, values).view((*bias.shape[:3], -1))
            parts.append(_rows(block, attended))
            ctx.saved.append((queries, keys, values, weights, factors))
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        parts, by_biases = [], []
        for block, part, saved in zip(ctx.jets.blocks, ctx.jets.split(gradient), ctx.saved, strict=True):
            queries, keys, values, weights, factors = saved
            scale, heads = queries.shape[2] ** -0.5, len(queries) // block.real.shape[0]
            by_attended = _heads(block, part, heads).flatten(0, 1)
            by_values = torch.bmm((weights * factors).transpose(1, 2), by_attended)
            by_weights = torch.bmm(by_attended, values.transpose(1, 2)).mul_(factors)
            by_logits = torch._softmax_backward_data(by_weights, weights, 2, weights.dtype)
            by_queries = torch.bmm(by_logits, keys).mul_(scale)
            by_keys = torch.bmm(by_logits.transpose(1, 2), queries).mul_(scale)
            by_projected = torch.cat([by_queries, by_keys, by_values])
            parts.append(_rows(block, by_projected.reshape(3 * heads, -1, *queries.shape[1:])))
            by_biases.append(by_logits.reshape(heads, -1, *weights.shape[1:]))
        return None, None, torch.cat(parts), *by_biases


def _heads(block: JetBlock, rows: Tensor, heads: int) -> Tensor:
    """(particles, heads x dimensions) to (heads, jets, slots, dimensions)."""
    dense = block.spread(rows)
    return dense.reshape(*dense.shape[:2], heads, rows.shape[1] // heads).permute(2, 0, 1, 3)


def _rows(block: JetBlock, heads: Tensor) -> Tensor:
    """The inverse of `_heads`."""
    return block.collect(heads.permute(1, 2, 0, 3).flatten(2))
