from __future__ import annotations

import pytest

from jec_assets.evaluation.alternative import load_alternative, load_alternative_record
from jec_assets.evaluation.calibrate import load_calibrated, publish_calibrated
from jec_assets.evaluation.provenance import StaleArtifactError
from jec_assets.jets.alternative import alternative_storage
from jec_assets.storage import ArtifactMissingError, Storage
from jec_assets_tests.evaluation.stored import FAMILIES, split_of, store_best, store_inputs, store_split
from jec_assets_tests.evaluation.synthetic import calibrated_table


@pytest.fixture
def published(storage: Storage) -> Storage:
    """Storage with a table of its test jets and one of the alternative jets."""
    store_inputs(storage)
    place = alternative_storage(storage)
    store_split(place, "test", "other")
    networks = dict.fromkeys(FAMILIES, "first")
    publish_calibrated(storage, calibrated_table(10), split_of("test", "first"), networks)
    publish_calibrated(place, calibrated_table(12), split_of("test", "other"), networks)
    return storage


def test_each_generator_has_its_table(published: Storage) -> None:
    assert load_alternative(published, FAMILIES).equals(calibrated_table(12))
    assert load_alternative_record(published, FAMILIES).jets == 12
    assert load_calibrated(published, FAMILIES).equals(calibrated_table(10))


def test_a_table_that_was_never_made_is_missing(storage: Storage) -> None:
    store_inputs(storage)
    with pytest.raises(ArtifactMissingError, match="alternative"):
        load_alternative(storage, FAMILIES)


def test_a_table_of_other_alternative_jets_is_stale(published: Storage) -> None:
    store_split(alternative_storage(published), "test", "second")
    with pytest.raises(StaleArtifactError, match="another alternative_jets: materialize calibrated_alternative_jets"):
        load_alternative(published, FAMILIES)


def test_a_table_of_another_model_is_stale_and_other_nominal_jets_leave_it_be(published: Storage) -> None:
    store_split(published, "test", "second")
    assert load_alternative_record(published, FAMILIES).jets == 12
    store_best(published, "pfn", "second")
    with pytest.raises(StaleArtifactError, match="another best_models: materialize calibrated_alternative_jets"):
        load_alternative(published, FAMILIES)
