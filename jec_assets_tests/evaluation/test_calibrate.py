from __future__ import annotations

import pytest

from jec_assets.evaluation.calibrate import load_calibrated, load_calibrated_record, publish_calibrated
from jec_assets.evaluation.provenance import StaleArtifactError, require_current
from jec_assets.storage import ArtifactMissingError, Storage
from jec_assets_tests.evaluation.stored import FAMILIES, split_of, store_best, store_inputs, store_split
from jec_assets_tests.evaluation.synthetic import calibrated_table


@pytest.fixture
def published(storage: Storage) -> Storage:
    """Storage that holds a table of its present jets and models."""
    store_inputs(storage)
    publish_calibrated(storage, calibrated_table(10), split_of("test", "first"), dict.fromkeys(FAMILIES, "first"))
    return storage


def test_a_table_of_the_present_is_read_as_it_was_published(published: Storage) -> None:
    assert load_calibrated(published, FAMILIES).equals(calibrated_table(10))
    assert load_calibrated_record(published, FAMILIES).jets == 10


def test_a_table_that_was_never_made_is_missing(storage: Storage) -> None:
    with pytest.raises(ArtifactMissingError, match=r"calibrated_test_jets\.json"):
        load_calibrated(storage, FAMILIES)


def test_a_table_of_other_jets_is_stale(published: Storage) -> None:
    store_split(published, "test", "second")
    with pytest.raises(StaleArtifactError, match=r"another test_jets: materialize calibrated_test_jets again"):
        load_calibrated(published, FAMILIES)


def test_a_table_of_another_model_is_stale(published: Storage) -> None:
    store_best(published, "pfn", "second")
    with pytest.raises(StaleArtifactError, match=r"another best_models: materialize calibrated_test_jets again"):
        load_calibrated(published, FAMILIES)


def test_each_split_has_its_own_table(published: Storage) -> None:
    other = calibrated_table(12)
    publish_calibrated(published, other, split_of("validation", "first"), dict.fromkeys(FAMILIES, "first"))
    assert load_calibrated(published, FAMILIES, "validation").equals(other)
    assert load_calibrated(published, FAMILIES).equals(calibrated_table(10))
    store_split(published, "validation", "second")
    with pytest.raises(StaleArtifactError, match="another validation_jets: materialize calibrated_validation_jets"):
        load_calibrated(published, FAMILIES, "validation")


def test_a_table_without_a_family_is_stale(published: Storage) -> None:
    publish_calibrated(published, calibrated_table(10), split_of("test", "first"), {"pfn": "first"})
    with pytest.raises(StaleArtifactError, match="another best_models"):
        load_calibrated(published, FAMILIES)


def test_everything_that_changed_is_named_and_more_may_be_recorded() -> None:
    require_current("asset", {"jets": "a", "endpoint": "b"}, {"jets": "a"})
    with pytest.raises(StaleArtifactError, match="made of another jets, another models: materialize asset again"):
        require_current("asset", {"jets": "a"}, {"jets": "b", "models": "c"})
