from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jec_assets.serving.candidate import lay_out_candidate
from jec_assets.serving.catalog import DateError, Query, differences, entry_of, moment, search, version_named
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.record import PublishedModel
from jec_assets.serving.repository import ModelRepository, UnpublishedModelError
from jec_assets.serving.tags import UnknownTagError, remove_tag, set_tag
from jec_assets_tests.serving.conftest import card_of

SETTINGS = InstanceSettings()


def add(repository: ModelRepository, family: str, loss: float, data: str) -> PublishedModel:
    onnx = f"{family} {loss}".encode()
    card = replace(card_of(family, onnx), losses={"validation": loss}, data_digests={"train": data})
    return repository.publish(card, onnx, SETTINGS)


@pytest.fixture
def filled(repository: ModelRepository) -> ModelRepository:
    add(repository, "pfn", 0.3, "aaaa")
    add(repository, "pfn", 0.2, "bbbb")
    add(repository, "pfn", 0.1, "bbcc")
    add(repository, "particle_net", 0.15, "aaaa")
    set_tag(repository.storage, "pfn", "paper", 1)
    set_tag(repository.storage, "particle_net", "paper", 1)
    return repository


def found(repository: ModelRepository, query: Query) -> list[tuple[str, int]]:
    return [(entry.model.family, entry.model.version) for entry in search(repository, query).entries]


def test_conditions_choose_versions(filled: ModelRepository) -> None:
    everything = [("particle_net", 1), ("pfn", 1), ("pfn", 2), ("pfn", 3)]
    assert found(filled, Query()) == everything
    assert found(filled, Query(family="pfn")) == everything[1:]
    assert found(filled, Query(max_loss=0.15)) == [("particle_net", 1), ("pfn", 3)]
    assert found(filled, Query(data_digest="bb")) == [("pfn", 2), ("pfn", 3)]
    assert found(filled, Query(tag="paper", max_loss=0.2)) == [("particle_net", 1)]
    assert found(filled, Query(since=moment("2020-01-01"))) == everything
    assert found(filled, Query(since=moment("2999-01-01T12:00"))) == []
    with pytest.raises(DateError, match="'yesterday' is no date"):
        moment("yesterday")


def test_a_model_without_a_loss_has_none_below_a_limit(repository: ModelRepository) -> None:
    repository.publish(replace(card_of("pfn", b"one"), losses={}), b"one", SETTINGS)
    assert found(repository, Query()) == [("pfn", 1)]
    assert found(repository, Query(max_loss=1e9)) == []


def test_states_say_what_becomes_of_a_version(filled: ModelRepository) -> None:
    filled.rollback("pfn")
    lay_out_candidate(filled, filled.model("pfn", 3))
    states = {entry.model.version: entry.state for entry in search(filled, Query(family="pfn")).entries}
    assert states == {1: "kept", 2: "served", 3: "candidate"}
    filled.promote("pfn", 1)
    assert entry_of(filled, "pfn", 2).state == "stored"
    assert entry_of(filled, "pfn", 1).to_dict()["tags"] == ["paper"]


def test_damage_is_listed_and_hides_nothing_else(filled: ModelRepository) -> None:
    (Path(filled.uri) / "pfn/2/model.json").write_text("{}")
    seen = search(filled, Query())
    assert [(entry.model.family, entry.model.version) for entry in seen.entries] == [
        ("particle_net", 1),
        ("pfn", 1),
        ("pfn", 3),
    ]
    assert len(seen.damaged) == 1
    assert "pfn/2/model.json is no model record" in seen.damaged[0]


def test_an_empty_repository_has_nothing(repository: ModelRepository) -> None:
    assert search(repository, Query()).entries == ()


def test_versions_go_by_number_tag_and_role(filled: ModelRepository) -> None:
    assert version_named(filled, "pfn", "2") == 2
    assert version_named(filled, "pfn", "paper") == 1
    assert version_named(filled, "pfn", "served") == 3
    with pytest.raises(UnknownTagError, match=r"no version 'best'.* there are paper"):
        version_named(filled, "pfn", "best")
    with pytest.raises(UnpublishedModelError):
        version_named(filled, "pfn", "9")
    set_tag(filled.storage, "pfn", "paper", 2)
    assert version_named(filled, "pfn", "paper") == 2
    remove_tag(filled.storage, "pfn", "paper")
    with pytest.raises(UnknownTagError, match="no tags"):
        remove_tag(filled.storage, "pfn", "paper")


def test_differences_name_every_field(filled: ModelRepository) -> None:
    first, second = filled.model("pfn", 1), filled.model("pfn", 2)
    changed = replace(second, card=replace(second.card, hyperparameters={"units": 64}))
    fields = {each.field: (each.first, each.second) for each in differences(first, changed)}
    assert fields["losses.validation"] == (0.3, 0.2)
    assert fields["data_digests.train"] == ("aaaa", "bbbb")
    assert fields["hyperparameters.units"] == (None, 64)
    assert {"version", "onnx_digest", "network_digest"} <= set(fields)
    assert "family" not in fields
    assert differences(first, first) == ()
