"""What the numbers are that a network gives for a jet.

Belongs here: their names, in order, and the quantiles that they stand for. Does not belong here: the losses that train
them (`jec_assets.training.losses`).

All are of log(genJetPt / jetPt). The first is always the prediction. With quantiles, it is the median, and half the
distance between the other two is the resolution of that one jet: the core of its response's logarithm, one standard
deviation wide for a normal distribution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

LOG_FACTOR = "log_factor"
LOG_FACTOR_LOW = "log_factor_16"
LOG_FACTOR_HIGH = "log_factor_84"

# The prediction alone.
CALIBRATION = (LOG_FACTOR,)

# The prediction as the median, with the quantiles around it.
QUANTILES = (LOG_FACTOR, LOG_FACTOR_LOW, LOG_FACTOR_HIGH)
QUANTILE_LEVELS = (0.5, 0.16, 0.84)


def uncrossed(outputs: Tensor) -> Tensor:
    """The outputs of a network, (jets, outputs), with the lower quantile never above the median, the upper never below.

    A network learns its quantiles one by one, so those of a jet that it has hardly seen may cross. The prediction is
    never changed: a quantile on its wrong side is set to it. Where quantiles are in order they are left alone.
    """
    if outputs.shape[1] != len(QUANTILES):
        return outputs
    import torch

    median, low, high = outputs.chunk(3, dim=1)
    return torch.cat([median, torch.minimum(low, median), torch.maximum(high, median)], dim=1)
