"""A training that is killed and started again ends as if nothing had happened."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jec_assets.models.hyperparameters import Hyperparameters
from jec_assets.training.config import Optimization, TrainingConfig
from jec_assets_tests.training.killed import Killing, run, run_killed
from jec_assets_tests.training.samples import SMALL_PARTICLE_NET, SMALL_PFN

# 203 jets: 7 steps an epoch, 28 in all.
RANGER = Optimization("Ranger", 0.01, schedule="one_cycle", average_decay=0.9)
CONFIG = TrainingConfig(RANGER, epochs=4, batch_size=32, seed=3)
ADAM = replace(CONFIG, optimization=Optimization("Adam", 0.01, clip_norm=0.1), loss="quantile")
RMSPROP = replace(CONFIG, optimization=Optimization("RMSProp", 0.05, schedule="cosine"), patience=1)


@pytest.mark.parametrize(
    ("config", "hyperparameters"),
    [(CONFIG, SMALL_PFN), (CONFIG, SMALL_PARTICLE_NET), (ADAM, SMALL_PFN), (RMSPROP, SMALL_PFN)],
    ids=["Ranger, one cycle, average", "with BatchNorm", "Adam, clipped, quantiles", "RMSProp, patience"],
)
def test_killed_at_any_step_it_ends_with_the_same_bits(
    config: TrainingConfig, hyperparameters: Hyperparameters, tmp_path: Path
) -> None:
    assert hyperparameters.to_dict()["dropout"] > 0
    chance = random.Random(config.optimization.optimizer + hyperparameters.family)
    killings = [Killing("after the step", chance.randint(1, 6)) for _ in range(2)]
    killings += [Killing("while the checkpoint is written", chance.randint(1, 3))]
    expected, found = run(config, hyperparameters), run_killed(tmp_path, config, hyperparameters, killings)
    assert found.history == expected.history
    assert set(found.weights) == set(expected.weights)
    for name, tensor in expected.weights.items():
        assert torch.equal(found.weights[name], tensor), name


@pytest.mark.parametrize("step", [1, 7, 8, 14])
def test_killed_at_the_first_and_last_steps_of_an_epoch(step: int, tmp_path: Path) -> None:
    found = run_killed(tmp_path, CONFIG, SMALL_PFN, [Killing("after the step", step)])
    assert found.history == run(CONFIG, SMALL_PFN).history
