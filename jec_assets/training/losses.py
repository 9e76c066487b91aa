"""The loss that networks minimize and by which trials are ranked.

Source: paper, Eq. 1: L = 1/N sum_i |y_i - yhat_i| I(|y_i| < 1), with y = log(genJetPt / jetPt).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MAX_ABS_TARGET = 1.0


def calibration_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error without the jets whose |target| is 1 or more; prediction and target (jets,), result ().

    Jets outside carry no loss, yet count in the denominator. A target or prediction that is not finite, of whichever
    jet, gives a loss that is not finite.
    """
    return ((target - prediction).abs() * (target.abs() < MAX_ABS_TARGET)).mean()
