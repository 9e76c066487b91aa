"""The losses that networks minimize, jet by jet, and the one by which all are ranked.

Source of the common part: paper, Eq. 1: L = 1/N sum_i |y_i - yhat_i| I(|y_i| < 1), with y = log(genJetPt / jetPt).
Every loss has its indicator: jets outside carry no loss, yet count in N.

Each output's loss has slope 1 far from the target (a quantile's between 0.32 and 1.68), so that a learning rate means
much the same for all. Trials are ranked
by `calibration_loss` of the prediction whatever they minimize: other losses' values cannot be compared.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import smooth_l1_loss, softplus

from jec_assets.models.outputs import QUANTILE_LEVELS
from jec_assets.training.config import MAX_ABS_TARGET

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from jec_assets.training.config import LossName

# Where the Huber and log-cosh losses turn from a parabola to a line: about the resolution of a jet.
CORE_WIDTH = 0.1


def calibration_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error without the jets whose |target| is 1 or more; prediction and target (jets,), result ().

    A target or prediction that is not finite, of whichever jet, gives a loss that is not finite.
    """
    return jet_losses("absolute", prediction.unsqueeze(1), target).mean()


def jet_losses(name: LossName, outputs: Tensor, target: Tensor) -> Tensor:
    """The loss of each jet, (jets,), from a network's outputs (jets, outputs) and targets (jets,)."""
    formulas: dict[LossName, Callable[[Tensor, Tensor], Tensor]] = {
        "absolute": _absolute,
        "quantile": _quantile,
        "huber": _huber,
        "log_cosh": _log_cosh,
    }
    return formulas[name](outputs, target) * (target.abs() < MAX_ABS_TARGET)


def _absolute(outputs: Tensor, target: Tensor) -> Tensor:
    return (target - outputs[:, 0]).abs()


def _quantile(outputs: Tensor, target: Tensor) -> Tensor:
    """Twice the sum over quantiles tau of rho_tau(u) = u (tau - I(u < 0)), u = y - yhat_tau.

    Source: R. Koenker, G. Bassett, Regression Quantiles, Econometrica 46 (1978) 33. Twice the median's part is the
    absolute error.
    """
    residuals = target.unsqueeze(1) - outputs
    # Level by level: a tensor of levels would have to be sent to a GPU, which waits for it.
    parts = [torch.maximum(tau * u, (tau - 1) * u) for tau, u in zip(QUANTILE_LEVELS, residuals.unbind(1), strict=True)]
    return 2 * torch.stack(parts).sum(0)


def _huber(outputs: Tensor, target: Tensor) -> Tensor:
    """u^2 / (2 w) for |u| < w, else |u| - w / 2, with u = y - yhat and w = CORE_WIDTH.

    Source: P. J. Huber, Robust Estimation of a Location Parameter, Ann. Math. Statist. 35 (1964) 73, divided by w.
    """
    return smooth_l1_loss(outputs[:, 0], target, reduction="none", beta=CORE_WIDTH)


def _log_cosh(outputs: Tensor, target: Tensor) -> Tensor:
    """w log cosh(u / w), with u = y - yhat and w = CORE_WIDTH.

    Source: R. A. Saleh, A. K. Md. E. Saleh, arXiv:2208.04564, Eq. 1, scaled to the width w. Written as
    |x| + log(1 + exp(-2 |x|)) - log 2, which never overflows.
    """
    distance = (target - outputs[:, 0]).abs() / CORE_WIDTH
    return CORE_WIDTH * (distance + softplus(-2 * distance) - math.log(2))
