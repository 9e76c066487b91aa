"""The processes that train one network together, as far as networks and the loop need to know of them.

Belongs here: which process this is, and sums over all of them. Does not belong here: how processes are started and find
each other (`jec_assets.training.launch`), and which jets each of them gets (`jec_assets.training.loader`).

The processes are those of torch.distributed's default group. Where none was initialized there is one process, and
nothing here costs or changes anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed

if TYPE_CHECKING:
    from torch.autograd.function import BackwardCFunction


class ProcessLostError(RuntimeError):
    """Another process ended, or can no longer be reached: this one cannot go on alone."""


def rank() -> int:
    """This process's number, from 0 on."""
    return distributed.get_rank() if _joined() else 0


def size() -> int:
    """How many processes there are."""
    return distributed.get_world_size() if _joined() else 1


def sum_over_processes(tensor: Tensor) -> Tensor:
    """The sum of the processes' tensors, of equal shapes; the same bits in every process, the tensor itself for one.

    Differentiable: with the loss summed over the processes too, the gradient of a summand is the sum of the
    processes' gradients of the sum. All processes must call it equally often and in the same order, forward and
    backward; otherwise they wait for each other until the group's time is up. Raises ProcessLostError.
    """
    if size() == 1:
        return tensor
    summed: Tensor = _Sum.apply(tensor)  # type: ignore[no-untyped-call]
    return summed


@torch.no_grad()
def place(rows: int, like: Tensor) -> tuple[int, int]:
    """Where this process's rows begin among those of all processes in the order of their numbers, and how many rows
    there are in all. `like` is any tensor on the device that the group speaks by."""
    if size() == 1:
        return 0, rows
    counts = like.new_zeros(size(), dtype=torch.int64)
    counts[rank()] = rows
    each: list[int] = sum_over_processes(counts).tolist()
    return sum(each[: rank()]), sum(each)


@dataclass(frozen=True)
class Moments:
    """Of some rows: their number, and mean and (biased) variance of each column."""

    rows: float
    mean: Tensor
    variance: Tensor


@torch.no_grad()
def joined_moments(rows: int, mean: Tensor, variance: Tensor) -> Moments:
    """The moments of all processes' rows from those of each process's own; one that has none gives any finite ones.

    T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance", The American Statistician
    37 (1983) 242. In double precision, where the sums don't cancel.
    """
    mean, variance = mean.double(), variance.double()
    sums, squares = rows * mean, rows * (variance + mean.square())
    count = torch.full_like(mean[:1], rows)
    joined = sum_over_processes(torch.cat([sums, squares, count]))
    total = float(joined[-1])
    joined_mean, mean_square = (joined[:-1] / max(total, 1.0)).chunk(2)
    return Moments(total, joined_mean, (mean_square - joined_mean.square()).clamp(min=0))


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(_: BackwardCFunction, tensor: Tensor) -> Tensor:
        return _all_reduced(tensor)

    @staticmethod
    def backward(_: BackwardCFunction, gradient: Tensor) -> Tensor:
        return _all_reduced(gradient)


def _all_reduced(tensor: Tensor) -> Tensor:
    summed = tensor.detach().clone(memory_format=torch.contiguous_format)
    try:
        distributed.all_reduce(summed)
    except RuntimeError as error:  # what gloo raises has no class of its own
        raise ProcessLostError(f"process {rank()} of {size()} lost another one: {error}") from error
    return summed


def _joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()
