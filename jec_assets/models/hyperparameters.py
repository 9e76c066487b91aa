"""Hyperparameters of the network families: what a network is built from, as plain values without torch.

Belongs here: the dataclasses, their ranges and their plain-dict form. Does not belong here: learning rate and
optimizer, which belong to training, and the ranges worth searching (`jec_assets.search`).

Letters are those of D. Holmberg, D. Golubovic, H. Kirschenmann, "Jet energy calibration with deep learning as a
Kubeflow pipeline", Section 4.1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Self

from jec_assets.models.complexity import particle_net_macs, particle_transformer_macs, pfn_committee_macs, pfn_macs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jec_assets.models.inputs import NetworkInputs
    from jec_assets.models.network import JetNetwork


class HyperparameterError(ValueError):
    """Hyperparameters that no network can be built from."""


@dataclass(frozen=True)
class Hyperparameters(ABC):
    """Base of all families' hyperparameters; whole numbers are at least 1, dropout is in [0, 1).

    may_be_zero: names of the whole numbers that may also be 0.
    """

    family: ClassVar[str]
    may_be_zero: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            smallest = 0 if field.name in self.may_be_zero else 1
            if field.type == "int" and (type(value) is not int or value < smallest):
                raise HyperparameterError(
                    f"{field.name} of {self.family} must be a whole number from {smallest} on, not {value!r}"
                )
            if field.type == "float" and not (isinstance(value, int | float) and 0 <= value < 1):
                raise HyperparameterError(f"{field.name} of {self.family} must be in [0, 1), not {value!r}")

    @abstractmethod
    def build(self, inputs: NetworkInputs, outputs: int = 1) -> JetNetwork:
        """A network with so many numbers per jet and fresh weights from torch's global generator."""

    @abstractmethod
    def macs(self, inputs: NetworkInputs, particles: int) -> int:
        """Multiply-accumulates of one jet of so many particles, as the published study counts them."""

    def to_dict(self) -> dict[str, int | float]:
        """Plain values by name, fit for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, int | float]) -> Self:
        """The inverse of `to_dict`; HyperparameterError if a name is missing or unknown."""
        names = {field.name for field in fields(cls)}
        if names != set(values):
            raise HyperparameterError(f"{cls.family} has the hyperparameters {sorted(names)}, not {sorted(values)}")
        return cls(**values)


@dataclass(frozen=True)
class PFNHyperparameters(Hyperparameters):
    """PFN: `phi_layers` N of `phi_units` n per particle, then `head_layers` M of `head_units` m per jet."""

    family: ClassVar[str] = "pfn"

    phi_layers: int
    phi_units: int
    head_layers: int
    head_units: int
    dropout: float

    def build(self, inputs: NetworkInputs, outputs: int = 1) -> JetNetwork:
        """See `Hyperparameters.build`."""
        from jec_assets.models.pfn import PFN

        return PFN(self, inputs, outputs)

    def macs(self, inputs: NetworkInputs, particles: int) -> int:
        """See `Hyperparameters.macs`."""
        return pfn_macs(self, inputs, particles)


@dataclass(frozen=True)
class PFNCommitteeHyperparameters(Hyperparameters):
    """PFN committee: so many `members`, each a PFN of the other hyperparameters."""

    family: ClassVar[str] = "pfn_committee"

    members: int
    phi_layers: int
    phi_units: int
    head_layers: int
    head_units: int
    dropout: float

    def build(self, inputs: NetworkInputs, outputs: int = 1) -> JetNetwork:
        """See `Hyperparameters.build`; MissingFeatureError where the inputs hold no share of pT or no eta."""
        from jec_assets.models.pfn_committee import PFNCommittee

        return PFNCommittee(self, inputs, outputs)

    def macs(self, inputs: NetworkInputs, particles: int) -> int:
        """See `Hyperparameters.macs`."""
        return pfn_committee_macs(self, inputs, particles)


@dataclass(frozen=True)
class ParticleNetHyperparameters(Hyperparameters):
    """ParticleNet: `blocks` E of EdgeConv with `neighbors` k and `layers` N of `units` n; head as in the PFN."""

    family: ClassVar[str] = "particle_net"

    blocks: int
    neighbors: int
    layers: int
    units: int
    head_layers: int
    head_units: int
    dropout: float

    def build(self, inputs: NetworkInputs, outputs: int = 1) -> JetNetwork:
        """See `Hyperparameters.build`."""
        from jec_assets.models.particle_net import ParticleNet

        return ParticleNet(self, inputs, outputs)

    def macs(self, inputs: NetworkInputs, particles: int) -> int:
        """See `Hyperparameters.macs`."""
        return particle_net_macs(self, inputs, particles)


@dataclass(frozen=True)
class ParticleTransformerHyperparameters(Hyperparameters):
    """ParT: `blocks` of attention among particles and `class_blocks` of a token's, `units` wide with `heads`.

    Pairs go through `pair_layers` of `pair_units`, and a layer of one unit a head; head as in the PFN, or as published,
    a linear layer alone, for `head_layers` 0. `dropout` is that of blocks among particles and of the head.
    """

    family: ClassVar[str] = "particle_transformer"
    may_be_zero: ClassVar[tuple[str, ...]] = ("head_layers",)

    blocks: int
    class_blocks: int
    units: int
    heads: int
    pair_layers: int
    pair_units: int
    head_layers: int
    head_units: int
    dropout: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units % self.heads:
            raise HyperparameterError(
                f"units of {self.family} must be a multiple of its {self.heads} heads, not {self.units}"
            )

    def build(self, inputs: NetworkInputs, outputs: int = 1) -> JetNetwork:
        """See `Hyperparameters.build`; MissingFeatureError where the inputs hold no log pT."""
        from jec_assets.models.particle_transformer.network import ParticleTransformer

        return ParticleTransformer(self, inputs, outputs)

    def macs(self, inputs: NetworkInputs, particles: int) -> int:
        """See `Hyperparameters.macs`."""
        return particle_transformer_macs(self, inputs, particles)
