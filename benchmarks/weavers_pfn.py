"""The published PFN in the form of weaver-core's networks, as a peer of ours.

Belongs here: the network. weaver-core has no PFN of its own; its authors' is a stack of one-wide convolutions over all
slots, a sum over those that the mask leaves, and a head (jet-universe/particle_transformer, networks/example_PFN.py).
Does not belong here: what is compared.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.jets import JET_FEATURES, PARTICLE_FEATURES

PHI, HEAD, DROPOUT = (50,) * 5, (400,) * 3, 0.00945


class WeaversPFN(nn.Module):
    """phi on every slot, the sum over real ones, the head on it and the jet's features."""

    def __init__(self) -> None:
        super().__init__()
        phi: list[nn.Module] = []
        for width, units in zip((PARTICLE_FEATURES, *PHI), PHI, strict=False):
            phi += [nn.Conv1d(width, units, kernel_size=1), nn.ReLU()]
        head: list[nn.Module] = []
        for width, units in zip((PHI[-1] + JET_FEATURES, *HEAD), HEAD, strict=False):
            head += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(DROPOUT)]
        self.phi, self.head = nn.Sequential(*phi), nn.Sequential(*head, nn.Linear(HEAD[-1], 1))

    def forward(self, particles: Tensor, mask: Tensor, jets: Tensor) -> Tensor:
        """Outputs (jets, 1) of (jets, features, slots), the mask of real particles, and jet features."""
        sums = (self.phi(particles) * mask).sum(dim=2)
        output: Tensor = self.head(torch.cat([sums, jets], dim=1))
        return output
