"""Batches of tensors from labeled jets.

Belongs here: gathering the jets of each step, their way to the device, and how much of a memory-mapped data set is held
in memory meanwhile. Does not belong here: the order (`order.py`) and standardization, which is the network's own.

Jets may be memory-mapped and larger than memory. About `BatchPlan.window_bytes` of them are in memory at a time: the
system is told to read a window before it is needed, and its pages are let go when the next one begins.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from jec_assets.jets.arrays import release, will_need
from jec_assets.training.order import BLOCK_JETS, EpochOrder, batch_bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from jec_assets.jets.labels import LabeledJets

Step = TypeVar("Step")
Result = TypeVar("Result")

# Batches that each worker may be ahead.
AHEAD = 2


class BatchPlanError(ValueError):
    """A plan that cannot be carried out; the message names the field."""


@dataclass(frozen=True)
class Share:
    """The part of every batch that belongs to process `rank` of `size`."""

    rank: int
    size: int

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise BatchPlanError(f"rank {self.rank} is not one of {self.size} processes: count from 0")

    def of(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process's contiguous part; all parts together are the whole, and their sizes differ by one at most."""
        start, stop = (place * len(indices) // self.size for place in (self.rank, self.rank + 1))
        return indices[start:stop]


@dataclass(frozen=True)
class BatchPlan:
    """How jets become batches.

    batch_size: jets of a step at most, over all processes; see `order.batch_bounds`
    seed: of the order and of the draws
    sampling: (jets,), the probability with which a jet is drawn, anew each epoch; None: every jet once
    weights: (jets,), of the jets in the loss; None: 1 for all
    workers: threads that gather batches ahead; 0 gathers them when they are asked for. Never changes what is gathered
    share: which part of each batch is this process's
    window_bytes: how much of the data set is in memory at a time, about, if it is memory-mapped
    """

    batch_size: int
    seed: int
    sampling: NDArray[np.floating] | None = None
    weights: NDArray[np.floating] | None = None
    workers: int = 0
    share: Share = Share(0, 1)
    window_bytes: int = 1 << 30

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("workers", 0), ("window_bytes", 1)):
            if getattr(self, name) < least:
                raise BatchPlanError(f"{name} is {getattr(self, name)}, and must be at least {least}")

    def check_for(self, jets: int) -> None:
        """Raise BatchPlanError where sampling or weights are not of so many jets, or are not what they should be."""
        for name, values, most in (
            ("sampling", self.sampling, 1.0),
            ("weights", self.weights, np.finfo(np.float32).max),
        ):
            if values is None:
                continue
            if values.shape != (jets,):
                raise BatchPlanError(f"{name} has the shape {values.shape}, and there are {jets} jets")
            if not np.all((values >= 0) & (values <= most)):
                raise BatchPlanError(f"{name} must be from 0 to {most:.3g}, and not all are: look for NaN or infinity")


@dataclass(frozen=True)
class Batch:
    """The jets of a step that are this process's: tensors as `PackedJets` has arrays, and their targets, on one device.

    weight: float32 (jets,); indices: int64 (jets,), which jets of the data set they are; jets_in_step: how many jets
    the step has over all processes.
    """

    particles: Tensor
    offsets: Tensor
    jets: Tensor
    target: Tensor
    weight: Tensor
    indices: NDArray[np.int64]
    jets_in_step: int

    def __len__(self) -> int:
        return len(self.indices)

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The same jets with each tensor changed."""
        names = ("particles", "offsets", "jets", "target", "weight")
        changed: dict[str, Any] = {name: change(getattr(self, name)) for name in names}
        return replace(self, **changed)


class ShuffledBatches:
    """The batches of each epoch.

    Raises BatchPlanError where the plan does not fit the jets. Any method raises TooFewJetsError where an epoch's jets
    don't make one batch.
    """

    def __init__(self, jets: LabeledJets, plan: BatchPlan, device: torch.device) -> None:
        plan.check_for(len(jets))
        self._jets = jets.packed
        self._target = jets.labels.target
        self._plan = plan
        self._device = device
        self._window_blocks = _window_blocks(self._arrays(), len(jets), plan.window_bytes)
        self._held = 0  # the window in memory; that of a data set of one window stays

    def steps(self, epoch: int) -> int:
        """How many batches the epoch has, the same for every process."""
        return len(self._bounds(self._order(epoch))) - 1

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """The epoch's batches in their order, from number `first_step` (counted from 0) on."""
        order = self._order(epoch)
        for window, batch in _ahead(self._gather, self._steps(order, first_step), self._plan.workers):
            if window != self._held:
                self._release()
                self._held = window
            yield batch.each(lambda tensor: tensor.to(self._device, non_blocking=True))

    def _order(self, epoch: int) -> EpochOrder:
        return EpochOrder(len(self._jets), self._window_blocks, self._plan.seed, epoch, self._plan.sampling)

    def _bounds(self, order: EpochOrder) -> NDArray[np.int64]:
        return batch_bounds(len(order), self._plan.batch_size, self._plan.share.size)

    def _steps(self, order: EpochOrder, first_step: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Window and jets of each step; the system is told of each window while the one before it is used."""
        told = -1
        for window, indices in order.batches(self._bounds(order), first_step):
            for coming in range(max(window, told + 1), min(window + 2, order.windows)):
                self._will_need(order.blocks(coming))
                told = coming
            yield window, indices

    def _gather(self, step: tuple[int, NDArray[np.int64]]) -> tuple[int, Batch]:
        window, indices = step
        own = self._plan.share.of(indices)
        jets, weights = self._jets.take(own), self._plan.weights
        weight = np.ones(len(own), np.float32) if weights is None else weights[own].astype(np.float32)
        arrays = (jets.particles, jets.offsets, jets.jets, self._target[own], weight)
        particles, offsets, features, target, weighted = (torch.from_numpy(array) for array in arrays)
        batch = Batch(particles, offsets, features, target, weighted, own, len(indices))
        # A copy from pinned memory runs beside the computation.
        return window, batch.each(Tensor.pin_memory) if self._device.type == "cuda" else batch

    def _will_need(self, blocks: NDArray[np.int64]) -> None:
        stops = np.minimum(blocks + BLOCK_JETS, len(self._jets))
        will_need(self._jets.particles, self._jets.offsets[blocks], self._jets.offsets[stops])
        for array in (self._jets.offsets, self._jets.jets, self._target):
            will_need(array, blocks, stops)

    def _release(self) -> None:
        for array in self._arrays():
            release(array)

    def _arrays(self) -> list[NDArray[Any]]:
        return [self._jets.particles, self._jets.offsets, self._jets.jets, self._target]


def _window_blocks(arrays: list[NDArray[Any]], jets: int, limit: int) -> int:
    """All blocks, if `limit` bytes hold all jets; else half of what they hold: two windows meet where one ends."""
    size = sum(array.nbytes for array in arrays)
    blocks = max(1, -(-jets // BLOCK_JETS))
    return blocks if size <= limit else max(1, blocks * limit // (2 * size))


def _ahead(work: Callable[[Step], Result], steps: Iterator[Step], workers: int) -> Iterator[Result]:
    """Results of the steps in their order, worked out by threads that are a few steps ahead; by the caller for 0."""
    if workers == 0:
        yield from map(work, steps)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="batches") as pool:
        try:
            for step in steps:
                waiting.append(pool.submit(work, step))
                if len(waiting) > AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
