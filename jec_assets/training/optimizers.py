"""The five optimizers of the search space (paper, Section 4.1), with the parameters that are not searched.

All but Ranger are torch's, with torch's defaults. Ranger is LookAhead (k = 6, alpha = 0.5) around RAdam (beta 0.95 and
0.999, epsilon 1e-5), as the paper gives it in Section 5.1: torch's RAdam inside pytorch-optimizer's LookAhead.
pytorch-optimizer's own class of that name is another algorithm, it centralizes gradients.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch.nn import Parameter
    from torch.optim import Optimizer

    from jec_assets.training.config import OptimizerName

RANGER_BETAS = (0.95, 0.999)
RANGER_EPSILON = 1e-5
LOOKAHEAD_STEPS = 6
LOOKAHEAD_ALPHA = 0.5


def make_optimizer(name: OptimizerName, parameters: Iterable[Parameter], learning_rate: float) -> Optimizer:
    """The named optimizer at its initial learning rate."""
    makers: dict[OptimizerName, Callable[[Iterable[Parameter], float], Optimizer]] = {
        "AdaGrad": torch.optim.Adagrad,
        # Fused: one pass over weights and moments instead of a dozen.
        "Adam": partial(torch.optim.Adam, fused=True),
        "AdamW": partial(torch.optim.AdamW, fused=True),
        "Ranger": _ranger,
        "RMSProp": torch.optim.RMSprop,
    }
    return makers[name](parameters, learning_rate)


def set_learning_rate(optimizer: Optimizer, learning_rate: float) -> None:
    """Set the rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def _ranger(parameters: Iterable[Parameter], learning_rate: float) -> Optimizer:
    from pytorch_optimizer import Lookahead

    inner = torch.optim.RAdam(parameters, learning_rate, betas=RANGER_BETAS, eps=RANGER_EPSILON)
    optimizer: Optimizer = Lookahead(inner, k=LOOKAHEAD_STEPS, alpha=LOOKAHEAD_ALPHA, pullback_momentum="none")
    return optimizer
