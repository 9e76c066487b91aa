from __future__ import annotations

from dataclasses import fields, replace

import pytest

from jec_assets.search.provenance import InputDigests, TrainingTerms
from jec_assets.search.record import (
    PlannedTrial,
    TrialRecordError,
    current_record,
    publish_record,
    publish_weights,
    read_record,
    read_records,
    trial_digest,
)
from jec_assets.storage import ArtifactMissingError, Storage
from jec_assets_tests.search.samples import DIGESTS, TERMS, failed, finished, plan


@pytest.mark.parametrize("record", [finished(3, 0.07), failed(4)])
def test_a_record_is_read_as_it_was_published(storage: Storage, record) -> None:
    artifact = publish_record(storage, record)
    assert artifact.key == f"trials/pfn/{record.number:03d}.json"
    again = read_record(storage, artifact.key)
    assert again == record
    assert type(again.hyperparameters["phi_layers"]) is int


def test_records_of_a_family_come_by_number_and_without_its_weights(storage: Storage) -> None:
    publish_weights(storage, "pfn", b"weights")
    for record in (finished(10, 0.07), failed(2), finished(0, 0.08)):
        publish_record(storage, record)
    assert [record.number for record in read_records(storage, "pfn")] == [0, 2, 10]
    assert read_records(storage, "particle_net") == []


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"status": "finished"}', b'{"status": "running"}'])
def test_what_is_no_record_is_named_and_does_not_hide_the_others(
    storage: Storage, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    storage.publish_bytes("trials/pfn/000.json", content)
    publish_record(storage, finished(1, 0.07))
    with pytest.raises(TrialRecordError, match=r"trials/pfn/000\.json is not a trial's record, materialize"):
        read_record(storage, "trials/pfn/000.json")
    assert read_records(storage, "pfn") == [finished(1, 0.07)]
    assert "000.json is not a trial's record" in caplog.text


def test_a_missing_record_is_missing(storage: Storage) -> None:
    with pytest.raises(ArtifactMissingError, match=r"001\.json"):
        read_record(storage, "trials/pfn/001.json")


OPTIMIZATIONS = [
    {"learning_rate": 0.02},
    {"optimizer": "Ranger"},
    {"schedule": "cosine"},
    {"clip_norm": 1.0},
    {"average_decay": 0.9},
]


def test_everything_that_decides_the_outcome_is_in_the_digest() -> None:
    others = [
        *((plan(**change), TERMS, DIGESTS) for change in OPTIMIZATIONS),
        (replace(plan(), epochs_factor=2), TERMS, DIGESTS),
        (replace(plan(), hyperparameters=replace(plan().hyperparameters, dropout=0.2)), TERMS, DIGESTS),
        *((plan(), replace(TERMS, **{field.name: 77}), DIGESTS) for field in fields(TrainingTerms)),
        *((plan(), TERMS, replace(DIGESTS, **{field.name: "other"})) for field in fields(InputDigests)),
    ]
    digests = {trial_digest(*arguments) for arguments in [(plan(), TERMS, DIGESTS), *others]}
    assert len(digests) == 1 + len(others)
    assert trial_digest(plan(), TERMS, DIGESTS) == trial_digest(replace(plan(), number=5), TERMS, DIGESTS)


def test_only_a_finished_record_of_the_same_digest_with_weights_is_current(storage: Storage) -> None:
    planned = PlannedTrial.of(plan(3), TERMS, DIGESTS)
    assert current_record(storage, planned) is None
    publish_record(storage, failed(3))
    assert current_record(storage, planned) is None
    lasting = failed(3).model_copy(update={"lasting": True})
    publish_record(storage, lasting)
    assert current_record(storage, planned) == lasting
    publish_record(storage, finished(3, 0.07))
    assert current_record(storage, planned) is None, "its weights are not there"
    storage.publish_bytes("trials/pfn/weights/3.safetensors", b"weights")
    assert current_record(storage, planned) == finished(3, 0.07)
    other = PlannedTrial.of(plan(3), TERMS, replace(DIGESTS, training_jets="other"))
    assert current_record(storage, other) is None


def test_an_object_that_is_no_record_is_replaced(storage: Storage, caplog: pytest.LogCaptureFixture) -> None:
    storage.publish_bytes("trials/pfn/003.json", b"{}")
    assert current_record(storage, PlannedTrial.of(plan(3), TERMS, DIGESTS)) is None
    assert "003.json is not a trial's record" in caplog.text
