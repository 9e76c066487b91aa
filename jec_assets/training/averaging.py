"""The exponential moving average of a network's weights.

Belongs here: the average and its decay. Does not belong here: when it is validated and kept (`loop.py`).

Source: B. T. Polyak, A. B. Juditsky, Acceleration of Stochastic Approximation by Averaging, SIAM J. Control Optim. 30
(1992) 838, with exponential weights: average_n = d_n average_(n-1) + (1 - d_n) weights_n.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim.swa_utils import PARAM_LIST

    from jec_assets.models.network import JetNetwork


def decay_at(decay: float, averaged: int) -> float:
    """d_n after `averaged` steps: (1 + n) / (10 + n), until that reaches `decay`.

    Else the random weights of the beginning would still be in the average after a short training.
    """
    return min(decay, (1 + averaged) / (10 + averaged))


class AveragedNetwork(AveragedModel):
    """A network's average, `network`: weights, and buffers such as BatchNorm's moments; on the network's device."""

    def __init__(self, network: JetNetwork, decay: float) -> None:
        super().__init__(network, multi_avg_fn=self._blend, use_buffers=True)
        self._decay = decay

    @property
    def network(self) -> JetNetwork:
        """The averaged network, to be evaluated."""
        return cast("JetNetwork", self.module)

    def _blend(self, average: PARAM_LIST, current: PARAM_LIST, _: Tensor | int) -> None:
        # The count as handed over lies on the network's device: to read it there would make a GPU wait.
        blend = get_ema_multi_avg_fn(decay_at(self._decay, int(self.n_averaged)))  # type: ignore[no-untyped-call]
        blend(average, current, self.n_averaged)
