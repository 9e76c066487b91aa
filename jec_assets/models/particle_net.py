"""ParticleNet: edge convolutions on graphs of nearest neighbors, drawn anew in every block.

H. Qu, L. Gouskos, "ParticleNet: jet tagging via particle clouds", arXiv:1902.08570, Section 3, with the jet's own
features joined behind the mean over particles as in the JEC study. Belongs here: blocks, and how they become a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, relu

from jec_assets.models.complexity import STEM_UNITS
from jec_assets.models.edge_conv import EdgeConv
from jec_assets.models.neighbors import arrangement_of
from jec_assets.models.network import JetNetwork, head
from jec_assets.models.row_norm import RowNorm, folded_linear
from jec_assets.models.segments import segment_mean
from jec_assets.models.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.models.hyperparameters import ParticleNetHyperparameters
    from jec_assets.models.inputs import NetworkInputs


class ParticleNet(JetNetwork):
    """Stem, blocks of EdgeConv, the mean over the jet's particles, then the head on it and the jet's features."""

    slots_at_once = 256

    def __init__(self, hyperparameters: ParticleNetHyperparameters, inputs: NetworkInputs, outputs: int) -> None:
        super().__init__(inputs, outputs)
        units = hyperparameters.units
        self.neighbors, self.units = hyperparameters.neighbors, units
        self.points = list(inputs.points)
        self.stem = nn.Sequential(
            RowNorm(inputs.particle_features),
            nn.Linear(inputs.particle_features, STEM_UNITS, bias=False),
            RowNorm(STEM_UNITS),
            nn.ReLU(),
        )
        widths = (STEM_UNITS, *[units] * (hyperparameters.blocks - 1))
        blocks = nn.ModuleList(EdgeConv(width, units, hyperparameters.layers) for width in widths)
        self.blocks = cast("Sequence[EdgeConv]", blocks)
        self.head = head(
            (units + inputs.jet_features, outputs),
            hyperparameters.head_layers,
            hyperparameters.head_units,
            hyperparameters.dropout,
        )

    def forward(self, particles: Tensor, offsets: Tensor, jets: Tensor) -> Tensor:
        """See `JetNetwork.forward`."""
        arrangement = arrangement_of(offsets, self.neighbors, self.units)
        particles = arrangement.arrange(particles)
        rows = self.stem(self.standardize_particles(particles))
        graph = arrangement.graph_of_points(particles[:, self.points])
        for index, block in enumerate(self.blocks):
            if index:
                graph = arrangement.graph_of_features(rows)
            rows = block(rows, graph)
        means = arrangement.restore(segment_mean(rows, arrangement.offsets))
        return self._from_means(means, jets)

    def forward_padded(self, particles: Tensor, particle_count: Tensor, jets: Tensor) -> Tensor:
        """See `JetNetwork.forward_padded`; for evaluation only, RuntimeError in training."""
        if self.training:
            raise RuntimeError("the padded computation is for evaluation: call eval() first")
        slots = Slots(particles, particle_count, self.neighbors)
        rows = slots.rows()
        neighbors, share = slots.neighbors_of_points(rows[:, self.points])
        first_norm, layer, second_norm, _ = cast("tuple[RowNorm, nn.Linear, RowNorm, nn.ReLU]", self.stem)
        weight, bias = folded_linear(layer, first_norm, second_norm)
        rows = relu(linear(self.standardize_particles(rows), weight, bias))
        for index, block in enumerate(self.blocks):
            if index:
                neighbors, share = slots.neighbors_of_features(rows)
            rows = block.forward_slots(rows, neighbors, share)
        return self._from_means(slots.mean(rows), jets)

    def _from_means(self, means: Tensor, jets: Tensor) -> Tensor:
        output: Tensor = self.head(torch.cat([means, self.standardize_jets(jets)], dim=1))
        return output
