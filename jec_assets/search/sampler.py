"""Which hyperparameters a trial tries.

Belongs here: from (family, seed, trial number) to a plan. Does not belong here: the ranges (`spaces.py`) and carrying a
plan out (`trial.py`).

Random search as in the paper (Section 4.1), with one difference: the first trial is the known optimum. A plan
depends on its own number alone, so trials may run in any order, on any machine, again, and in any number.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from jec_assets.models.families import family_named
from jec_assets.search.spaces import OneOf, Uniform, space_of

if TYPE_CHECKING:
    from optuna import Trial

    from jec_assets.models.hyperparameters import Hyperparameters
    from jec_assets.training.config import Optimization, OptimizerName

OPTIMUM_TRIAL = 0
MAX_OPTUNA_SEED = 2**32


@dataclass(frozen=True)
class TrialPlan:
    """What one trial tries: a network and how it is trained."""

    number: int
    hyperparameters: Hyperparameters
    optimization: Optimization
    epochs_factor: int = 1

    @property
    def family(self) -> str:
        """The family's name."""
        return self.hyperparameters.family


def trial_key(number: int) -> str:
    """A trial's number as it appears in storage and as a partition: three digits, `007`."""
    return f"{number:03d}"


def plan_trial(family: str, seed: int, number: int) -> TrialPlan:
    """The plan of a family's trial: number 0 is the known optimum, the others are drawn."""
    if number < 0:
        raise ValueError(f"trials are numbered from 0 on, got {number}")
    space = space_of(family)
    if number == OPTIMUM_TRIAL:
        optimum = family_named(family).optimum
        return TrialPlan(number, optimum, space.optimum, space.epochs_factor)
    draw = _ask(_optuna_seed(family, seed, number))
    network = {name: _suggest(draw, name, values) for name, values in space.network.items()}
    optimization = replace(
        space.optimum,
        optimizer=cast("OptimizerName", draw.suggest_categorical("optimizer", space.optimizers)),
        learning_rate=draw.suggest_float("learning_rate", space.learning_rate.low, space.learning_rate.high),
    )
    hyperparameters = family_named(family).hyperparameters.from_dict(network)
    return TrialPlan(number, hyperparameters, optimization, space.epochs_factor)


def _suggest(draw: Trial, name: str, values: OneOf | Uniform) -> int | float:
    if isinstance(values, Uniform):
        return draw.suggest_float(name, values.low, values.high)
    value: int = draw.suggest_categorical(name, values.values)
    return value


def _ask(seed: int) -> Trial:
    """A trial of a random search that nobody else shares."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else each study announces itself
    try:
        return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed)).ask()
    finally:
        optuna.logging.set_verbosity(verbosity)


def _optuna_seed(family: str, seed: int, number: int) -> int:
    """A seed of the trial's own: hashed, so that neighboring numbers have nothing in common."""
    digest = hashlib.sha256(f"{family}/{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % MAX_OPTUNA_SEED
