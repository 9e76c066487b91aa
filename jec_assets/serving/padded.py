"""The network as the exporter wants it: a module whose `forward` takes padded jets.

Belongs here: that one adapter, in a module of its own since it needs torch when it is defined. Does not belong here:
anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from jec_assets.models.network import JetNetwork


class PaddedNetwork(nn.Module):
    """`forward` is the network's `forward_padded`; the argument names are those of the exported inputs."""

    def __init__(self, network: JetNetwork) -> None:
        super().__init__()
        self.network: JetNetwork = network

    def forward(self, particles: Tensor, particle_count: Tensor, jets: Tensor) -> Tensor:
        """See `JetNetwork.forward_padded`."""
        return self.network.forward_padded(particles, particle_count, jets)
