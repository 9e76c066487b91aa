"""What a hyperparameter search says: correlations, the best trials, and the choice that another rule would have made.

Belongs here: Table 2 of the paper. Does not belong here: choosing the trial to publish (`jec_assets.search`), which
looks at validation losses alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.number import Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.search.record import FinishedTrial
    from jec_assets.training.result import EpochFigures

TOP_TRIALS = 3
CORRELATION_MIN_TRIALS = 3


class NoTrialsError(ValueError):
    """A family has no finished trial."""


@dataclass(frozen=True)
class EvaluatedTrial:
    """A finished trial. Losses are those of its best epoch; the test loss was measured after the choice was frozen."""

    number: int
    hyperparameters: dict[str, int | float | str]
    validation_loss: float
    test_loss: float
    history: tuple[EpochFigures, ...] = ()

    @classmethod
    def of(cls, record: FinishedTrial, test_loss: float) -> EvaluatedTrial:
        """From a finished trial's record; learning rate and optimizer stand among the hyperparameters."""
        trained: dict[str, float | str] = {
            "learning_rate": record.optimization.learning_rate,
            "optimizer": record.optimization.optimizer,
        }
        tried = {**record.hyperparameters, **trained}
        return cls(record.number, tried, record.validation_loss, test_loss, record.history)


@dataclass(frozen=True)
class RankedTrial:
    """A trial with its gain over the standard correction, (L_standard - L) / L on the test set."""

    trial: EvaluatedTrial
    gain: float


@dataclass(frozen=True)
class SearchSummary:
    """A family's search.

    correlations: Pearson's coefficient of each numeric hyperparameter with 1 / test loss
    top: the best trials by validation loss, best first; the first is the one to publish
    lowest_test_loss: the trial that the paper's rule, lowest test loss, would have picked
    """

    trials: int
    correlations: dict[str, Number]
    top: tuple[RankedTrial, ...]
    lowest_test_loss: RankedTrial


def summarize_search(trials: Sequence[EvaluatedTrial], standard_loss: float) -> SearchSummary:
    """Summarize a family's finished trials. Equal losses rank by number. Raises `NoTrialsError` without trials."""
    if not trials:
        raise NoTrialsError("there is no finished trial to summarize: materialize the family's trials")
    by_validation = sorted(trials, key=lambda trial: (trial.validation_loss, trial.number))
    by_test = sorted(trials, key=lambda trial: (trial.test_loss, trial.number))
    return SearchSummary(
        trials=len(trials),
        correlations={name: _correlation(trials, name) for name in _numeric_hyperparameters(trials)},
        top=tuple(_ranked(trial, standard_loss) for trial in by_validation[:TOP_TRIALS]),
        lowest_test_loss=_ranked(by_test[0], standard_loss),
    )


def pearson(x: Sequence[float], y: Sequence[float]) -> Number:
    """Pearson's correlation coefficient rho of paired values, with its standard error sqrt((1 - rho^2) / (n - 2)).

    Missing for fewer than 3 pairs and where either side is constant.
    """
    n = len(x)
    if n < CORRELATION_MIN_TRIALS:
        return Number.missing(n, f"n = {n}: too few trials")
    if len(set(x)) == 1 or len(set(y)) == 1:
        return Number.missing(n, "the same in every trial")
    rho = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
    return Number(rho, float(np.sqrt((1 - rho**2) / (n - 2))), n)


def _correlation(trials: Sequence[EvaluatedTrial], name: str) -> Number:
    values = [float(trial.hyperparameters[name]) for trial in trials]
    return pearson(values, [1 / trial.test_loss for trial in trials])


def _numeric_hyperparameters(trials: Sequence[EvaluatedTrial]) -> list[str]:
    first = trials[0].hyperparameters
    return [name for name, value in first.items() if isinstance(value, int | float)]


def _ranked(trial: EvaluatedTrial, standard_loss: float) -> RankedTrial:
    return RankedTrial(trial, (standard_loss - trial.test_loss) / trial.test_loss)
