"""The record of a published model: which one it is, where it comes from and what it wants.

Belongs here: the record and its JSON. Does not belong here: where it lies (`layout.py`) and how people read it
(`model_card.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from jec_assets.jets.training_range import TrainingRange
from jec_assets.models.outputs import CALIBRATION
from jec_assets.serving.config import ModelWidths

if TYPE_CHECKING:
    from collections.abc import Mapping

Setting = str | int | float | bool | None


@dataclass(frozen=True)
class ModelCard:
    """Where a model comes from and what it wants.

    network_digest: of the network's safetensors. particle_features, jet_features: names, in the
    order of the tensors' last axes. data_digests: of what it was trained and chosen on. losses: by split.
    export_difference: the largest |ONNX - torch| seen. package_versions: of what made it. outputs: names, see
    `jec_assets.models.outputs`. training_range: of the jets it was trained on; None where nobody recorded it.
    hyperparameters: of the network. training: how it was trained, by setting. numbers: that it computes in, see
    `jec_assets.serving.variants`.
    """

    family: str
    network_digest: str
    feature_set: str
    particle_features: tuple[str, ...]
    jet_features: tuple[str, ...]
    data_digests: Mapping[str, str]
    losses: Mapping[str, float]
    export_difference: float
    package_versions: Mapping[str, str]
    outputs: tuple[str, ...] = CALIBRATION
    training_range: TrainingRange | None = None
    hyperparameters: Mapping[str, Setting] = field(default_factory=dict)
    training: Mapping[str, Setting] = field(default_factory=dict)
    numbers: str = "float32"

    @property
    def widths(self) -> ModelWidths:
        """How many numbers it takes and gives."""
        return ModelWidths(len(self.particle_features), len(self.jet_features), len(self.outputs))


@dataclass(frozen=True)
class PublishedModel:
    """A version in the repository, identified by the digests of its network and its ONNX file.

    `published` is ISO 8601, UTC: when it was stored.
    """

    card: ModelCard
    version: int
    onnx_digest: str
    published: str

    @property
    def family(self) -> str:
        """The model's name in Triton."""
        return self.card.family

    @property
    def title(self) -> str:
        """Which model it is, for people."""
        return f"{self.family} version {self.version}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PublishedModel:
        """The inverse of `to_dict`; KeyError or TypeError for anything else."""
        listed = ("particle_features", "jet_features", "outputs")
        card = {**values["card"], **{name: tuple(values["card"][name]) for name in listed if name in values["card"]}}
        if limits := card.get("training_range"):
            card["training_range"] = TrainingRange(**{name: tuple(ends) for name, ends in limits.items()})
        return cls(**{**values, "card": ModelCard(**card)})
