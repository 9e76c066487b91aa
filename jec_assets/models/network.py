"""What every network is to the rest of the project: jets in, a few numbers per jet out.

Belongs here: the base class, standardization inside the network, the head that all families share. Does not belong
here: what a family does with its particles.

Every network is computed in two ways with the same weights. `forward` takes packed jets (see `jec_assets.jets.packed`)
and computes real particles only: training and evaluation. `forward_padded` takes a dense array and the number of
particles: what is exported and served. Padding never enters an output, whatever it holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from jec_assets.models.dropout import Dropout
from jec_assets.models.inputs import Standardization

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.models.inputs import NetworkInputs

# Standardized features beyond this are set to it. Wide enough for every log pT of the LHC: only what is broken or
# pathological is clipped, so that it cannot throw the network anywhere.
CLIP = 10.0


# On a CPU, torch runs at full speed along long rows only: so many rows of features are standardized as one.
ROWS_ABREAST = 16


class Standardizer(nn.Module):
    """(features - center) / scale, clipped to +-CLIP; its constants are buffers, so they travel with the weights."""

    center: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def forward(self, features: Tensor) -> Tensor:
        """(..., features) in physical units to the same shape, standardized."""
        if features.device.type != "cpu" or features.requires_grad or torch.compiler.is_exporting():
            return _standardized(features, self.center, self.scale)
        rows = features.unsqueeze(0).flatten(0, -2)
        even = len(rows) // ROWS_ABREAST * ROWS_ABREAST
        abreast = rows[:even].reshape(even // ROWS_ABREAST, ROWS_ABREAST * rows.shape[1])
        result = torch.empty_like(rows)
        center, scale = self.center.repeat(ROWS_ABREAST), self.scale.repeat(ROWS_ABREAST)
        _standardized(abreast, center, scale, out=result[:even].view_as(abreast))
        _standardized(rows[even:], self.center, self.scale, out=result[even:])
        return result.view_as(features)

    def set(self, center: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
        """Take over these constants; ValueError if there are not as many as features, or a scale is not positive."""
        if center.shape != self.center.shape or scale.shape != self.scale.shape:
            raise ValueError(f"{len(self.center)} features cannot take {center.shape} centers and {scale.shape} scales")
        if not (np.isfinite(center).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError(f"centers must be finite and scales positive, not {center} and {scale}")
        self.center.copy_(torch.from_numpy(center))
        self.scale.copy_(torch.from_numpy(scale))


def _standardized(features: Tensor, center: Tensor, scale: Tensor, out: Tensor | None = None) -> Tensor:
    return torch.sub(features, center, out=out).div_(scale).clamp_(-CLIP, CLIP)


class JetNetwork(nn.Module, ABC):
    """Base of all networks: predicts the target log(genJetPt / jetPt) of each jet from physical features.

    `outputs`: numbers per jet, of which the first is the prediction; others, if any, are quantiles of the target (see
    `jec_assets.models.outputs`).

    Standardization is the identity until `set_standardization`; it is inside so that whoever calls the network, a
    client of the server too, passes what the feature set says and nothing else.
    """

    # Of padded jets, computed at a time in what is exported: what is between two layers of these fits a core's cache.
    slots_at_once = 1024

    def __init__(self, inputs: NetworkInputs, outputs: int) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        self.standardize_particles = Standardizer(inputs.particle_features)
        self.standardize_jets = Standardizer(inputs.jet_features)

    @abstractmethod
    def forward(self, particles: Tensor, offsets: Tensor, jets: Tensor) -> Tensor:
        """Outputs for packed jets, (jets, outputs).

        particles: (all particles, particle features), offsets: int64 (jets + 1,), jets: (jets, jet features).
        """

    @abstractmethod
    def forward_padded(self, particles: Tensor, particle_count: Tensor, jets: Tensor) -> Tensor:
        """Outputs for padded jets, (jets, outputs); equal to `forward` up to rounding.

        particles: (jets, slots, particle features), of which the first `particle_count`, int64 (jets, 1), are real and
        the others may hold anything, NaN too; jets: (jets, jet features). A jet without particles is an empty sum.
        """

    @property
    def standardization(self) -> Standardization:
        """The constants in use."""
        particles, jets = self.standardize_particles, self.standardize_jets
        constants = (particles.center, particles.scale, jets.center, jets.scale)
        return Standardization(*(constant.cpu().numpy().copy() for constant in constants))

    def set_standardization(self, standardization: Standardization) -> None:
        """Take over constants; ValueError if they don't fit the inputs."""
        self.standardize_particles.set(standardization.particle_center, standardization.particle_scale)
        self.standardize_jets.set(standardization.jet_center, standardization.jet_scale)

    @property
    def parameter_count(self) -> int:
        """Number of trained weights."""
        return sum(parameter.numel() for parameter in self.parameters())


def head(widths: tuple[int, int], layers: int, units: int, dropout: float) -> nn.Sequential:
    """The part behind the particles, from and to `widths`: `layers` x (linear, ReLU, dropout), then a linear layer."""
    width, outputs = widths
    modules: list[nn.Module] = []
    for _ in range(layers):
        modules += [nn.Linear(width, units), nn.ReLU(), Dropout(dropout)]
        width = units
    return nn.Sequential(*modules, nn.Linear(width, outputs))
