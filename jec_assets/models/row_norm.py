"""Batch normalization of rows, such as particles, by the moments of the whole batch, whoever holds its parts.

Belongs here: the layer, its derivative over several processes, and how it is folded into a layer beside it. Does not
belong here: batch normalization on edges, which is woven into what is computed there (`edge_training.py`).

S. Ioffe, C. Szegedy, "Batch normalization", arXiv:1502.03167, Section 3. Over several processes this is what torch's
SyncBatchNorm does, which refuses tensors on the CPU: its kernels are those of GPUs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from jec_assets.models.group import joined_moments, size, sum_over_processes

if TYPE_CHECKING:
    from torch.autograd.function import BackwardCFunction

    class _Context(BackwardCFunction):
        rows: float


class RowNorm(nn.BatchNorm1d):
    """Batch normalization of rows (rows, units), with fixed moments where a batch has one row and hence no variance.

    In training with several processes the batch is that of all of them, and each must take part in every step.
    """

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, rows: Tensor) -> Tensor:
        """(rows, units) to the same, normalized."""
        if self.training and size() > 1:
            results = _NormOverProcesses.apply(rows, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
            normalized, mean, variance, joined_rows = results
            self.track(mean, variance, joined_rows)
            return normalized  # type: ignore[no-any-return]
        if self.training and len(rows) > 1:
            return super().forward(rows)
        scale, shift = self.folded()
        return rows * scale + shift

    @torch.no_grad()
    def track(self, mean: Tensor, variance: Tensor, rows: float) -> None:
        """Move the fixed moments towards those of a batch of so many rows, whose variance is the biased one.

        Fewer than two rows have no variance, and leave the moments alone.
        """
        if rows < 2:
            return
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (rows / (rows - 1)), self.momentum)
        self.num_batches_tracked += 1

    def folded(self) -> tuple[Tensor, Tensor]:
        """Factor and summand (units,) that normalize by the fixed moments."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale


def folded_linear(
    linear: nn.Linear, before: RowNorm | None = None, after: RowNorm | None = None
) -> tuple[Tensor, Tensor | None]:
    """Weight and bias that do what the normalization `before`, the layer and the normalization `after` do one by one.

    By the fixed moments. Without any normalization they are the layer's own.
    """
    weight: Tensor = linear.weight
    bias: Tensor | None = linear.bias
    if before is not None:
        scale, shift = before.folded()
        moved = weight @ shift
        weight, bias = weight * scale, moved if bias is None else bias + moved
    if after is not None:
        scale, shift = after.folded()
        weight, bias = weight * scale.unsqueeze(1), shift if bias is None else bias * scale + shift
    return weight, bias


class _NormOverProcesses(torch.autograd.Function):
    """gamma z + beta with z = (x - mean) / sigma, then mean and biased variance of the joined rows, and their number.

    With averages over the joined rows and dL/do of the output, dL/dx = gamma / sigma (dL/do - <dL/do> - z <dL/do z>).
    The derivatives by gamma and beta are those of this process's summand of the loss.
    """

    @staticmethod
    def forward(
        ctx: _Context, rows: Tensor, gamma: Tensor, beta: Tensor, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor, float]:
        moments = joined_moments(len(rows), *_own_moments(rows))
        mean, variance = moments.mean.to(gamma.dtype), moments.variance.to(gamma.dtype)
        inverse_sigma = (variance + epsilon).rsqrt()
        normalized = (rows - mean).mul_(inverse_sigma)
        ctx.save_for_backward(normalized, gamma * inverse_sigma)
        ctx.rows = moments.rows
        ctx.mark_non_differentiable(mean, variance)
        return torch.addcmul(beta, normalized, gamma), mean, variance, moments.rows

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        normalized, factor = saved
        own = torch.stack([gradient.sum(0), (gradient * normalized).sum(0)])
        along_beta, along_gamma = (sum_over_processes(own) / max(ctx.rows, 1)).unbind()
        by_rows = torch.addcmul(gradient - along_beta, normalized, along_gamma, value=-1).mul_(factor)
        return by_rows, own[1], own[0], None


def _own_moments(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of this process's rows, (units,) each; 0 without rows."""
    if len(rows) == 0:
        nothing = rows.new_zeros(rows.shape[1])
        return nothing, nothing
    # The pass that torch's own batch normalization begins with.
    mean, variance = torch.batch_norm_update_stats(rows, None, None, 0.0)
    return mean, variance
