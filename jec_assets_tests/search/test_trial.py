from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jec_assets.models.prediction import predict
from jec_assets.models.saving import load_network
from jec_assets.search.provenance import code_version
from jec_assets.search.record import FailedTrial, FinishedTrial, read_record
from jec_assets.search.trial import run_trial
from jec_assets.storage import Storage
from jec_assets.training.faults import TrainingMemoryError
from jec_assets.training.progress import Progress
from jec_assets_tests.search.samples import TERMS, VALIDATION, inputs, plan, silent, study


def run(storage: Storage, **changes: float) -> FinishedTrial:
    record = run_trial(study(storage), plan(**changes), silent)
    assert isinstance(record, FinishedTrial)
    return record


def must_not_train(_: Progress) -> None:
    pytest.fail("trained, although the record is current")


def test_a_finished_trial_has_weights_that_give_its_loss(storage: Storage) -> None:
    record = run(storage)
    assert read_record(storage, "trials/pfn/000.json") == record
    assert record.weights_key == f"trials/pfn/weights/{record.weights_digest}.safetensors"
    network, description = load_network(storage.local_file(record.weights_key))
    assert (description.family, description.feature_set) == ("pfn", "sample")
    assert description.hyperparameters == plan().hyperparameters
    target = VALIDATION.labels.target
    loss = np.mean(np.abs(predict(network, VALIDATION.packed) - target) * (np.abs(target) < 1))
    assert record.validation_loss == pytest.approx(loss, rel=1e-5)
    assert record.validation_loss == min(epoch.validation_loss for epoch in record.history)
    assert record.parameters == network.parameter_count


def test_the_record_says_where_it_comes_from(storage: Storage) -> None:
    record = run(storage)
    assert record.inputs.training_jets == "training"
    assert record.inputs.validation_jets == "validation"
    assert record.inputs.code_version == code_version()
    assert record.terms == TERMS
    assert set(record.versions) >= {"jec-assets", "torch", "optuna"}
    assert json.loads(storage.read_bytes(record.key))["status"] == "finished"


def test_a_finished_trial_is_not_trained_again(storage: Storage) -> None:
    first = run(storage)
    assert run_trial(study(storage), plan(), must_not_train) == first


def test_equal_trials_give_equal_weights_anywhere(tmp_path: Path) -> None:
    digests = {run(Storage(str(tmp_path / folder))).weights_digest for folder in ("here", "there")}
    assert len(digests) == 1


@pytest.mark.parametrize("change", ["learning rate", "terms", "training jets", "weights lost"])
def test_what_changed_is_trained_again(storage: Storage, tmp_path: Path, change: str) -> None:
    first = run(storage)
    plans, setup = plan(), study(storage)
    if change == "learning rate":
        plans = plan(learning_rate=0.02)
    elif change == "terms":
        setup = study(storage, replace(TERMS, epochs=1))
    elif change == "training jets":
        setup = study(storage, given=inputs(tmp_path, VALIDATION, "others"))
    else:
        storage.remove(first.weights_key)
    steps: list[Progress] = []
    second = run_trial(setup, plans, steps.append)
    assert steps
    assert isinstance(second, FinishedTrial)
    assert (second.weights_digest == first.weights_digest) is (change == "weights lost")
    assert storage.exists(second.weights_key)
    assert read_record(storage, second.key) == second


def test_a_trial_that_diverges_is_a_record_that_lasts(storage: Storage) -> None:
    diverging = plan(learning_rate=1e30)
    record = run_trial(study(storage), diverging, silent)
    assert isinstance(record, FailedTrial)
    assert "with Adam at a learning rate of 1e+30: lower it" in record.error
    assert read_record(storage, record.key) == record
    assert run_trial(study(storage), diverging, must_not_train) == record


def test_a_trial_that_did_not_fit_into_memory_is_tried_again(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*_: object) -> None:
        raise TrainingMemoryError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("jec_assets.training.loop.train", too_large)
        record = run_trial(study(storage), plan(), silent)
    assert isinstance(record, FailedTrial)
    assert run(storage).weights_key


def test_bugs_propagate_and_leave_no_record(storage: Storage, tmp_path: Path) -> None:
    packed = replace(VALIDATION.packed, jets=VALIDATION.packed.jets[:, :1])
    wrong_shape = inputs(tmp_path, replace(VALIDATION, packed=packed))
    with pytest.raises(ValueError, match="features"):
        run_trial(study(storage, given=wrong_shape), plan(), silent)
    assert storage.list("trials/pfn") == []


def test_a_run_killed_between_weights_and_record_ends_the_same(storage: Storage, monkeypatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("jec_assets.search.trial.publish_record", killed)
        with pytest.raises(KeyboardInterrupt):
            run(storage)
    assert storage.list("trials/pfn") == []
    [weights] = storage.list("trials/pfn/weights")
    assert run(storage).weights_key == weights


def test_a_family_may_need_more_epochs(storage: Storage) -> None:
    record = run_trial(study(storage), replace(plan(), epochs_factor=2), silent)
    assert isinstance(record, FinishedTrial)
    assert record.epochs == len(record.history) == 2 * TERMS.epochs


def test_curves_go_to_the_trials_own_folder(storage: Storage, tmp_path: Path) -> None:
    run_trial(study(storage), plan(number=7), silent)
    assert any((tmp_path / "tensorboard" / "pfn" / "007").iterdir())


def test_the_checkpoint_goes_when_the_record_is_there(storage: Storage) -> None:
    run(storage)
    assert storage.list("trials/pfn/checkpoints") == []


@pytest.mark.slow
def test_two_workers_train_a_trial_as_one_does(storage: Storage, tmp_path: Path) -> None:
    without_dropout = replace(plan(), hyperparameters=replace(plan().hyperparameters, dropout=0.0))
    alone = run_trial(study(storage), without_dropout, silent)
    setup = replace(study(Storage(str(tmp_path / "other" / "storage"))), workers=2)
    heard: list[Progress] = []
    together = run_trial(setup, without_dropout, heard.append)
    assert isinstance(alone, FinishedTrial)
    assert isinstance(together, FinishedTrial)
    assert together.validation_loss == pytest.approx(alone.validation_loss, rel=1e-4)
    assert together.best_epoch == alone.best_epoch
    assert heard
    assert not list((tmp_path / "other").glob("training_*"))
