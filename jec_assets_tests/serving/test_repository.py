from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.repository import (
    ROOT,
    BrokenRepositoryError,
    ModelRepository,
    PublishedModel,
    UnpublishedModelError,
)
from jec_assets.storage import Artifact, Storage, digest_bytes
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


def publish(repository: ModelRepository, onnx: bytes, family: str = "pfn") -> PublishedModel:
    return repository.publish(card_of(family, onnx), onnx, SETTINGS)


def test_versions_count_up_and_the_last_is_served(repository: ModelRepository) -> None:
    assert repository.current("pfn") is None
    assert repository.versions("pfn") == ()
    first, second = publish(repository, b"one"), publish(repository, b"two")
    other = publish(repository, b"two", "particle_net")
    assert (first.version, second.version, other.version) == (1, 2, 1)
    assert repository.versions("pfn") == (1, 2)
    assert repository.current("pfn") == second
    assert repository.model("pfn", 1) == first
    assert repository.onnx(second) == b"two"
    assert second.onnx_digest == digest_bytes(b"two")
    assert second.card == card_of("pfn", b"two")


def test_the_same_network_keeps_its_version(repository: ModelRepository) -> None:
    first = publish(repository, b"one")
    config = Path(repository.uri) / "pfn/config.pbtxt"
    written = config.stat().st_mtime_ns
    assert publish(repository, b"one") == first
    assert config.stat().st_mtime_ns == written  # or Triton would load it again
    publish(repository, b"two")
    assert publish(repository, b"one") == first
    assert repository.current("pfn") == first
    assert repository.versions("pfn") == (1, 2)


def test_another_export_of_the_same_network_is_the_next_version(repository: ModelRepository) -> None:
    first = publish(repository, b"one")
    second = repository.publish(first.card, b"one, exported otherwise", SETTINGS)
    assert second.version == 2
    assert repository.current("pfn") == second
    assert repository.onnx(second) == b"one, exported otherwise"
    assert repository.publish(first.card, b"one, exported otherwise", SETTINGS) == second


@pytest.mark.parametrize("damaged", ["model.onnx", "model.json"])
def test_a_damaged_version_is_not_published_again(repository: ModelRepository, damaged: str) -> None:
    publish(repository, b"one")
    (Path(repository.uri) / "pfn/1" / damaged).write_bytes(b"damaged")
    again = publish(repository, b"one")
    assert again.version == 2
    assert repository.onnx(again) == b"one"


def test_served_names_families_that_were_never_published(repository: ModelRepository) -> None:
    model = publish(repository, b"one")
    assert repository.served(["pfn"]) == (model,)
    with pytest.raises(UnpublishedModelError, match=r"no version of particle_net: materialize onnx_repository"):
        repository.served(["pfn", "particle_net"])


def test_other_settings_change_the_configuration_and_no_version(repository: ModelRepository) -> None:
    first = publish(repository, b"one")
    assert repository.publish(first.card, b"one", InstanceSettings(threads=2)) == first
    assert 'string_value: "2"' in (Path(repository.uri) / "pfn/config.pbtxt").read_text()


@pytest.mark.parametrize("writes", range(3))
def test_a_publish_that_is_killed_changes_nothing_and_can_be_repeated(tmp_path: Path, writes: int) -> None:
    storage = DyingStorage(str(tmp_path))
    repository = ModelRepository(storage)
    first = publish(ModelRepository(Storage(str(tmp_path))), b"one")
    object.__setattr__(storage, "writes_left", writes)
    with pytest.raises(Killed):
        publish(repository, b"two")
    assert repository.current("pfn") == first
    assert repository.onnx(first) == b"one"
    object.__setattr__(storage, "writes_left", 3)
    second = publish(repository, b"two")
    assert second.version == 2
    assert repository.current("pfn") == second
    assert repository.onnx(second) == b"two"


def test_a_killed_publish_leaves_its_number_to_another_network(repository: ModelRepository) -> None:
    publish(repository, b"one")
    repository.storage.publish_json(f"{ROOT}/pfn/2/model.json", {"half": True})
    assert repository.versions("pfn") == (1,)
    assert publish(repository, b"three").version == 2


def test_a_reader_never_sees_half_a_version(repository: ModelRepository) -> None:
    publish(repository, b"0" * 1000)
    done = Event()

    def read() -> int:
        seen = set()
        while not done.is_set():
            model = repository.current("pfn")
            assert model is not None
            repository.onnx(model)  # compares its digest
            for version in repository.versions("pfn"):
                repository.onnx(repository.model("pfn", version))
            seen.add(model.version)
        return len(seen)

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            for number in range(1, 20):
                publish(repository, str(number).encode() * 100_000)
        finally:
            done.set()
        assert all(reader.result() >= 1 for reader in readers)
    assert repository.versions("pfn") == tuple(range(1, 21))


def test_damage_is_named(repository: ModelRepository) -> None:
    first = publish(repository, b"one")
    folder = Path(repository.uri) / "pfn"
    (folder / "1/model.onnx").write_bytes(b"damaged")
    with pytest.raises(BrokenRepositoryError, match=r"1/model.onnx is damaged"):
        repository.onnx(first)
    (folder / "1/model.json").write_text('{"version": 1}')
    with pytest.raises(BrokenRepositoryError, match=r"1/model.json is no model record"):
        repository.current("pfn")
    (folder / "1/model.onnx").unlink()
    with pytest.raises(BrokenRepositoryError, match=r"1/model.onnx is missing"):
        repository.current("pfn")
    (folder / "config.pbtxt").write_text("garbage")
    with pytest.raises(BrokenRepositoryError, match=r"config.pbtxt: not a Triton model configuration"):
        repository.current("pfn")


def test_features_are_the_configured_widths(repository: ModelRepository) -> None:
    card = replace(card_of("pfn", b"one"), particle_features=("a", "b"), jet_features=("c",))
    repository.publish(card, b"one", SETTINGS)
    config = (Path(repository.uri) / "pfn/config.pbtxt").read_text().split()
    assert [config[i + 1] for i, word in enumerate(config) if word == "dims:"] == ["-1", "2", "1", "1", "1"]
