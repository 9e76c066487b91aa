"""Pairs of particles and attention in padded jets, in the form that is exported.

Belongs here: which pairs a dense block has, what is computed of them as a bias of attention, and attention itself, in
operations that ONNX has. Does not belong here: training and evaluation, which see real particles only
(`jet_blocks.py`, `attention.py`), and the layers (`blocks.py`, `pair_embedding.py`).

A pair is embedded once and stands for both of its orders. No particle attends to a slot without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jec_assets.models.particle_transformer.jet_blocks import NEVER
from jec_assets.models.particle_transformer.pair_features import pair_features

if TYPE_CHECKING:
    from jec_assets.models.slots import Slots


class SlotPairs:
    """The pairs of slots (i, j) with j <= i of each jet: (0, 0), (1, 0), (1, 1), (2, 0) and so on."""

    def __init__(self, slots: Slots) -> None:
        self._jets, self._slots = slots.real.shape[:2]
        self._numbers = torch.arange(self._slots, device=slots.real.device)
        self.mask = torch.where(slots.real, 0.0, NEVER).reshape(1, self._jets, 1, self._slots)

    def features(self, momenta: Tensor) -> Tensor:
        """`pair_features` of all pairs, (jets x pairs, 4), from momenta (7, jets x slots)."""
        ordered = self._numbers.unsqueeze(1) >= self._numbers
        first, second = ordered.nonzero().unbind(1)
        start = self._slots * torch.arange(self._jets, device=first.device).unsqueeze(1)
        return pair_features(momenta, (start + first).flatten(), (start + second).flatten())

    def biases(self, pairs: Tensor) -> Tensor:
        """Numbers per pair and head, (jets x pairs, heads), as summands of attention's logits.

        (heads, jets, slots, slots).
        """
        heads, column = pairs.shape[1], self._numbers.unsqueeze(1)
        later, earlier = torch.maximum(column, self._numbers), torch.minimum(column, self._numbers)
        places = (later * (later + 1) // 2 + earlier).flatten()
        of_pairs = pairs.reshape(self._jets, -1, heads).permute(2, 0, 1).index_select(2, places)
        return of_pairs.reshape(heads, self._jets, self._slots, self._slots) + self.mask


def attend_slots(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """softmax(queries keys^T + bias) values, (jets, rows of queries, heads x dimensions).

    queries, keys, values: (heads, jets, rows, dimensions); queries are scaled already.
    """
    weights = (torch.matmul(queries, keys.transpose(2, 3)) + bias).softmax(dim=3)
    return torch.matmul(weights, values).permute(1, 2, 0, 3).flatten(2)
