"""Which hyperparameters a trial tries.

Belongs here: from (family, seed, trial number) to a plan. Does not belong here: the ranges (`spaces.py`) and carrying a
plan out (`trial.py`).

Random search as in the paper (Section 4.1), with one difference: the first trial is the known optimum. A plan
depends on its own number alone, so trials may run in any order, on any machine, again, and in any number.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jec_assets.models.families import family_named
from jec_assets.search.spaces import OneOf, Uniform, space_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from optuna.distributions import BaseDistribution

    from jec_assets.models.hyperparameters import Hyperparameters
    from jec_assets.training.config import Optimization

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
    return planned(family, number, _draw(family, optuna_seed(family, seed, number)))


def planned(family: str, number: int, drawn: Mapping[str, Any]) -> TrialPlan:
    """The plan with values drawn from `distributions`."""
    space = space_of(family)
    network = {name: drawn[name] for name in space.network}
    optimization = replace(space.optimum, optimizer=drawn["optimizer"], learning_rate=drawn["learning_rate"])
    return TrialPlan(number, family_named(family).hyperparameters.from_dict(network), optimization, space.epochs_factor)


def distributions(family: str) -> dict[str, BaseDistribution]:
    """What is drawn for a trial of the family, by name, as Optuna has it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    space = space_of(family)
    ranges = {**space.network, "optimizer": OneOf(space.optimizers), "learning_rate": space.learning_rate}
    return {
        name: FloatDistribution(values.low, values.high)
        if isinstance(values, Uniform)
        else CategoricalDistribution(values.values)
        for name, values in ranges.items()
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna without its announcement of each study."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _draw(family: str, seed: int) -> dict[str, Any]:
    """What a random search that nobody else shares draws first."""
    import optuna

    with quiet():
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed))
    drawn: dict[str, Any] = study.ask(distributions(family)).params
    return drawn


def optuna_seed(family: str, seed: int, number: int) -> int:
    """A seed of the trial's own: hashed, so that neighboring numbers have nothing in common."""
    digest = hashlib.sha256(f"{family}/{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % MAX_OPTUNA_SEED
