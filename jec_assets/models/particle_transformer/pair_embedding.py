"""From what a pair of particles looks like to a number per head of attention.

H. Qu, C. Li, S. Qian, arXiv:2202.03772, Section 4: "particle interaction embedding". Belongs here: the layers on pairs.
Does not belong here: their inputs (`pair_features.py`).
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

from torch import Tensor, nn
from torch.nn.functional import gelu

from jec_assets.models.complexity import PAIR_FEATURES
from jec_assets.models.row_norm import RowNorm

if TYPE_CHECKING:
    from collections.abc import Sequence


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
        rows: Tensor = self.norms[0](features)
        for layer, norm in zip(self.linears, self.norms[1:], strict=True):
            rows = gelu(norm(layer(rows)))
        return rows.T
