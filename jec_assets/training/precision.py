"""In which numbers a network's products are computed while it trains.

Belongs here: the choice by device, autocast and the scaling of float16's losses. Does not belong here: evaluation,
which is always in float32, as are weights, losses and sums of gradients.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor
    from torch.optim import Optimizer

    from jec_assets.training.config import PrecisionName

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_dtype(precision: PrecisionName, device: torch.device) -> torch.dtype:
    """The named numbers; for `auto` bfloat16 on a GPU that computes in it, else float32."""
    if precision != "auto":
        return DTYPES[precision]
    # Emulated, it is slower than float32.
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float32


class MixedPrecision:
    """Products in one kind of number, weights and losses in float32.

    Gradients of float16 are scaled, since it ends at 6e-8; a step whose scaled gradients overflow is left out, and the
    scale is lowered. Source: P. Micikevicius et al., Mixed Precision Training, arXiv:1710.03740, Section 3.2.
    """

    def __init__(self, precision: PrecisionName, device: torch.device) -> None:
        self.dtype = choose_dtype(precision, device)
        self._device = device.type
        self._scaler = torch.amp.GradScaler(self._device, enabled=self.dtype == torch.float16)

    @property
    def leaves_out_steps(self) -> bool:
        """Whether gradients are scaled, so that one that is not finite only leaves out its step."""
        return self._scaler.is_enabled()

    def autocast(self) -> AbstractContextManager[object]:
        """Where the network computes."""
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(self._device, self.dtype)

    def backward(self, loss: Tensor) -> None:
        """Leave the gradients, scaled, in the weights."""
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def unscale(self, optimizer: Optimizer) -> None:
        """Give the gradients their true scale."""
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: Optimizer) -> None:
        """Move the weights by gradients that were unscaled, unless they overflowed."""
        self._scaler.step(optimizer)
        self._scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """The scale and what it goes by; empty where nothing is scaled."""
        return self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._scaler.load_state_dict(state)
