"""The record of a trial: what was tried, on what, and what came of it.

Belongs here: the record's fields, where it lies in storage and when it is current. Does not belong here: carrying out a
trial (`trial.py`) and choosing among records (`choice.py`).

A trial is over when its record is published. Its weights are published before, under their digest, so a record never
names weights that are not there:

    trials/<family>/weights/<digest>.safetensors
    trials/<family>/<number>.json
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from jec_assets.search.provenance import InputDigests, TrainingTerms
from jec_assets.search.sampler import TrialPlan, trial_key
from jec_assets.storage import Storage, digest_of, package_versions
from jec_assets.training.config import Optimization
from jec_assets.training.result import EpochFigures

if TYPE_CHECKING:
    from jec_assets.storage import Artifact


VERSIONED_PACKAGES = ("numpy", "optuna", "pytorch-optimizer", "torch")
_LOGGER = logging.getLogger(__name__)


class TrialRecordError(ValueError):
    """An object that should be a trial's record and is none."""


class PlannedTrial(BaseModel):
    """What a trial's record holds before anybody knows how it ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    number: int
    trial_digest: str
    hyperparameters: dict[str, int | float]
    optimization: Optimization
    terms: TrainingTerms
    epochs: int
    inputs: InputDigests
    versions: dict[str, str]

    @classmethod
    def of(cls, plan: TrialPlan, terms: TrainingTerms, inputs: InputDigests) -> PlannedTrial:
        """The beginning of a plan's record, with the versions installed here."""
        return PlannedTrial(
            family=plan.family,
            number=plan.number,
            trial_digest=trial_digest(plan, terms, inputs),
            hyperparameters=plan.hyperparameters.to_dict(),
            optimization=plan.optimization,
            terms=terms,
            epochs=terms.epochs * plan.epochs_factor,
            inputs=inputs,
            versions=package_versions(*VERSIONED_PACKAGES),
        )

    @property
    def key(self) -> str:
        """Where the record lies in storage."""
        return record_key(self.family, self.number)


class FinishedTrial(PlannedTrial):
    """A trial that was trained to its end. The weights are those of `best_epoch`."""

    status: Literal["finished"] = "finished"
    best_epoch: int
    validation_loss: float
    history: tuple[EpochFigures, ...]
    weights_key: str
    weights_digest: str
    parameters: int
    device: str
    seconds: float


class FailedTrial(PlannedTrial):
    """A trial whose hyperparameters could not be trained; `error` says why.

    lasting: whether the same would happen again, as with a loss that diverges; memory may be there the next time
    """

    status: Literal["failed"] = "failed"
    error: str
    lasting: bool
    seconds: float


TrialRecord = FinishedTrial | FailedTrial
_ADAPTER: TypeAdapter[TrialRecord] = TypeAdapter(Annotated[TrialRecord, Field(discriminator="status")])


def record_key(family: str, number: int) -> str:
    """Key of a trial's record."""
    return f"trials/{family}/{trial_key(number)}.json"


def trial_digest(plan: TrialPlan, terms: TrainingTerms, inputs: InputDigests) -> str:
    """Digest of everything that determines a trial's outcome.

    Threads, device and package versions are not part of it: they change results in their last bits, not what is
    compared.
    """
    return digest_of(
        {
            "family": plan.family,
            "hyperparameters": plan.hyperparameters.to_dict(),
            "optimization": asdict(plan.optimization),
            "terms": asdict(terms),
            "epochs_factor": plan.epochs_factor,
            "inputs": asdict(inputs),
        }
    )


def publish_weights(storage: Storage, family: str, data: bytes) -> Artifact:
    """Publish a network's bytes, before the record that names them."""
    return storage.publish_named_by_digest(f"trials/{family}/weights", ".safetensors", data)


def publish_record(storage: Storage, record: TrialRecord) -> Artifact:
    """Publish a record, last of all of its trial."""
    return storage.publish_json(record.key, record.model_dump(mode="json"))


def read_record(storage: Storage, key: str) -> TrialRecord:
    """The record at a key; `TrialRecordError` if the object is none, `ArtifactMissingError` if there is no object."""
    try:
        return _ADAPTER.validate_python(storage.read_json(key))
    except ValueError as error:
        raise TrialRecordError(
            f"{storage.uri(key)} is not a trial's record, materialize the trial again: {error}"
        ) from error


def read_records(storage: Storage, family: str) -> list[TrialRecord]:
    """Every record of a family, by trial number.

    An object that is no record is left out with a warning: its trial replaces it, the others stand.
    """
    keys = [key for key in storage.list(f"trials/{family}") if key.endswith(".json")]
    return [record for record in (_readable_record(storage, key) for key in keys) if record is not None]


def current_record(storage: Storage, planned: PlannedTrial) -> TrialRecord | None:
    """The stored record of a trial if it has the same digest and nothing else can come of it; else None.

    A finished trial whose weights are not there, one that failed for a reason that may pass and an object that is no
    record count as none: the trial replaces them.
    """
    if not storage.exists(planned.key):
        return None
    record = _readable_record(storage, planned.key)
    if record is None or record.trial_digest != planned.trial_digest:
        return None
    final = storage.exists(record.weights_key) if isinstance(record, FinishedTrial) else record.lasting
    return record if final else None


def _readable_record(storage: Storage, key: str) -> TrialRecord | None:
    try:
        return read_record(storage, key)
    except TrialRecordError as error:
        _LOGGER.warning("%s", error)
        return None
