"""Versions in a repository: published, promoted, rolled back, damaged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from jec_assets.serving.candidate import candidate_of, lay_out_candidate, remove_candidate
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.layout import MODEL, RECORD, ModelNameError, candidate_name, version_key
from jec_assets.serving.repository import (
    ModelRepository,
    NothingBeforeError,
    Retention,
    UnpublishedModelError,
    VersionInUseError,
)
from jec_assets.serving.version_store import BrokenRepositoryError
from jec_assets.storage import Storage, digest_bytes
from jec_assets_tests.serving.conftest import card_of
from jec_assets_tests.serving.repositories import DyingStorage, Killed, publish, publish_many

SETTINGS = InstanceSettings()


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


# In this order: record, README, model, configuration. The number of a version without a model is not used again.
@pytest.mark.parametrize(("writes", "version"), [(0, 2), (1, 3), (2, 3), (3, 2)])
def test_a_publish_that_is_killed_changes_nothing_and_can_be_repeated(
    tmp_path: Path, writes: int, version: int
) -> None:
    storage = DyingStorage(str(tmp_path))
    repository = ModelRepository(storage)
    first = publish(ModelRepository(Storage(str(tmp_path))), b"one")
    object.__setattr__(storage, "writes_left", writes)
    with pytest.raises(Killed):
        publish(repository, b"two")
    assert repository.current("pfn") == first
    repository.check("pfn")
    second = publish(ModelRepository(Storage(str(tmp_path))), b"two")
    assert second.version == version
    assert repository.current("pfn") == second
    repository.check("pfn")


# In this order: record, README, model, warm-up, labels, configuration.
@pytest.mark.parametrize(("writes", "version"), [(0, 1), (1, 2), (2, 2), (3, 1), (4, 1), (5, 1)])
def test_the_first_publish_that_is_killed_serves_nothing(tmp_path: Path, writes: int, version: int) -> None:
    storage = DyingStorage(str(tmp_path))
    repository = ModelRepository(storage)
    object.__setattr__(storage, "writes_left", writes)
    with pytest.raises(Killed):
        publish(repository, b"one")
    assert repository.current("pfn") is None
    assert publish(ModelRepository(Storage(str(tmp_path))), b"one").version == version
    repository.check("pfn")


def test_a_number_that_another_run_has_taken_is_left_to_it(repository: ModelRepository) -> None:
    publish(repository, b"one")
    repository.storage.publish_json(version_key("pfn", 2, RECORD), {"half": True})
    assert repository.versions("pfn") == (1,)
    assert publish(repository, b"three").version == 3


def test_a_reader_never_sees_half_a_version(storage: Storage) -> None:
    repository = ModelRepository(storage, Retention(stored=30))
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
    assert [config[i + 1] for i, word in enumerate(config) if word == "dims:"][:5] == ["-1", "2", "1", "1", "1"]


def served_versions(repository: ModelRepository) -> tuple[int, ...]:
    pointer = repository.pointer("pfn")
    assert pointer is not None
    return pointer.versions


def test_the_version_before_stays_served_to_who_names_it(storage: Storage) -> None:
    repository = ModelRepository(storage, Retention(served=3))
    publish_many(repository, 4)
    assert served_versions(repository) == (2, 3, 4)
    repository.check("pfn")


def test_a_version_of_other_features_or_outputs_is_not_served_beside(repository: ModelRepository) -> None:
    first = publish(repository, b"one")
    repository.publish(replace(first.card, jet_features=("a", "b"), network_digest="2"), b"two", SETTINGS)
    assert served_versions(repository) == (2,)


def test_rolling_back_goes_back_step_by_step_and_serves_nothing_above(repository: ModelRepository) -> None:
    publish_many(repository, 3)
    assert repository.rollback("pfn").version == 2
    assert served_versions(repository) == (1, 2)
    assert repository.versions("pfn") == (1, 2, 3)
    assert repository.rollback("pfn").version == 1
    with pytest.raises(NothingBeforeError, match="nothing was served as pfn before"):
        repository.rollback("pfn")
    assert repository.promote("pfn", 3).version == 3
    assert served_versions(repository) == (1, 3)
    assert repository.rollback("pfn").version == 1
    repository.check("pfn")


def test_rolling_back_after_a_promotion_of_an_older_version_goes_up_again(repository: ModelRepository) -> None:
    publish_many(repository, 3)
    repository.promote("pfn", 1)
    assert served_versions(repository) == (1,)
    assert repository.rollback("pfn").version == 3


def test_promoting_keeps_the_settings(repository: ModelRepository) -> None:
    first = repository.publish(card_of("pfn", b"one"), b"one", InstanceSettings(threads=5, instances=3))
    second = repository.store(card_of("pfn", b"two"), b"two")
    assert repository.current("pfn") == first
    repository.promote("pfn", second.version)
    config = repository.configuration("pfn")
    assert config is not None
    assert b'string_value: "5"' in config
    assert b"count: 3" in config


def test_what_nobody_has_cannot_be_promoted_or_rolled_back(repository: ModelRepository) -> None:
    with pytest.raises(UnpublishedModelError, match="no version 1 of pfn: there are no versions"):
        repository.promote("pfn", 1)
    with pytest.raises(NothingBeforeError):
        repository.rollback("pfn")
    publish(repository, b"one")
    with pytest.raises(UnpublishedModelError, match="no version 7 of pfn: there are 1"):
        repository.promote("pfn", 7)


def test_a_withdrawn_version_gives_way_to_what_was_served_before(repository: ModelRepository) -> None:
    first = publish(repository, b"one")
    before = repository.configuration("pfn")
    repository.restore(publish(repository, b"two"), before)
    assert repository.current("pfn") == first
    repository.restore(first, None)
    assert repository.current("pfn") is None


def test_what_another_run_points_to_since_is_not_withdrawn(
    repository: ModelRepository, caplog: pytest.LogCaptureFixture
) -> None:
    publish(repository, b"one")
    before = repository.configuration("pfn")
    second, third = publish(repository, b"two"), publish(repository, b"three")
    repository.restore(second, before)
    assert repository.current("pfn") == third
    assert "another run replaced it" in caplog.text


@pytest.mark.parametrize("damaged", ["2/model.onnx", "2/model.json", "2/README.md", "1/model.onnx", "warmup", "labels"])
def test_every_file_that_a_server_reads_is_checked(repository: ModelRepository, damaged: str) -> None:
    publish_many(repository, 2)
    repository.check("pfn")
    path = Path(repository.uri) / "pfn" / damaged
    file = next(path.iterdir()) if path.is_dir() else path
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # one bit
    with pytest.raises(BrokenRepositoryError, match=f"{file} is damaged or missing"):
        repository.check("pfn")
    file.unlink()
    with pytest.raises(BrokenRepositoryError, match=f"{file} is damaged or missing"):
        repository.check("pfn")


def test_a_damaged_version_before_is_not_served_on(repository: ModelRepository) -> None:
    publish(repository, b"one")
    (Path(repository.uri) / "pfn/1/model.onnx").write_bytes(b"damaged")
    publish(repository, b"two")
    assert served_versions(repository) == (2,)
    with pytest.raises(BrokenRepositoryError, match=r"1/model.onnx is damaged"):
        repository.rollback("pfn")
    assert served_versions(repository) == (2,)


def test_a_candidate_lies_beside_the_family(repository: ModelRepository) -> None:
    first = repository.publish(card_of("pfn", b"one"), b"one", InstanceSettings(threads=5))
    second = repository.store(card_of("pfn", b"two"), b"two")
    assert candidate_of(repository, "pfn") is None
    name = lay_out_candidate(repository, second)
    assert name == candidate_name("pfn")
    repository.check(name)
    assert candidate_of(repository, "pfn") == 2
    assert repository.current("pfn") == first
    assert served_versions(repository) == (1,)
    assert repository.families() == ("pfn",)
    config = repository.configuration(name)
    assert config is not None
    assert b'string_value: "5"' in config
    with pytest.raises(VersionInUseError):
        repository.remove("pfn", 2)
    remove_candidate(repository, "pfn")
    assert candidate_of(repository, "pfn") is None
    assert not repository.storage.exists(version_key(name, 2, MODEL))


@pytest.mark.parametrize("name", ["", "../pfn", "pfn.candidate", "PFN", "1", "a" * 65, "a/b"])
def test_a_family_must_have_a_name_that_is_one(repository: ModelRepository, name: str) -> None:
    with pytest.raises(ModelNameError):
        repository.store(card_of(name, b"one"), b"one")
