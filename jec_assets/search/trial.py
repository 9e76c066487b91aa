"""Carrying out a trial: train the planned network, publish weights and record.

Belongs here: when a trial is skipped, what becomes of one that fails. Does not belong here: how networks are trained
(`jec_assets.training`) and what a record holds (`record.py`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.models.inputs import NetworkInputs
from jec_assets.search.provenance import InputDigests, TrainingBudget, code_version
from jec_assets.search.record import (
    FailedTrial,
    FinishedTrial,
    PlannedTrial,
    TrialRecord,
    current_record,
    publish_record,
    publish_weights,
)
from jec_assets.search.sampler import trial_key
from jec_assets.training.config import TrainingConfig
from jec_assets.training.faults import TrainingFaultError

if TYPE_CHECKING:
    from pathlib import Path

    from jec_assets.jets.features import FeatureSet
    from jec_assets.jets.packed import PackedJets
    from jec_assets.models.network import JetNetwork
    from jec_assets.search.sampler import TrialPlan
    from jec_assets.storage import Storage
    from jec_assets.training.progress import Reporter
    from jec_assets.training.result import TrainingResult


@dataclass(frozen=True)
class TrialInputs:
    """The jets of a study and their digests."""

    training: PackedJets
    validation: PackedJets
    training_digest: str
    validation_digest: str
    feature_set: FeatureSet

    @property
    def digests(self) -> InputDigests:
        """The digests that this study's records carry, with the present code version."""
        return InputDigests(self.training_digest, self.validation_digest, self.feature_set.name, code_version())


@dataclass(frozen=True)
class Study:
    """What the trials of a study share.

    threads and scalars_folder are where and how they run, see `TrainingConfig`; each trial writes its TensorBoard
    curves to a folder of its own, `<scalars_folder>/<family>/<number>`.
    """

    storage: Storage
    inputs: TrialInputs
    budget: TrainingBudget
    threads: int = 0
    scalars_folder: Path | None = None


def run_trial(study: Study, plan: TrialPlan, reporter: Reporter) -> TrialRecord:
    """The plan's record: the stored one if it is finished and current, else that of a training now.

    Hyperparameters that cannot be trained (the loss diverges, the network does not fit into memory) give the record
    of a failed trial, which the next run tries again. Every other error is not the hyperparameters' and propagates.
    """
    planned = PlannedTrial.of(plan, study.budget, study.inputs.digests)
    stored = current_record(study.storage, planned)
    if stored is not None:
        return stored
    start = time.perf_counter()
    try:
        network, result = _train(study, plan, reporter)
    except TrainingFaultError as error:
        failed = FailedTrial(**dict(planned), error=str(error), seconds=time.perf_counter() - start)
        publish_record(study.storage, failed)
        return failed
    weights = publish_weights(study.storage, plan.family, _network_bytes(study, plan, network))
    finished = FinishedTrial(
        **dict(planned),
        best_epoch=result.best_epoch,
        validation_loss=result.best_validation_loss,
        history=result.history,
        weights_key=weights.key,
        weights_digest=weights.digest,
        parameters=network.parameter_count,
        device=result.device,
        seconds=result.seconds,
    )
    publish_record(study.storage, finished)
    return finished


def _train(study: Study, plan: TrialPlan, reporter: Reporter) -> tuple[JetNetwork, TrainingResult]:
    from jec_assets.training.loop import train
    from jec_assets.training.reproducible import seeded

    config = TrainingConfig(
        optimizer=plan.optimizer,
        learning_rate=plan.learning_rate,
        epochs=study.budget.epochs,
        batch_size=study.budget.batch_size,
        seed=study.budget.seed,
        threads=study.threads,
        scalars_folder=study.scalars_folder and study.scalars_folder / plan.family / trial_key(plan.number),
    )
    with seeded(config.seed):
        network = plan.hyperparameters.build(NetworkInputs.of(study.inputs.feature_set))
    return network, train(network, study.inputs.training, study.inputs.validation, config, reporter)


def _network_bytes(study: Study, plan: TrialPlan, network: JetNetwork) -> bytes:
    from jec_assets.models.saving import NetworkDescription, network_bytes

    feature_set = study.inputs.feature_set.name
    return network_bytes(network, NetworkDescription(plan.family, plan.hyperparameters, feature_set, network.inputs))
