"""The registry of network families, without torch: what each is called, built from, and was tuned to.

Belongs here: one entry a family. Everything that iterates over families (trials, exports, reports) reads this and has
no list of its own. Does not belong here: the networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.models.hyperparameters import (
    Hyperparameters,
    ParticleNetHyperparameters,
    ParticleTransformerHyperparameters,
    PFNCommitteeHyperparameters,
    PFNHyperparameters,
)

if TYPE_CHECKING:
    from jec_assets.models.inputs import NetworkInputs
    from jec_assets.models.network import JetNetwork


class UnknownFamilyError(LookupError):
    """A family that the registry doesn't have."""


@dataclass(frozen=True)
class Family:
    """A kind of network.

    name: its key in storage, assets and columns. title: as people write it. optimum: the known one, an
    instance of the class of hyperparameters that the family is built from. costly: its training takes hours on a CPU,
    so that only the job `calibration_full` trains it.
    """

    name: str
    title: str
    optimum: Hyperparameters
    costly: bool = False

    @property
    def hyperparameters(self) -> type[Hyperparameters]:
        """The class of this family's hyperparameters."""
        return type(self.optimum)

    def build(self, hyperparameters: Hyperparameters, inputs: NetworkInputs, outputs: int = 1) -> JetNetwork:
        """A network with fresh weights from torch's generator; TypeError for another family's hyperparameters."""
        if not isinstance(hyperparameters, self.hyperparameters):
            raise TypeError(f"{self.name} is built from {self.hyperparameters.__name__}, not {hyperparameters!r}")
        return hyperparameters.build(inputs, outputs)


# Optima of D. Holmberg, D. Golubovic, H. Kirschenmann, "Jet energy calibration with deep learning as a Kubeflow
# pipeline", Section 4. ParT, which that study hasn't tried, as H. Qu, C. Li, S. Qian, arXiv:2202.03772, Section 5.1,
# have it, with ParticleNet's head. The PFN committee is this project's, its optimum too: see
# `benchmarks/beyond_the_paper.py`.
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            "pfn",
            "PFN",
            PFNHyperparameters(phi_layers=5, phi_units=50, head_layers=3, head_units=400, dropout=0.00945),
        ),
        Family(
            "particle_net",
            "ParticleNet",
            ParticleNetHyperparameters(
                blocks=3, neighbors=16, layers=3, units=50, head_layers=3, head_units=200, dropout=0.0116
            ),
        ),
        Family(
            "pfn_committee",
            "PFN committee",
            PFNCommitteeHyperparameters(
                members=4, phi_layers=3, phi_units=48, head_layers=2, head_units=64, dropout=0.0
            ),
        ),
        Family(
            "particle_transformer",
            "ParT",
            ParticleTransformerHyperparameters(
                blocks=8,
                class_blocks=2,
                units=128,
                heads=8,
                pair_layers=3,
                pair_units=64,
                head_layers=3,
                head_units=200,
                dropout=0.1,
            ),
            costly=True,
        ),
    )
}


def family_named(name: str) -> Family:
    """The family of that name; UnknownFamilyError, with the names there are, if there is none."""
    try:
        return FAMILIES[name]
    except KeyError:
        raise UnknownFamilyError(f"there is no family {name!r}: choose from {', '.join(FAMILIES)}") from None
