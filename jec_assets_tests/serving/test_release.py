"""Releasing a candidate: published, refused, or stopped by a broken export; what is served stays as it should be."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.jets.dataset import SplitJets
from jec_assets.jets.features import EXTENDED, PAPER
from jec_assets.jets.splits import Split
from jec_assets.jets.training_range import TrainingRange
from jec_assets.models.inputs import NetworkInputs
from jec_assets.models.network import JetNetwork
from jec_assets.models.prediction import predict
from jec_assets.models.saving import NetworkDescription
from jec_assets.search.best import BestModel
from jec_assets.search.provenance import InputDigests
from jec_assets.serving import export
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.export import ExportMismatchError
from jec_assets.serving.promotion import Promotion
from jec_assets.serving.release import Candidate, OtherFeaturesError, ReleasePolicy, release
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.served import load_release, publish_release
from jec_assets.storage import Storage
from jec_assets_tests.serving.conftest import SMALL, make_jets, small_network

RANGE = TrainingRange((30.0, 2000.0), (0.0, 2.5), (1, 120))
POLICY = ReleasePolicy(Resampling(20, seed=1), InstanceSettings())


def validation_for(network: JetNetwork) -> SplitJets:
    """Jets whose target is nearly what this network predicts: nobody else can be better on them."""
    jets = make_jets(200, seed=5)
    target = predict(network, jets) + np.random.default_rng(1).normal(0, 1e-3, len(jets)).astype(np.float32)
    columns = {"event_hash": np.arange(len(jets), dtype=np.uint64), "target": np.clip(target, -0.9, 0.9)}
    return SplitJets(Split("validation", "digest", 200, 200, 200, "key", "extended"), jets, pl.DataFrame(columns))


def candidate(network: JetNetwork, digest: str) -> Candidate:
    inputs = InputDigests("train digest", "validation digest", "extended", "code")
    best = BestModel(
        family="pfn",
        trial=1,
        weights_key="key",
        weights_digest=digest,
        parameters=1,
        validation_loss=0.1,
        inputs=inputs,
        candidates=(1,),
        stale=(),
        failed=(),
    )
    description = NetworkDescription("pfn", SMALL["pfn"], "extended", NetworkInputs.of(EXTENDED))
    return Candidate(best, network, description, RANGE)


@pytest.fixture
def good() -> JetNetwork:
    network = small_network("pfn", seed=1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(0.3)  # predictions of the size of real corrections
    return network


def test_the_first_candidate_is_published_with_its_card(good: JetNetwork, storage: Storage) -> None:
    released = release(ModelRepository(storage), candidate(good, "good"), validation_for(good), POLICY)
    assert released.promotion.promoted
    assert released.model.version == 1
    card = released.model.card
    assert card.data_digests == {"train": "train digest", "validation": "validation digest"}
    assert 0 < card.losses["validation"] < 0.05
    assert card.training_range == RANGE
    assert ModelRepository(storage).current("pfn") == released.model
    assert released.export.max_abs_difference <= 1e-5


def test_a_worse_candidate_is_refused_and_the_old_version_stays(good: JetNetwork, storage: Storage) -> None:
    repository, validation = ModelRepository(storage), validation_for(good)
    release(repository, candidate(good, "good"), validation, POLICY)
    refused = release(repository, candidate(small_network("pfn", seed=2), "worse"), validation, POLICY)
    assert not refused.promotion.promoted
    assert refused.promotion.difference > refused.promotion.uncertainty
    current = repository.current("pfn")
    assert current is not None
    assert current.card.network_digest == "good"
    publish_release(storage, refused)
    record = load_release(storage, "pfn")
    assert (record.version, record.promoted) == (1, False)
    assert (record.network_digest, record.candidate_digest) == ("good", "worse")


def test_the_candidate_that_is_served_says_so_and_keeps_its_number(good: JetNetwork, storage: Storage) -> None:
    repository, validation = ModelRepository(storage), validation_for(good)
    first = release(repository, candidate(good, "good"), validation, POLICY)
    again = release(repository, candidate(good, "good"), validation, POLICY)
    assert again.promotion == Promotion.unopposed("is what is served")
    assert again.model == first.model


def test_the_same_network_exported_otherwise_is_compared_and_published(
    good: JetNetwork, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository, validation = ModelRepository(storage), validation_for(good)
    release(repository, candidate(good, "good"), validation, POLICY)
    monkeypatch.setattr(export, "OPSET", 21)
    released = release(repository, candidate(good, "good"), validation, POLICY)
    assert released.promotion.reason.startswith("not worse than the served model")
    assert released.staged is not None
    assert released.staged.version == 2


@pytest.mark.parametrize("damage", ["config.pbtxt", "1/model.json", "1/model.onnx"])
def test_a_damaged_served_version_is_replaced_with_that_reason(good: JetNetwork, storage: Storage, damage: str) -> None:
    repository, validation = ModelRepository(storage), validation_for(good)
    first = release(repository, candidate(good, "good"), validation, POLICY)
    (Path(repository.uri) / "pfn" / damage).write_text("damaged")
    released = release(repository, candidate(good, "good"), validation, POLICY)
    assert released.promotion.promoted
    assert re.match(f"the served version cannot be evaluated: .*{damage}", released.promotion.reason)
    assert repository.current("pfn") == released.model
    assert repository.onnx(released.model)
    assert (released.model == first.model) == (damage == "config.pbtxt")


def test_a_served_file_that_is_no_model_is_replaced_with_that_reason(good: JetNetwork, storage: Storage) -> None:
    repository, validation = ModelRepository(storage), validation_for(good)
    first = release(repository, candidate(good, "good"), validation, POLICY)
    repository.publish(first.model.card, b"no model", InstanceSettings())
    released = release(repository, candidate(good, "good"), validation, POLICY)
    assert released.promotion.reason.startswith("the served version cannot be evaluated: ONNX Runtime can't load")
    assert repository.current("pfn") == first.model


def test_a_candidate_of_other_features_is_an_error(good: JetNetwork, storage: Storage) -> None:
    trained = replace(candidate(good, "good").description, feature_set="paper", inputs=NetworkInputs.of(PAPER))
    foreign = replace(candidate(good, "good"), description=trained)
    with pytest.raises(OtherFeaturesError, match=r"trained with features 'paper' .*materialize pfn/trial_model"):
        release(ModelRepository(storage), foreign, validation_for(good), POLICY)
    assert ModelRepository(storage).versions("pfn") == ()


def test_a_better_candidate_becomes_the_next_version(good: JetNetwork, storage: Storage) -> None:
    repository, validation = ModelRepository(storage), validation_for(good)
    release(repository, candidate(small_network("pfn", seed=2), "worse"), validation, POLICY)
    released = release(repository, candidate(good, "good"), validation, POLICY)
    assert released.promotion.difference < 0
    assert released.staged is not None
    assert released.staged.version == 2


def test_an_export_that_differs_publishes_nothing(
    good: JetNetwork, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "TOLERANCE", -1.0)
    with pytest.raises(ExportMismatchError):
        release(ModelRepository(storage), candidate(good, "good"), validation_for(good), POLICY)
    assert ModelRepository(storage).versions("pfn") == ()


def test_a_served_model_of_other_features_is_replaced_with_that_reason(good: JetNetwork, storage: Storage) -> None:
    repository, validation = ModelRepository(storage), validation_for(good)
    first = release(repository, candidate(good, "good"), validation, POLICY)
    other = replace(first.model.card, particle_features=("log_pt",), network_digest="other")
    repository.publish(other, repository.onnx(first.model), InstanceSettings())
    released = release(repository, candidate(good, "good"), validation, POLICY)
    assert released.promotion.promoted
    assert "other features" in released.promotion.reason


def test_a_staged_candidate_is_stored_and_what_is_served_stays(good: JetNetwork, storage: Storage) -> None:
    repository, validation = ModelRepository(storage), validation_for(good)
    first = release(repository, candidate(small_network("pfn", seed=2), "worse"), validation, POLICY)
    released = release(repository, candidate(good, "good"), validation, POLICY)
    assert released.promotion.promoted
    assert released.staged is not None
    assert repository.current("pfn") == released.model == first.model
    publish_release(storage, released)
    record = load_release(storage, "pfn")
    assert (record.version, record.network_digest, record.candidate_digest) == (1, "worse", "good")
    assert (record.staged, record.promoted) == (2, False)
    assert record.reason.endswith("version 2 waits for its roll-out")
    assert repository.promote("pfn", 2) == released.staged


def test_what_is_served_is_run_by_other_settings_at_once(good: JetNetwork, storage: Storage) -> None:
    repository, validation = ModelRepository(storage), validation_for(good)
    release(repository, candidate(good, "good"), validation, POLICY)
    basic = replace(POLICY, instances=InstanceSettings(graph_level="basic"))
    released = release(repository, candidate(good, "good"), validation, basic)
    assert (released.staged, released.model.version) == (None, 1)
    configuration = repository.configuration("pfn")
    assert configuration is not None
    assert b"level: -1" in configuration


def test_the_card_tells_how_the_network_was_made(good: JetNetwork, storage: Storage) -> None:
    told = replace(candidate(good, "good"), training={"epochs": 50, "loss": "absolute"})
    card = release(ModelRepository(storage), told, validation_for(good), POLICY).model.card
    assert card.hyperparameters == SMALL["pfn"].to_dict()
    assert card.training == {"epochs": 50, "loss": "absolute"}
    text = storage.read_bytes("model_repository/pfn/1/README.md").decode()
    for line in ("| epochs | 50 |", "| phi_units | 16 |", "| constituents | 1 | 120 | 1 |", "| 0 | log_pt | log GeV |"):
        assert line in text


def test_coarser_numbers_are_served_where_they_hold_and_told_where_not(good: JetNetwork, storage: Storage) -> None:
    repository, validation = ModelRepository(storage), validation_for(good)
    release(repository, candidate(good, "good"), validation, POLICY)
    half = release(repository, candidate(good, "good"), validation, replace(POLICY, numbers="float16"))
    assert half.tried is not None
    assert (half.tried.holds, half.model.version, half.model.card.numbers) == (True, 2, "float16")
    assert half.promotion == Promotion.unopposed("is what is served")
    assert 1e-6 < half.model.card.export_difference == half.export.max_abs_difference < 1e-2
    assert "| computes in | float16 |" in storage.read_bytes("model_repository/pfn/2/README.md").decode()
    again = release(repository, candidate(good, "good"), validation, replace(POLICY, numbers="float16"))
    assert again.model == half.model
    integers = release(repository, candidate(good, "good"), validation, replace(POLICY, numbers="int8"))
    assert integers.tried is not None
    assert "int8 does not hold" in integers.tried.finding
    assert (integers.model.version, integers.model.card.numbers) == (1, "float32")
