"""Batches of tensors from packed jets.

Belongs here: the order in which a training sees its jets, where batches begin and end, and their way to the device.
Does not belong here: standardization, which is the network's own.

Jets are shuffled globally: any two jets may meet in a batch. The order depends on the seed and the epoch alone, so an
epoch can be repeated or resumed without those before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from jec_assets.training.faults import TooFewJetsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from jec_assets.jets.packed import PackedJets


@dataclass(frozen=True)
class Batch:
    """The tensors of some jets: as `PackedJets`, on one device."""

    particles: Tensor
    offsets: Tensor
    jets: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.target)


def choose_device() -> torch.device:
    """The GPU where torch has one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_batch(jets: PackedJets, device: torch.device) -> Batch:
    """The jets as tensors; on the CPU they share the arrays' memory, so the arrays must be writable."""
    arrays = (jets.particles, jets.offsets, jets.jets, jets.target)
    return Batch(*(torch.from_numpy(array).to(device, non_blocking=True) for array in arrays))


def shuffled_order(jets: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """A permutation of the jets' indices, int64 (jets,), that depends on its arguments alone."""
    return np.random.default_rng([seed, epoch]).permutation(jets)


def batch_bounds(jets: int, batch_size: int) -> NDArray[np.int64]:
    """Where batches begin and end: batch i is bounds[i] to bounds[i + 1] (half-open); int64 (batches + 1,).

    No jet is left out, and the sizes differ by one at most: a short last batch would weigh its jets more than others,
    and a batch of one jet with one particle has no variance for BatchNorm. So each batch has at most `batch_size`
    jets, but always at least two (three where an odd number of jets meets a batch size of 2). At least two jets.
    """
    if jets < 2:
        raise TooFewJetsError(f"training needs at least two jets, got {jets}: add files or loosen the selection")
    batches = min(-(-jets // batch_size), jets // 2)
    return np.arange(batches + 1) * jets // batches


class ShuffledBatches:
    """The batches of each epoch."""

    def __init__(self, jets: PackedJets, batch_size: int, seed: int, device: torch.device) -> None:
        self._jets = jets
        self._seed = seed
        self._device = device
        self._bounds = batch_bounds(len(jets), batch_size)

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """All jets once, in the epoch's own order."""
        order = shuffled_order(len(self._jets), self._seed, epoch)
        for start, stop in zip(self._bounds[:-1], self._bounds[1:], strict=True):
            yield to_batch(self._jets.take(order[start:stop]), self._device)
