"""The network as the exporter wants it: a module whose `forward` takes padded jets and gives what is served.

Belongs here: that one adapter, in a module of its own since it needs torch when it is defined. Does not belong here:
anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from jec_assets.models.outputs import uncrossed

if TYPE_CHECKING:
    from jec_assets.models.network import JetNetwork


class PaddedNetwork(nn.Module):
    """`forward` is the network's `forward_padded`; arguments and results are the inputs and outputs of `tensors.py`."""

    def __init__(self, network: JetNetwork) -> None:
        super().__init__()
        self.network: JetNetwork = network

    def forward(self, particles: Tensor, particle_count: Tensor, jets: Tensor) -> tuple[Tensor, ...]:
        """The prediction, (jets, 1); then the quantiles, if it has any, (jets, 2)."""
        outputs = uncrossed(self.network.forward_padded(particles, particle_count, jets))
        return (outputs,) if self.network.outputs == 1 else (outputs[:, :1], outputs[:, 1:])
