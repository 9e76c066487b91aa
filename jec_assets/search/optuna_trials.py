"""Trials as Optuna has them.

Belongs here: from a record to a trial of an Optuna study, and which trials make one study. Does not belong here: where
Optuna keeps studies (`study_database.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jec_assets.search.record import FinishedTrial
from jec_assets.search.sampler import distributions
from jec_assets.search.spaces import space_of
from jec_assets.storage import digest_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

    from jec_assets.search.provenance import InputDigests, TrainingTerms
    from jec_assets.search.record import TrialRecord

    Value = int | float | str


def study_digest(family: str, terms: TrainingTerms, inputs: InputDigests) -> str:
    """Digest of what the trials of one study have in common: only these may be compared, or learned from together."""
    return digest_of([family, asdict(terms), asdict(inputs), asdict(space_of(family))])


def study_name(record: TrialRecord) -> str:
    """The name of the record's study: `pfn-1c5d0c2e9a7b`."""
    return f"{record.family}-{study_digest(record.family, record.terms, record.inputs)[:12]}"


def identity(record: TrialRecord) -> str:
    """What is the same of two records of the same trial that ended alike."""
    return f"{record.number:03d}-{record.trial_digest}-{record.status}"


def optuna_trial(record: TrialRecord) -> FrozenTrial:
    """A record as an ended trial: its validation loss, or failed; with a value an epoch, and our number as `trial`.

    A value from outside the search space is none of Optuna's parameters; it stands among the attributes.
    """
    from optuna.trial import TrialState, create_trial

    tried: dict[str, Value] = {
        **record.hyperparameters,
        "optimizer": record.optimization.optimizer,
        "learning_rate": record.optimization.learning_rate,
    }
    searched = {
        name: values for name, values in distributions(record.family).items() if _holds(values, tried.get(name))
    }
    finished = record if isinstance(record, FinishedTrial) else None
    trial = create_trial(
        state=TrialState.COMPLETE if finished else TrialState.FAIL,
        value=finished.validation_loss if finished else None,
        params={name: tried.pop(name) for name in searched},
        distributions=searched,
        intermediate_values={epoch.epoch: epoch.validation_loss for epoch in finished.history} if finished else {},
        user_attrs={**tried, **_attributes(record)},
    )
    trial.datetime_complete = datetime.now()  # Optuna keeps local times
    trial.datetime_start = trial.datetime_complete - timedelta(seconds=record.seconds)
    return trial


def _attributes(record: TrialRecord) -> dict[str, Value]:
    found: dict[str, Value] = {
        "trial": record.number,
        "identity": identity(record),
        "schedule": record.optimization.schedule,
    }
    if not isinstance(record, FinishedTrial):
        return {**found, "error": record.error}
    of_network: dict[str, Value] = {"parameters": record.parameters, "weights": record.weights_key}
    return {**found, **of_network, "best_epoch": record.best_epoch, "device": record.device}


def _holds(values: BaseDistribution, value: Value | None) -> bool:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(values, FloatDistribution):
        return isinstance(value, float | int) and values.low <= value <= values.high
    return isinstance(values, CategoricalDistribution) and value in values.choices
