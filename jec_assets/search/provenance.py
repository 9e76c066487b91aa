"""What a trial was computed from, so that records can be compared with the present.

Belongs here: the digests that make a record current or stale. Does not belong here: the record itself (`record.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jec_assets.jets.splits import load_split_record
from jec_assets.storage import code_digest
from jec_assets.training.config import LossName, WeightingName

if TYPE_CHECKING:
    from jec_assets.storage import Storage


# What a training says of itself, how it is kept and started, and counts in closed form.
DECIDES_NOTHING = tuple(
    f"jec_assets.{package}/{module}.py"
    for package, modules in {
        "models": ("complexity",),
        "training": (
            *("audience", "checkpoint", "divergence", "faults", "job", "launch", "progress", "scalars"),
            *("tensor_tree", "worker"),
            *(f"nodes/{name}" for name in ("__init__", "ending", "files", "follow", "indexed_job", "kubeflow")),
            *(f"nodes/{name}" for name in ("meeting", "node", "pods", "start")),
        ),
    }.items()
    for module in modules
)


@dataclass(frozen=True)
class InputDigests:
    """Everything outside the search that a trial's outcome depends on."""

    training_jets: str
    validation_jets: str
    feature_set: str
    code_version: str


@dataclass(frozen=True)
class TrainingTerms:
    """What the trainings of all trials of a study have in common, as `TrainingConfig` takes it.

    The seed is that of initial weights, dropout and the order of jets.
    """

    epochs: int
    batch_size: int
    seed: int
    loss: LossName = "absolute"
    weighting: WeightingName = "none"
    patience: int | None = None


def present_inputs(storage: Storage) -> InputDigests:
    """The digests of the published splits and of this code; ArtifactMissingError where a split was not materialized."""
    (training, _), (validation, _) = load_split_record(storage, "train"), load_split_record(storage, "validation")
    return InputDigests(training.digest, validation.digest, training.feature_set, code_version())


@cache
def code_version() -> str:
    """Digest of the sources that decide a trial's outcome: features and their arrays, networks, training, the trial.

    A source that is added counts, until it is named in `DECIDES_NOTHING`. Taken once a process: what runs is what was
    imported, even if somebody edits a source meanwhile.
    """
    from jec_assets import models, training
    from jec_assets.jets import cache, dataset, features, identity, labels, packed
    from jec_assets.search import trial

    jets = (features, packed, labels, identity, dataset, cache)
    return code_digest(*jets, models, training, trial, leaving_out=DECIDES_NOTHING)
