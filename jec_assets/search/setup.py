"""A study as the settings want it: for the asset, and for whoever trains from the command line.

Belongs here: from settings and published splits to `Study`, `TrialPlan` and `Slots`. Does not belong here: what these
do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jec_assets.jets.cache import cache_split
from jec_assets.jets.features import feature_set_named
from jec_assets.models.inputs import NetworkInputs
from jec_assets.search.parallel import Slots
from jec_assets.search.provenance import TrainingTerms, present_inputs
from jec_assets.search.sampler import plan_trial
from jec_assets.search.trial import Study, TrialInputs
from jec_assets.training.config import Computation, TrainingConfigError

if TYPE_CHECKING:
    from jec_assets.search.sampler import TrialPlan
    from jec_assets.settings import Settings
    from jec_assets.storage import Storage
    from jec_assets.training.nodes.follow import Nodes


def study_of(settings: Settings, storage: Storage, nodes: Nodes | None = None) -> Study:
    """The study of the present splits, whose arrays are written to the work folder unless they are there already.

    nodes: the machines of a cluster that train each network together, where settings say that there are several
    Raises ArtifactMissingError where a split was not materialized, TrainingConfigError for several machines that nobody
    can start from here.
    """
    if settings.nodes > 1 and nodes is None:
        raise TrainingConfigError(
            f"JEC_NODES is {settings.nodes}, and machines are only started by a job's step on a cluster, with "
            "JEC_EXECUTOR=kubernetes; on machines of your own start torchrun on each: jec_assets/training/worker.py "
            "says how"
        )
    training, validation = (
        cache_split(storage, name, settings.work_folder / "cache" / "jets") for name in ("train", "validation")
    )
    network_inputs = NetworkInputs.of(feature_set_named(training.split.feature_set))
    return Study(
        storage=storage,
        inputs=TrialInputs(training.folder, validation.folder, network_inputs, present_inputs(storage)),
        terms=_terms(settings),
        work_folder=settings.work_folder,
        computation=Computation(
            settings.threads, settings.precision, settings.deterministic, loading_threads=settings.loading_threads
        ),
        workers=settings.workers,
        nodes=nodes,
    )


def plan_of(settings: Settings, family: str, number: int) -> TrialPlan:
    """The plan of a family's trial, with what the settings say of every training."""
    plan = plan_trial(family, settings.seed, number)
    said = {name: getattr(settings, name) for name in ("schedule", "clip_norm", "average_decay")}
    changes = {name: value for name, value in said.items() if value is not None}
    return replace(plan, optimization=replace(plan.optimization, **changes))


def slots_of(settings: Settings) -> Slots:
    """Room for as many trials as the settings say, or as this machine has."""
    slots = Slots.of_this_machine(settings.workers, settings.threads)
    return replace(slots, processes=settings.parallel_trials or slots.processes)


def _terms(settings: Settings) -> TrainingTerms:
    return TrainingTerms(
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=settings.seed,
        loss=settings.loss,
        weighting=settings.weighting,
        patience=settings.patience,
    )
