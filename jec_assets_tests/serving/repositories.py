"""Models published in few words, and a process that ends while it writes."""

from __future__ import annotations

from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.record import PublishedModel
from jec_assets.serving.repository import ModelRepository
from jec_assets.storage import Artifact, Held, Storage
from jec_assets_tests.serving.conftest import card_of

SETTINGS = InstanceSettings()


class Killed(BaseException):
    """Stands for the end of the process."""


class DyingStorage(Storage):
    """Ends the process instead of writing, after so many writes."""

    writes_left = 0

    def publish_bytes(self, key: str, data: bytes) -> Artifact:
        if self.writes_left == 0:
            raise Killed
        object.__setattr__(self, "writes_left", self.writes_left - 1)
        return super().publish_bytes(key, data)

    def replace_bytes(self, key: str, data: bytes, held: Held) -> Artifact:
        if self.writes_left == 0:
            raise Killed
        object.__setattr__(self, "writes_left", self.writes_left - 1)
        return super().replace_bytes(key, data, held)

    def remove(self, key: str) -> None:
        if self.writes_left == 0:
            raise Killed
        object.__setattr__(self, "writes_left", self.writes_left - 1)
        super().remove(key)


def publish(repository: ModelRepository, onnx: bytes, family: str = "pfn") -> PublishedModel:
    return repository.publish(card_of(family, onnx), onnx, SETTINGS)


def publish_many(repository: ModelRepository, number: int) -> None:
    for each in range(1, number + 1):
        publish(repository, f"model {each}".encode())
