"""Which versions are kept, which make room, and what a removed one leaves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jec_assets.serving import version_store
from jec_assets.serving.candidate import lay_out_candidate, remove_candidate
from jec_assets.serving.layout import README, RECORD, version_key
from jec_assets.serving.repository import ModelRepository, Retention, UnpublishedModelError, VersionInUseError
from jec_assets.serving.tags import set_tag, tags_of
from jec_assets.storage import Storage
from jec_assets_tests.serving.conftest import card_of
from jec_assets_tests.serving.repositories import DyingStorage, Killed, publish, publish_many


def test_old_versions_make_room_but_never_one_that_is_needed(storage: Storage) -> None:
    repository = ModelRepository(storage, Retention(stored=2, served=2))
    publish_many(repository, 2)
    set_tag(storage, "pfn", "paper", 1)
    lay_out_candidate(repository, repository.model("pfn", 2))
    publish_many(repository, 7)
    assert repository.versions("pfn") == (1, 2, 6, 7)  # tagged, tried, the newest two
    remove_candidate(repository, "pfn")
    publish(repository, b"model 8")
    assert repository.versions("pfn") == (1, 7, 8)
    assert sorted(each.name for each in (Path(repository.uri) / "pfn").iterdir() if each.is_dir()) == [
        "1",
        "7",
        "8",
        "labels",
        "warmup",
    ]
    assert repository.rollback("pfn").version == 7


def test_the_served_version_stays_however_many_are_newer(storage: Storage) -> None:
    repository = ModelRepository(storage, Retention(stored=1, served=1))
    publish_many(repository, 2)
    for number in range(5):
        repository.store(card_of("pfn", b"%d" % number), b"%d" % number)
    assert repository.make_room("pfn") == (3, 4, 5, 6)
    assert repository.versions("pfn") == (1, 2, 7)  # 1 is what a rollback goes to
    repository.check("pfn")


@pytest.mark.parametrize("removals", range(4))
def test_making_room_that_is_killed_is_made_up_for(
    tmp_path: Path, removals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = DyingStorage(str(tmp_path))
    whole = ModelRepository(Storage(str(tmp_path)), Retention(stored=9))
    publish_many(whole, 4)
    object.__setattr__(storage, "writes_left", removals)
    with pytest.raises(Killed):
        ModelRepository(storage, Retention(stored=1)).make_room("pfn")
    whole.check("pfn")
    for version in whole.versions("pfn"):
        whole.onnx(whole.model("pfn", version))
    monkeypatch.setattr(version_store, "ABANDONED_AFTER", timedelta(-1))
    ModelRepository(Storage(str(tmp_path)), Retention(stored=1)).make_room("pfn")
    assert whole.numbers("pfn") == (3, 4)


def test_what_another_run_is_writing_is_left_to_it_for_a_day(storage: Storage) -> None:
    repository, number = ModelRepository(storage, Retention(stored=1, served=1)), 2
    record = replace(publish(repository, b"one"), version=number, card=card_of("pfn", b"slow"))
    key = version_key("pfn", number, RECORD)
    begun = datetime.now(UTC) - timedelta(hours=23)
    storage.publish_json(key, {**record.to_dict(), "published": begun.isoformat()})
    publish_many(repository, 3)
    assert repository.numbers("pfn") == (number, 4, 5)
    storage.publish_json(key, {**record.to_dict(), "published": (begun - timedelta(hours=2)).isoformat()})
    repository.make_room("pfn")
    assert repository.numbers("pfn") == (4, 5)


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"published": "yesterday"}', b'{"published": "2020-01-01"}'])
def test_what_says_not_when_it_was_begun_is_left(storage: Storage, content: bytes | None) -> None:
    repository = ModelRepository(storage, Retention(stored=1, served=1))
    publish(repository, b"one")
    storage.publish_bytes(version_key("pfn", 2, README if content is None else RECORD), content or b"")
    publish_many(repository, 2)
    assert repository.numbers("pfn") == (2, 3, 4)


def test_a_removed_version_leaves_its_number_to_nobody(repository: ModelRepository) -> None:
    publish_many(repository, 3)
    set_tag(repository.storage, "pfn", "paper", 2)
    with pytest.raises(VersionInUseError, match="version 3 of pfn is served or tried"):
        repository.remove("pfn", 3)
    with pytest.raises(VersionInUseError):
        repository.remove("pfn", 2)  # still served to who names it
    repository.rollback("pfn")
    repository.remove("pfn", 3)
    assert repository.versions("pfn") == (1, 2)
    with pytest.raises(UnpublishedModelError):
        repository.remove("pfn", 3)
    assert publish(repository, b"another").version == 4
    assert publish(repository, b"model 3").version == 5


def test_tags_go_with_their_version(repository: ModelRepository) -> None:
    publish_many(repository, 3)
    set_tag(repository.storage, "pfn", "paper", 1)
    repository.remove("pfn", 1)
    assert tags_of(repository.storage, "pfn") == {}
