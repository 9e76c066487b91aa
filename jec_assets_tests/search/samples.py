"""A study small enough to run in a test: learnable jets in caches, small plans."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from jec_assets.jets.labels import LabeledJets
from jec_assets.search.provenance import InputDigests, TrainingTerms, code_version
from jec_assets.search.record import FailedTrial, FinishedTrial, PlannedTrial
from jec_assets.search.sampler import TrialPlan
from jec_assets.search.trial import Study, TrialInputs
from jec_assets.storage import Storage
from jec_assets.training.config import Computation, Optimization
from jec_assets.training.progress import Progress
from jec_assets.training.result import EpochFigures
from jec_assets_tests.training.samples import INPUTS, SMALL_PFN, learnable_jets

TERMS = TrainingTerms(epochs=3, batch_size=32, seed=1)
TRAINING, VALIDATION = learnable_jets(203, seed=1), learnable_jets(61, seed=2)
DIGESTS = InputDigests("training", "validation", "sample", "code")
EPOCH = EpochFigures(1, 0.08, 0.07, 1e-3, 0.5, 1e4)


def silent(_: Progress) -> None:
    pass


def write_cache(folder: Path, jets: LabeledJets) -> Path:
    """The jets as `jec_assets.jets.cache.open_cache` wants them, in the order given."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in (jets.packed, jets.labels):
        for field in fields(part):
            np.save(folder / f"{field.name}.npy", getattr(part, field.name))
    return folder


def inputs(folder: Path, training: LabeledJets = TRAINING, name: str = "training") -> TrialInputs:
    """The sample's jets in caches below a folder."""
    caches = (write_cache(folder / name, training), write_cache(folder / "validation", VALIDATION))
    return TrialInputs(*caches, INPUTS, InputDigests(name, "validation", "sample", code_version()))


def study(storage: Storage, terms: TrainingTerms = TERMS, given: TrialInputs | None = None) -> Study:
    folder = Path(storage.root).parent
    given = given or inputs(folder / "caches")
    return Study(storage, given, terms, folder, Computation(threads=1))


def plan(number: int = 0, **changes: Any) -> TrialPlan:
    return TrialPlan(number, SMALL_PFN, Optimization(**{"optimizer": "Adam", "learning_rate": 0.01, **changes}))


def finished(number: int, loss: float, digests: InputDigests = DIGESTS) -> FinishedTrial:
    return FinishedTrial(
        **dict(PlannedTrial.of(plan(number), TERMS, digests)),
        best_epoch=1,
        validation_loss=loss,
        history=(EPOCH,),
        weights_key=f"trials/pfn/weights/{number}.safetensors",
        weights_digest=str(number),
        parameters=100,
        device="cpu",
        seconds=1.0,
    )


def failed(number: int, digests: InputDigests = DIGESTS) -> FailedTrial:
    return FailedTrial(
        **dict(PlannedTrial.of(plan(number), TERMS, digests)), error="loss nan", lasting=False, seconds=1.0
    )
