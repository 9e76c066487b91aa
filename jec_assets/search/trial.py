"""Carrying out a trial: train the planned network, publish weights and record.

Belongs here: when a trial is skipped, what becomes of one that fails. Does not belong here: how networks are trained
(`jec_assets.training`), what a record holds (`record.py`) and trials side by side (`parallel.py`).
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jec_assets.models.inputs import NetworkInputs
from jec_assets.models.saving import NetworkDescription
from jec_assets.search.provenance import InputDigests, TrainingTerms
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
from jec_assets.training.config import Checkpointing, Computation, CurvesCopy, TrainingConfig, output_names
from jec_assets.training.faults import TrainingDivergedError, TrainingFaultError

if TYPE_CHECKING:
    from jec_assets.models.network import JetNetwork
    from jec_assets.search.sampler import TrialPlan
    from jec_assets.storage import Storage
    from jec_assets.training.job import TrainingJob
    from jec_assets.training.nodes.follow import Nodes
    from jec_assets.training.progress import Reporter
    from jec_assets.training.result import TrainingResult


@dataclass(frozen=True)
class TrialInputs:
    """The jets of a study: folders of `jec_assets.jets.cache`, what of them a network sees, and their digests."""

    training: Path
    validation: Path
    network_inputs: NetworkInputs
    digests: InputDigests


@dataclass(frozen=True)
class Study:
    """What the trials of a study share.

    work_folder: of this machine; a trial's TensorBoard curves lie in `tensorboard/<family>/<number>` below it, and
        below a storage root on S3
    workers: processes that train one network together
    nodes: machines of a cluster that do, each with workers of its own; None: this machine
    """

    storage: Storage
    inputs: TrialInputs
    terms: TrainingTerms
    work_folder: Path
    computation: Computation = field(default_factory=Computation)
    workers: int = 1
    nodes: Nodes | None = None


def run_trial(study: Study, plan: TrialPlan, reporter: Reporter) -> TrialRecord:
    """The plan's record: the stored one if it is current, else that of a training now.

    Hyperparameters that cannot be trained (the loss diverges, the network does not fit into memory) give the record
    of a failed trial; for want of memory the next run tries it again. Every other error is not the hyperparameters' and
    propagates.
    """
    planned = PlannedTrial.of(plan, study.terms, study.inputs.digests)
    stored = current_record(study.storage, planned)
    if stored is not None:
        return stored
    from jec_assets.models.saving import network_bytes
    from jec_assets.training.checkpoint import remove_checkpoint

    start = time.perf_counter()
    try:
        network, result = _train(study, plan, reporter)
    except TrainingFaultError as error:
        lasting = isinstance(error, TrainingDivergedError)
        seconds = time.perf_counter() - start
        failed = FailedTrial(**dict(planned), error=str(error), lasting=lasting, seconds=seconds)
        publish_record(study.storage, failed)
        return failed
    weights = publish_weights(study.storage, plan.family, network_bytes(network, _description(study, plan)))
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
    remove_checkpoint(_checkpointing(study, planned))
    return finished


def _train(study: Study, plan: TrialPlan, reporter: Reporter) -> tuple[JetNetwork, TrainingResult]:
    if study.workers > 1 or study.nodes is not None:
        return _train_together(study, plan, reporter)
    return _train_here(study, _description(study, plan), _config(study, plan), reporter)


def _train_here(
    study: Study, description: NetworkDescription, config: TrainingConfig, reporter: Reporter
) -> tuple[JetNetwork, TrainingResult]:
    """In this process."""
    from jec_assets.jets.cache import open_cache
    from jec_assets.training.loop import train
    from jec_assets.training.reproducible import seeded

    with seeded(config.seed):
        network = description.build()
    training, validation = open_cache(study.inputs.training), open_cache(study.inputs.validation)
    return network, train(network, training, validation, config, reporter)


def _train_together(study: Study, plan: TrialPlan, reporter: Reporter) -> tuple[JetNetwork, TrainingResult]:
    """In processes of their own, here or on several machines, which share each batch."""
    from jec_assets.models.saving import load_network
    from jec_assets.training.job import TrainingJob

    inputs, description = study.inputs, _description(study, plan)
    with tempfile.TemporaryDirectory(prefix="training_", dir=study.work_folder) as folder:
        job = TrainingJob(description, _config(study, plan), inputs.training, inputs.validation, Path(folder))
        result = _carried_out(study, plan, job, reporter)
        network, _ = load_network(job.network_file)
    return network, result


def _carried_out(study: Study, plan: TrialPlan, job: TrainingJob, reporter: Reporter) -> TrainingResult:
    from jec_assets.training.launch import train_in_processes
    from jec_assets.training.nodes.files import TrainingFiles
    from jec_assets.training.nodes.follow import train_on_nodes

    if study.nodes is None:
        return train_in_processes(job, study.workers, reporter)
    digest = PlannedTrial.of(plan, study.terms, study.inputs.digests).trial_digest
    files = TrainingFiles(study.storage, f"trials/{plan.family}/nodes/{digest}")
    return train_on_nodes(job, study.nodes, files, reporter)


def _config(study: Study, plan: TrialPlan) -> TrainingConfig:
    terms, planned = study.terms, PlannedTrial.of(plan, study.terms, study.inputs.digests)
    curves = f"tensorboard/{plan.family}/{trial_key(plan.number)}"
    return TrainingConfig(
        optimization=plan.optimization,
        epochs=planned.epochs,
        batch_size=terms.batch_size,
        seed=terms.seed,
        loss=terms.loss,
        weighting=terms.weighting,
        patience=terms.patience,
        computation=study.computation,
        scalars_folder=study.work_folder / curves,
        scalars_copy=None if study.storage.is_local else CurvesCopy(study.storage, curves),
        checkpoints=_checkpointing(study, planned),
    )


def _checkpointing(study: Study, planned: PlannedTrial) -> Checkpointing:
    folder, digest = f"trials/{planned.family}/checkpoints", planned.trial_digest
    return Checkpointing(study.storage, f"{folder}/{digest}.safetensors", digest)


def _description(study: Study, plan: TrialPlan) -> NetworkDescription:
    inputs, outputs = study.inputs, output_names(study.terms.loss)
    return NetworkDescription(
        plan.family, plan.hyperparameters, inputs.digests.feature_set, inputs.network_inputs, outputs
    )
