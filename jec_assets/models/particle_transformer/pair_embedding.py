"""From what a pair of particles looks like to a number per head of attention.

H. Qu, C. Li, S. Qian, arXiv:2202.03772, Section 4: "particle interaction embedding". Belongs here: the layers on pairs.
Does not belong here: their inputs (`pair_features.py`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

from jec_assets.models.complexity import PAIR_FEATURES
from jec_assets.models.row_norm import RowNorm, folded_linear

if TYPE_CHECKING:
    from collections.abc import Sequence

EVALUATED_PAIRS = 1 << 15  # embedded at once in evaluation: bounds memory


class PairEmbedding(nn.Module):
    """Normalization of the features, then layers of linear, normalization and GELU, on each pair alike."""

    def __init__(self, units: Sequence[int]) -> None:
        super().__init__()
        widths = (PAIR_FEATURES, *units)
        linears = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.linears = cast("Sequence[nn.Linear]", linears)
        self.norms = cast("Sequence[RowNorm]", nn.ModuleList(map(RowNorm, widths)))

    def forward(self, features: Tensor) -> Tensor:
        """(pairs, 4) to (units of the last layer, pairs)."""
        if self.training:
            return self._embedded(features)
        # With fixed moments pairs are embedded one by one: no need to hold all of them in all layers.
        return torch.cat([self._embedded(part) for part in torch.split(features, EVALUATED_PAIRS)], dim=1)

    def forward_slots(self, features: Tensor) -> Tensor:
        """The same in evaluation with normalizations folded: (pairs, 4) to (pairs, units of the last layer)."""
        rows, before = features, self.norms[0]
        for number, (layer, norm) in enumerate(zip(self.linears, self.norms[1:], strict=True)):
            rows = gelu(linear(rows, *folded_linear(layer, None if number else before, norm)))
        return rows

    def _embedded(self, features: Tensor) -> Tensor:
        rows: Tensor = self.norms[0](features)
        for layer, norm in zip(self.linears, self.norms[1:], strict=True):
            rows = gelu(norm(layer(rows)))
        return rows.T
