"""Particle flow network: a sum over particles (Deep Sets).

P. T. Komiske, E. M. Metodiev, J. Thaler, "Energy flow networks: deep sets for particle jets", arXiv:1810.05165,
Eq. 1.4, with the jet's own features joined to the sum as in the JEC study. On a CPU the particles' part is computed by
`particle_sums.py`, on an accelerator, whose kernels want all particles at once, by torch's layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from jec_assets.models.network import JetNetwork, head
from jec_assets.models.particle_sums import particle_sums
from jec_assets.models.segments import segment_sum
from jec_assets.models.slots import Slots

if TYPE_CHECKING:
    from jec_assets.models.hyperparameters import PFNHyperparameters
    from jec_assets.models.inputs import NetworkInputs


class PFN(JetNetwork):
    """phi on every particle, the sum over the jet's particles, then the head on the sum and the jet's features."""

    def __init__(self, hyperparameters: PFNHyperparameters, inputs: NetworkInputs, outputs: int) -> None:
        super().__init__(inputs, outputs)
        units = hyperparameters.phi_units
        layers: list[nn.Module] = []
        for width in (inputs.particle_features, *[units] * (hyperparameters.phi_layers - 1)):
            layers += [nn.Linear(width, units), nn.ReLU()]
        self.phi = nn.Sequential(*layers)
        self.head = head(
            (units + inputs.jet_features, outputs),
            hyperparameters.head_layers,
            hyperparameters.head_units,
            hyperparameters.dropout,
        )

    def forward(self, particles: Tensor, offsets: Tensor, jets: Tensor) -> Tensor:
        """See `JetNetwork.forward`."""
        rows = self.standardize_particles(particles)
        if rows.device.type == "cpu":
            return self._from_sums(particle_sums(rows, offsets, *self._weights_and_biases()), jets)
        return self._from_sums(segment_sum(self.phi(rows), offsets), jets)

    def forward_padded(self, particles: Tensor, particle_count: Tensor, jets: Tensor) -> Tensor:
        """See `JetNetwork.forward_padded`."""
        slots = Slots(particles, particle_count)
        embedded = self.phi(self.standardize_particles(slots.rows()))
        return self._from_sums(slots.sum(embedded), jets)

    def _weights_and_biases(self) -> tuple[list[Tensor], list[Tensor]]:
        linears = [layer for layer in self.phi if isinstance(layer, nn.Linear)]
        return [linear.weight for linear in linears], [linear.bias for linear in linears]

    def _from_sums(self, summed: Tensor, jets: Tensor) -> Tensor:
        output: Tensor = self.head(torch.cat([summed, self.standardize_jets(jets)], dim=1))
        return output
