"""How large a network is, beside how good it is.

Belongs here: the rows of the paper's Table 3. Does not belong here: counting (`jec_assets.models.complexity`) and
timing (`jec_assets.serving`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jec_assets.models.saving import NetworkDescription

PUBLISHED_PARTICLES = 100  # particles per jet in the published count of multiply-accumulates


@dataclass(frozen=True)
class Complexity:
    """One network. macs: multiply-accumulates per jet of 100 particles in the published convention."""

    family: str
    loss: float
    parameters: int
    macs: int


def complexity(description: NetworkDescription, parameters: int, loss: float) -> Complexity:
    """A network's row; `parameters` are its trainable ones, `loss` is the one on the test set."""
    macs = description.hyperparameters.macs(description.inputs, PUBLISHED_PARTICLES)
    return Complexity(description.family, loss, parameters, macs)
