"""Dropout that costs little beside the layers it stands between.

Belongs here: drawing what is dropped. Does not belong here: where it is dropped.

N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014) 1929.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

BITS = 16  # random bits per number: on a CPU the probability is a multiple of 2^-16


class Dropout(nn.Dropout):
    """As torch's; on a CPU the draws are raw random bits, of which torch's generator gives four numbers' at once."""

    def forward(self, rows: Tensor) -> Tensor:
        """Any shape to the same: zeros with probability p, the others divided by 1 - p; in evaluation as they are."""
        if not self.training or self.p == 0 or rows.device.type != "cpu":
            return super().forward(rows)
        return rows * kept(rows, self.p)


def kept(rows: Tensor, p: float) -> Tensor:
    """0 with probability p and else 1 / (1 - p), of the shape and type of `rows`, which are on a CPU."""
    bits = torch.empty((rows.numel() + 3) // 4, dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
    numbers = bits.view(torch.int16)[: rows.numel()].view(rows.shape)
    # Cut to the two values at the threshold, which takes a fraction of the time of comparing and choosing.
    threshold = round(p * 2**BITS) - 2 ** (BITS - 1)
    ones = numbers.clamp_(threshold - 1, threshold).sub_(threshold - 1)
    return ones.to(rows.dtype).mul_(1 / (1 - p))
