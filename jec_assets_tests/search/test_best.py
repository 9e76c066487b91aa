from __future__ import annotations

import numpy as np
import pytest

from jec_assets.models.prediction import predict
from jec_assets.models.saving import load_network
from jec_assets.search.best import load_best, load_best_network, publish_best
from jec_assets.search.choice import choose_best
from jec_assets.search.record import FinishedTrial
from jec_assets.search.trial import run_trial
from jec_assets.storage import ArtifactMissingError, Storage
from jec_assets_tests.search.samples import VALIDATION, failed, finished, plan, silent, study


def test_the_choice_is_read_as_it_was_published(storage: Storage) -> None:
    records = [finished(0, 0.072), finished(1, 0.070), failed(2)]
    published = publish_best(storage, choose_best(records, records[0].inputs))
    assert load_best(storage, "pfn") == published
    assert (published.trial, published.candidates, published.failed) == (1, (0, 1), (2,))


def test_no_choice_is_missing(storage: Storage) -> None:
    with pytest.raises(ArtifactMissingError, match=r"best_models/pfn\.json"):
        load_best(storage, "pfn")


def test_the_chosen_network_is_the_trials(storage: Storage) -> None:
    setup = study(storage)
    record = run_trial(setup, plan(), silent)
    assert isinstance(record, FinishedTrial)
    best = publish_best(storage, choose_best([record], setup.inputs.digests))
    network, (trials_own, _) = load_best_network(storage, best), load_network(storage.read_bytes(record.weights_key))
    assert not network.training
    assert np.array_equal(predict(network, VALIDATION.packed), predict(trials_own, VALIDATION.packed))
