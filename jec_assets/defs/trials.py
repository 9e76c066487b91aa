"""Assets of a model family: train_jets, validation_jets -> F/trial_model [a partition a trial] -> F/best_model.

Belongs here: running partitions and mirroring their records. Does not belong here: records themselves
(`jec_assets.search`).
"""

from collections.abc import Sequence

import dagster as dg

from jec_assets.defs.jets import train_jets, validation_jets
from jec_assets.defs.kubernetes import SMALL, nodes_of, pool_of, retries_of, trial_tags
from jec_assets.defs.metadata import Metadata, markdown_table
from jec_assets.defs.resources import SettingsParam, StorageParam
from jec_assets.models.families import Family, family_named
from jec_assets.search.best import BestModel, publish_best
from jec_assets.search.choice import Choice, choose_best
from jec_assets.search.parallel import run_trials
from jec_assets.search.provenance import code_version, present_inputs
from jec_assets.search.record import FinishedTrial, TrialRecord, read_records
from jec_assets.search.sampler import TrialPlan, trial_key
from jec_assets.search.setup import plan_of, slots_of, study_of
from jec_assets.search.study_database import StudyDatabaseError, mirror
from jec_assets.settings import Settings
from jec_assets.storage import digest_of
from jec_assets.training.progress import Progress

CODE_VERSION = code_version()


def trial_partitions(settings: Settings) -> dg.StaticPartitionsDefinition:
    """One partition per trial: 000, 001, ... The same for all families, as a job has one partitions definition."""
    return dg.StaticPartitionsDefinition([trial_key(number) for number in range(settings.trials)])


def family_assets(
    name: str, partitions: dg.StaticPartitionsDefinition, settings: Settings
) -> list[dg.AssetsDefinition]:
    """trial_model and best_model of one family."""
    family = family_named(name)
    trial_model = _trial_model(family, partitions, settings)
    return [trial_model, _best_model(family, trial_model)]


def _trial_model(family: Family, partitions: dg.StaticPartitionsDefinition, cluster: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        key=[family.name, "trial_model"],
        group_name=family.name,
        kinds={"pytorch"},
        code_version=CODE_VERSION,
        deps=[train_jets, validation_jets],
        partitions_def=partitions,
        op_tags=trial_tags(cluster),
        pool=pool_of(cluster),
        retry_policy=retries_of(cluster),
        description=f"A {family.title} trained with one trial's hyperparameters; trial 000 is the known optimum.",
    )
    def trial_model(
        context: dg.AssetExecutionContext, settings: SettingsParam, storage: StorageParam
    ) -> dg.MaterializeResult:
        plans = [plan_of(settings, family.name, int(key)) for key in context.partition_keys]
        for plan in plans:
            context.log.info(f"{_label(plan)}: {plan.optimization}, {plan.hyperparameters}")
        by_number = {plan.number: plan for plan in plans}

        def report(number: int, progress: Progress) -> None:
            context.log.info(f"{_label(by_number[number])}: {progress}")

        versions = {}
        for record in run_trials(study_of(settings, storage, nodes_of(settings)), plans, slots_of(settings), report):
            context.log.info(f"{_label(by_number[record.number])}: {_outcome(record)}")
            _mirror(context, record)
            _show_in_database(context, settings, [record])
            versions[record.number] = _version(record)
        return dg.MaterializeResult(data_version=dg.DataVersion(digest_of(sorted(versions.items()))))

    return trial_model


def _label(plan: TrialPlan) -> str:
    return f"{family_named(plan.family).title} trial {trial_key(plan.number)}"


def _mirror(context: dg.AssetExecutionContext, record: TrialRecord) -> None:
    """Show a record in Dagster: now, so that it survives a later trial's failure, and in the step's own event."""
    key, metadata = trial_key(record.number), _record_metadata(record)
    if len(context.partition_keys) > 1:
        tags = {"dagster/data_version": _version(record)}
        event = dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata, tags=tags)
        context.log_event(event)
    context.add_asset_metadata(metadata, partition_key=key)


def _show_in_database(context: dg.AssetExecutionContext, settings: Settings, records: Sequence[TrialRecord]) -> None:
    """Add records to JEC_STUDY_DATABASE, if there is one; that it cannot be reached is no reason to fail a trial."""
    if settings.study_database is None:
        return
    try:
        mirror(settings.study_database, records)
    except StudyDatabaseError as fault:
        context.log.warning(f"not shown in the study database, the next best_model adds what is missing: {fault}")


def _version(record: TrialRecord) -> str:
    return record.weights_digest if isinstance(record, FinishedTrial) else record.trial_digest


def _outcome(record: TrialRecord) -> str:
    if isinstance(record, FinishedTrial):
        return f"validation loss {record.validation_loss:.5f} in epoch {record.best_epoch}, {record.seconds:.0f} s"
    return f"failed: {record.error}"


def _record_metadata(record: TrialRecord) -> Metadata:
    metadata: Metadata = {
        "status": record.status,
        "optimizer": record.optimization.optimizer,
        "learning_rate": record.optimization.learning_rate,
        "schedule": record.optimization.schedule,
        **record.hyperparameters,
        "seconds": round(record.seconds, 1),
        "trial_digest": record.trial_digest,
    }
    if not isinstance(record, FinishedTrial):
        return {**metadata, "error": record.error}
    history = [
        (e.epoch, f"{e.training_loss:.5f}", f"{e.validation_loss:.5f}", f"{e.learning_rate:.2e}")
        for e in record.history
    ]
    return {
        **metadata,
        "validation_loss": record.validation_loss,
        "best_epoch": record.best_epoch,
        "parameters": record.parameters,
        "device": record.device,
        "weights": record.weights_key,
        "history": markdown_table(["epoch", "training loss", "validation loss", "learning rate"], history),
    }


def _best_model(family: Family, trial_model: dg.AssetsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=[family.name, "best_model"],
        group_name=family.name,
        kinds={"pytorch", "safetensors"},
        code_version=CODE_VERSION,
        # Records in storage, not Dagster's events, say which trials are done: see docs/architecture.md.
        deps=[dg.AssetDep(trial_model, partition_mapping=dg.AllPartitionMapping()), train_jets, validation_jets],
        op_tags=SMALL,
        description=f"The {family.title} of lowest validation loss among the trials made of the current jets and code.",
    )
    def best_model(
        context: dg.AssetExecutionContext, settings: SettingsParam, storage: StorageParam
    ) -> dg.MaterializeResult:
        records = read_records(storage, family.name)
        _show_in_database(context, settings, records)
        choice = choose_best(records, present_inputs(storage))
        best = publish_best(storage, choice)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(best.weights_digest), metadata=_best_metadata(best, choice)
        )

    return best_model


def _best_metadata(best: BestModel, choice: Choice) -> Metadata:
    ranked = sorted(choice.candidates, key=lambda record: record.validation_loss)
    rows = [
        (trial_key(record.number), f"{record.validation_loss:.5f}", record.optimization.optimizer) for record in ranked
    ]
    return {
        "trial": trial_key(best.trial),
        "validation_loss": best.validation_loss,
        "parameters": best.parameters,
        "candidates": markdown_table(["trial", "validation loss", "optimizer"], rows),
        "stale_trials": ", ".join(map(trial_key, best.stale)) or "none",
        "failed_trials": ", ".join(map(trial_key, best.failed)) or "none",
        "weights": best.weights_key,
    }
