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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.models.particle_transformer.jet_blocks import JetBlocks

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

    def _heads(self, dense: Tensor) -> Tensor:
        """(jets, slots, width) to (jets, heads, slots, width / heads)."""
        return dense.reshape(*dense.shape[:2], self.heads, dense.shape[2] // self.heads).transpose(1, 2)
