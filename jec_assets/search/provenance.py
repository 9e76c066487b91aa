"""What a trial was computed from, so that records can be compared with the present.

Belongs here: the digests that make a record current or stale. Does not belong here: the record itself (`record.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jec_assets.jets.splits import load_split_record
from jec_assets.storage import code_digest

if TYPE_CHECKING:
    from jec_assets.storage import Storage


@dataclass(frozen=True)
class InputDigests:
    """Everything outside the search that a trial's outcome depends on."""

    training_jets: str
    validation_jets: str
    feature_set: str
    code_version: str


@dataclass(frozen=True)
class TrainingBudget:
    """How much training each trial gets; the seed is that of initial weights, dropout and the order of jets."""

    epochs: int
    batch_size: int
    seed: int


def present_inputs(storage: Storage) -> InputDigests:
    """The digests of the published splits and of this code; ArtifactMissingError where a split was not materialized."""
    (training, _), (validation, _) = load_split_record(storage, "train"), load_split_record(storage, "validation")
    return InputDigests(training.digest, validation.digest, training.feature_set, code_version())


@cache
def code_version() -> str:
    """Digest of the sources that decide a trial's outcome: features and packing, networks, training, search.

    Taken once a process: what runs is what was imported, even if somebody edits a source meanwhile.
    """
    from jec_assets import models, search, training
    from jec_assets.jets import dataset, features, packed

    return code_digest(features, packed, dataset, models, training, search)
