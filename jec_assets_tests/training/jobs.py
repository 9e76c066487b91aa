"""Small training jobs whose jets lie in caches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from jec_assets.jets.cache import LABEL_ARRAYS, PACKED_ARRAYS
from jec_assets.jets.labels import LabeledJets
from jec_assets.models.hyperparameters import Hyperparameters
from jec_assets.models.saving import NetworkDescription
from jec_assets.training.config import Optimization, TrainingConfig
from jec_assets.training.job import TrainingJob
from jec_assets_tests.training.samples import INPUTS, SMALL_PARTICLE_NET, SMALL_PFN, learnable_jets

TRAINING = learnable_jets(403, seed=1)
VALIDATION = learnable_jets(101, seed=2)
PFN = replace(SMALL_PFN, dropout=0.0)
# The graph of a second block would be that of the first one's output, whose last bits choose among near neighbors.
PARTICLE_NET = replace(SMALL_PARTICLE_NET, blocks=1, dropout=0.0)
# 13 batches of 31 jets, an odd number.
CONFIG = TrainingConfig(Optimization("Adam", 0.01), epochs=3, batch_size=31, seed=3)


def cached(jets: LabeledJets, folder: Path) -> Path:
    """A folder for `jec_assets.jets.cache.open_cache`."""
    folder.mkdir(parents=True)
    for names, container in ((PACKED_ARRAYS, jets.packed), (LABEL_ARRAYS, jets.labels)):
        for name in names:
            np.save(folder / f"{name}.npy", getattr(container, name))
    return folder


def a_job(
    folder: Path,
    hyperparameters: Hyperparameters = PFN,
    config: TrainingConfig = CONFIG,
    training: LabeledJets = TRAINING,
) -> TrainingJob:
    """A job, with its caches, in a folder that is empty or doesn't exist."""
    return TrainingJob(
        NetworkDescription(hyperparameters.family, hyperparameters, "paper", INPUTS),
        config,
        cached(training, folder / "training"),
        cached(VALIDATION, folder / "validation"),
        folder / "job",
    )
