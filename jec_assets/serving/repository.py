"""Triton's model repository under the storage root: one numbered version per published model.

Belongs here: the layout, publishing, what is published now. Does not belong here: the decision to publish
(`promotion.py`) and loading into a server (`endpoint.py`).

    model_repository/<family>/config.pbtxt      names the version that is served: the pointer, replaced last
    model_repository/<family>/<N>/model.json    where the model comes from
    model_repository/<family>/<N>/model.onnx    written last in its folder: a version without it is not one

Triton reads exactly this folder, and ignores the files that it doesn't know.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jec_assets.jets.training_range import TrainingRange
from jec_assets.models.outputs import CALIBRATION
from jec_assets.serving.config import InstanceSettings, ModelConfigError, ModelWidths, config_pbtxt, served_version
from jec_assets.storage import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.storage import Storage

ROOT = "model_repository"
_LOGGER = logging.getLogger(__name__)


class BrokenRepositoryError(RuntimeError):
    """The repository holds something that this project doesn't leave behind; the message names it and the remedy."""


class UnpublishedModelError(LookupError):
    """A family that should be served has no version in the repository."""


@dataclass(frozen=True)
class ModelCard:
    """Where a model comes from and what it wants.

    network_digest: of the network's safetensors. particle_features, jet_features: names, in the
    order of the tensors' last axes. data_digests: of what it was trained and chosen on. losses: by split.
    export_difference: the largest |ONNX - torch| seen. package_versions: of what made it. outputs: names, see
    `jec_assets.models.outputs`. training_range: of the jets it was trained on; None where nobody recorded it.
    """

    family: str
    network_digest: str
    feature_set: str
    particle_features: tuple[str, ...]
    jet_features: tuple[str, ...]
    data_digests: dict[str, str]
    losses: dict[str, float]
    export_difference: float
    package_versions: dict[str, str]
    outputs: tuple[str, ...] = CALIBRATION
    training_range: TrainingRange | None = None


@dataclass(frozen=True)
class PublishedModel:
    """A version in the repository, identified by the digests of its network and its ONNX file.

    `published` is ISO 8601, UTC.
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


@dataclass(frozen=True)
class ModelRepository:
    """The repository under a storage root. One writer at a time, any number of readers."""

    storage: Storage

    @property
    def uri(self) -> str:
        """Address of the folder that Triton is to read."""
        return self.storage.uri(ROOT)

    def versions(self, family: str) -> tuple[int, ...]:
        """Whole versions of a family, rising; a folder whose model was never written is none."""
        folder = self.storage.base / ROOT / family
        if not folder.exists():
            return ()
        numbers = sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal())
        return tuple(number for number in numbers if self.storage.exists(_model_key(family, number)))

    def current(self, family: str) -> PublishedModel | None:
        """The version that is served, None if the family was never published; BrokenRepositoryError if it's damaged."""
        key = _config_key(family)
        if not self.storage.exists(key):
            return None
        try:
            version = served_version(self.storage.read_bytes(key))
        except ModelConfigError as error:
            raise BrokenRepositoryError(f"{self.storage.uri(key)}: {error}; remove it and publish again") from error
        return self.model(family, version)

    def served(self, families: Sequence[str]) -> tuple[PublishedModel, ...]:
        """The version of each family that is served; UnpublishedModelError names families that were never published."""
        current = {family: self.current(family) for family in families}
        missing = [family for family, model in current.items() if model is None]
        if missing:
            raise UnpublishedModelError(
                f"{self.uri} holds no version of {', '.join(missing)}: materialize onnx_repository"
            )
        return tuple(model for model in current.values() if model is not None)

    def model(self, family: str, version: int) -> PublishedModel:
        """A version's record; BrokenRepositoryError where the version isn't whole."""
        if not self.storage.exists(_model_key(family, version)):
            raise BrokenRepositoryError(
                f"{self.storage.uri(_model_key(family, version))} is missing: publish the family again"
            )
        try:
            return PublishedModel.from_dict(self.storage.read_json(_record_key(family, version)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BrokenRepositoryError(
                f"{self.storage.uri(_record_key(family, version))} is no model record ({error!r}): remove this version"
            ) from error

    def onnx(self, model: PublishedModel) -> bytes:
        """The model's ONNX file; BrokenRepositoryError if its digest isn't the published one."""
        key = _model_key(model.family, model.version)
        data = self.storage.read_bytes(key)
        if digest_bytes(data) != model.onnx_digest:
            raise BrokenRepositoryError(f"{self.storage.uri(key)} is damaged: its digest is not {model.onnx_digest}")
        return data

    def publish(self, card: ModelCard, onnx: bytes, settings: InstanceSettings) -> PublishedModel:
        """Make this the version that is served.

        A network that was published before as the same ONNX file keeps its number; a version that is damaged since is
        left where it is, and the next number is used. What an interrupted attempt left is a folder without a model,
        whose number is used again, or a whole version that nothing names, which is found.
        """
        published = self._find(card, onnx) or self._write_version(card, onnx)
        widths = ModelWidths(len(card.particle_features), len(card.jet_features), len(card.outputs))
        record = json.dumps(published.to_dict(), sort_keys=True)
        config = config_pbtxt(card.family, published.version, widths, settings, record)
        key = _config_key(card.family)
        # Triton reloads a model whose files are newer, even with the same content.
        if not (self.storage.exists(key) and self.storage.read_bytes(key) == config):
            self.storage.publish_bytes(key, config)
        return published

    def _find(self, card: ModelCard, onnx: bytes) -> PublishedModel | None:
        for version in reversed(self.versions(card.family)):
            try:
                model = self.model(card.family, version)
                if model.card.network_digest == card.network_digest and self.onnx(model) == onnx:
                    return model
            except BrokenRepositoryError as error:
                _LOGGER.warning("version %d of %s is passed over: %s", version, card.family, error)
        return None

    def _write_version(self, card: ModelCard, onnx: bytes) -> PublishedModel:
        version = max(self.versions(card.family), default=0) + 1
        published = PublishedModel(card, version, digest_bytes(onnx), datetime.now(UTC).isoformat(timespec="seconds"))
        self.storage.publish_json(_record_key(card.family, version), published.to_dict())
        self.storage.publish_bytes(_model_key(card.family, version), onnx)
        return published


def _config_key(family: str) -> str:
    return f"{ROOT}/{family}/config.pbtxt"


def _record_key(family: str, version: int) -> str:
    return f"{ROOT}/{family}/{version}/model.json"


def _model_key(family: str, version: int) -> str:
    return f"{ROOT}/{family}/{version}/model.onnx"
