"""The search space of each family, declared.

Belongs here: which hyperparameters are searched, in which ranges, and the known optimum that every search begins
with. Does not belong here: drawing from a space (`sampler.py`).

Source: paper, Section 4.1 (spaces) and Table 2 (optima). The optimum of the network itself stands with its family in
`jec_assets.models.families`. ParT: ranges of learning rate and optimizer as in D. Merk, "Hyperparameter optimization
for jet tagging" (University of Amsterdam, 2022), the optimum as in H. Qu, C. Li, S. Qian, arXiv:2202.03772, Section
5.1; the ranges around the published architecture are this project's choice, and so is all of the PFN committee's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.models.families import UnknownFamilyError
from jec_assets.training.config import OPTIMIZERS, Optimization, OptimizerName

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class OneOf:
    """Each value with the same probability."""

    values: tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True)
class Uniform:
    """Any number from low to high, uniform on a linear scale."""

    low: float
    high: float


DROPOUT = Uniform(0.0, 0.5)
LEARNING_RATE = Uniform(1e-5, 1e-2)


@dataclass(frozen=True)
class SearchSpace:
    """What is searched for one family.

    network: a range for each of the family's hyperparameters, by name. optimum: how the known one was trained; of it
    every trial takes what is not searched (schedule, clipping, averaging). learning_rate, optimizers: what is.
    epochs_factor: epochs for each one of the study, for a family that needs more of them and pays less for each.
    """

    network: Mapping[str, OneOf | Uniform]
    optimum: Optimization
    learning_rate: Uniform = LEARNING_RATE
    optimizers: tuple[OptimizerName, ...] = OPTIMIZERS
    epochs_factor: int = 1


SPACES: dict[str, SearchSpace] = {
    "pfn": SearchSpace(
        network={
            "phi_layers": OneOf((1, 2, 3, 4, 5)),
            "phi_units": OneOf((50, 100, 200, 400)),
            "head_layers": OneOf((1, 2, 3, 4, 5)),
            "head_units": OneOf((50, 100, 200, 400)),
            "dropout": DROPOUT,
        },
        optimum=Optimization("Ranger", 1.08e-3),
    ),
    "particle_net": SearchSpace(
        network={
            "blocks": OneOf((1, 2, 3)),
            "neighbors": OneOf((4, 8, 16)),
            "layers": OneOf((1, 2, 3)),
            "units": OneOf((50, 100, 200)),
            "head_layers": OneOf((1, 2, 3)),
            "head_units": OneOf((50, 100, 200)),
            "dropout": DROPOUT,
        },
        optimum=Optimization("Ranger", 8.72e-3),
    ),
    "pfn_committee": SearchSpace(
        network={
            "members": OneOf((2, 4, 6)),
            "phi_layers": OneOf((2, 3, 4)),
            "phi_units": OneOf((32, 48, 64)),
            "head_layers": OneOf((1, 2, 3)),
            "head_units": OneOf((32, 64, 100)),
            "dropout": Uniform(0.0, 0.2),
        },
        optimum=Optimization("AdamW", 3e-3, "one_cycle", clip_norm=0.1),
        learning_rate=Uniform(1e-3, 1e-2),
        optimizers=("Adam", "AdamW"),
        epochs_factor=3,
    ),
    "particle_transformer": SearchSpace(
        network={
            "blocks": OneOf((2, 4, 8)),
            "class_blocks": OneOf((1, 2)),
            "units": OneOf((64, 128)),
            "heads": OneOf((4, 8)),
            "pair_layers": OneOf((1, 2, 3)),
            "pair_units": OneOf((32, 64)),
            "head_layers": OneOf((1, 2, 3)),
            "head_units": OneOf((50, 100, 200)),
            "dropout": Uniform(0.0, 0.2),
        },
        optimum=Optimization("Ranger", 1e-3),
        learning_rate=Uniform(5e-4, 1.5e-3),
        optimizers=("Adam", "AdamW", "Ranger"),
    ),
}


def space_of(family: str) -> SearchSpace:
    """The family's space; UnknownFamilyError, with the families that have one, if it has none."""
    try:
        return SPACES[family]
    except KeyError:
        raise UnknownFamilyError(f"no search space for family {family!r}: choose from {', '.join(SPACES)}") from None
