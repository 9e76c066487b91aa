"""The two kinds of blocks: attention among particles, and of a class token to particles.

H. Qu, C. Li, S. Qian, arXiv:2202.03772, Section 4, with the normalizations and scales of NormFormer (S. Shleifer, J.
Weston, M. Ott, arXiv:2110.09456). Belongs here: one block of each kind. Does not belong here: attention itself
(`attention.py`), the batch (`jet_blocks.py`), and how blocks become a network (`network.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear, pad, scaled_dot_product_attention

from jec_assets.models.dropout import Dropout
from jec_assets.models.particle_transformer.attention import attend
from jec_assets.models.particle_transformer.slot_pairs import attend_slots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.models.particle_transformer.jet_blocks import JetBlocks
    from jec_assets.models.slots import Slots

FEED_FORWARD = 4  # width of the hidden layer, in widths of the block


class _Block(nn.Module):
    """What both kinds share: everything but which rows attend to which.

    With a = attention's output: x = x + LN(c * (W a + b)), then x = w * x + W LN(GELU(W LN(x) + b)) + b, where c is a
    scale per head and w one per number.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, Dropout(dropout)
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.head_scale = nn.Parameter(torch.ones(heads))
        self.output_norm = nn.LayerNorm(width)
        self.hidden_norm = nn.LayerNorm(width)
        self.hidden = nn.Linear(width, FEED_FORWARD * width)
        self.result_norm = nn.LayerNorm(FEED_FORWARD * width)
        self.result = nn.Linear(FEED_FORWARD * width, width)
        self.residual_scale = nn.Parameter(torch.ones(width))

    def _projected(self, rows: Tensor, slots: int, parts: slice) -> tuple[Tensor, ...]:
        """Of queries (scaled), keys and values those wanted, (heads, jets, slots, width / heads) each.

        rows: (jets x slots, width).
        """
        width = len(self.residual_scale)
        scale = torch.ones_like(self.projection.bias)
        scale[:width] = (width // self.heads) ** -0.5
        first, last, _ = parts.indices(3)
        own = slice(first * width, last * width)
        weight, bias = (self.projection.weight * scale.unsqueeze(1))[own], (self.projection.bias * scale)[own]
        dense = linear(rows, weight, bias).reshape(-1, slots, (last - first) * self.heads, width // self.heads)
        return dense.permute(2, 0, 1, 3).chunk(last - first)

    def _joined(self, rows: Tensor, attended: Tensor) -> Tensor:
        """Rows (rows, width) and what attention gave them, to the block's output."""
        scale = self.head_scale.repeat_interleave(len(self.residual_scale) // self.heads)
        output = linear(attended, self.output.weight * scale.unsqueeze(1), self.output.bias * scale)
        rows = rows + self.dropout(self.output_norm(output))
        hidden = self.dropout(gelu(self.hidden(self.hidden_norm(rows))))
        return torch.addcmul(self.dropout(self.result(self.result_norm(hidden))), self.residual_scale, rows)


class ParticleBlock(_Block):
    """Each particle attends to all of its jet, with a bias for each pair."""

    def forward(self, rows: Tensor, jets: JetBlocks, biases: Sequence[Tensor]) -> Tensor:
        """(particles, width) to the same; biases: those of `JetBlocks.biases`."""
        projected = self.projection(self.norm(rows))
        return self._joined(rows, attend(projected, jets, biases, self.dropout.p if self.training else 0.0))

    def forward_slots(self, rows: Tensor, slots: Slots, biases: Tensor) -> Tensor:
        """The same in evaluation for padded jets, (jets x slots, width); biases: those of `SlotPairs.biases`."""
        queries, keys, values = self._projected(self.norm(rows), slots.real.shape[1], slice(3))
        return self._joined(rows, attend_slots(queries, keys, values, biases).flatten(0, 1))


class ClassBlock(_Block):
    """A token per jet attends to itself and the jet's particles; nothing is dropped.

    H. Touvron et al., "Going deeper with image transformers", arXiv:2103.17239, Section 3, with queries that are not
    normalized, as published.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, dropout=0.0)

    def forward(self, tokens: Tensor, rows: Tensor, jets: JetBlocks) -> Tensor:
        """Tokens (jets, width) of the jets in order of the blocks, and rows (particles, width), to tokens."""
        width = tokens.shape[1]
        weight, bias = self.projection.weight[width:], self.projection.bias[width:]
        queries = linear(tokens, self.projection.weight[:width], self.projection.bias[:width]).unsqueeze(1)
        of_tokens = linear(self.norm(tokens), weight, bias).unsqueeze(1)
        of_particles = linear(self.norm(rows), weight, bias)
        attended, start = [], 0
        for block, part in zip(jets.blocks, jets.split(of_particles), strict=True):
            own = slice(start, start + block.real.shape[0])
            keys, values = torch.cat([of_tokens[own], block.spread(part)], dim=1).chunk(2, dim=2)
            real = pad(block.real, (1, 0), value=True).unsqueeze(1).unsqueeze(1)
            query, key, value = map(self._heads, (queries[own], keys, values))
            attended.append(scaled_dot_product_attention(query, key, value, real).flatten(1))
            start = own.stop
        return self._joined(tokens, torch.cat(attended))

    def forward_slots(self, tokens: Tensor, rows: Tensor, slots: Slots, mask: Tensor) -> Tensor:
        """The same in evaluation for padded jets, (jets x slots, width); mask: `SlotPairs.mask`."""
        together = torch.cat([self.norm(tokens).unsqueeze(1), slots.dense(self.norm(rows))], dim=1)
        keys, values = self._projected(together.flatten(0, 1), together.shape[1], slice(1, 3))
        (queries,) = self._projected(tokens, 1, slice(1))
        attended = attend_slots(queries, keys, values, pad(mask, (1, 0)))
        return self._joined(tokens, attended.flatten(0, 1))

    def _heads(self, dense: Tensor) -> Tensor:
        """(jets, slots, width) to (jets, heads, slots, width / heads)."""
        return dense.reshape(*dense.shape[:2], self.heads, dense.shape[2] // self.heads).transpose(1, 2)
