"""What a hyperparameter search says: correlations, the best trials, and the choice that another rule would have made.

Belongs here: Table 2 of the paper and the quartiles of its Section 5.1. Does not belong here: choosing the trial to
publish (`jec_assets.search`), which looks at validation losses alone, and importances (`importance.py`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.networks.importance import importances
from jec_assets.evaluation.number import ROUNDING, Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jec_assets.search.record import FinishedTrial
    from jec_assets.training.result import EpochFigures

TOP_TRIALS = 3
CORRELATION_MIN_TRIALS = 3
UNCERTAINTY_MIN_TRIALS = 10
QUARTILE_MIN_TRIALS = 4
QUARTILE_HYPERPARAMETERS = ("learning_rate", "dropout")
# Of how a trial was trained, what settings say for all trials of a study.
SHARED_OPTIMIZATION = ("schedule", "clip_norm", "average_decay")


class NoTrialsError(ValueError):
    """A family has no finished trial."""


@dataclass(frozen=True)
class EvaluatedTrial:
    """A finished trial. Losses are those of its best epoch; the test loss was measured after the choice was frozen.

    terms: what the study's trials are to have in common (epochs, batch size, seed, schedule, ...), by name.
    """

    number: int
    hyperparameters: dict[str, int | float | str]
    validation_loss: float
    test_loss: float
    history: tuple[EpochFigures, ...] = ()
    terms: tuple[tuple[str, int | float | str | None], ...] = ()

    @classmethod
    def of(cls, record: FinishedTrial, test_loss: float) -> EvaluatedTrial:
        """From a finished trial's record; learning rate and optimizer stand among the hyperparameters."""
        trained: dict[str, float | str] = {
            "learning_rate": record.optimization.learning_rate,
            "optimizer": record.optimization.optimizer,
        }
        shared = {name: getattr(record.optimization, name) for name in SHARED_OPTIMIZATION}
        terms = {**asdict(record.terms), "epochs": record.epochs, **shared}
        tried = {**record.hyperparameters, **trained}
        return cls(record.number, tried, record.validation_loss, test_loss, record.history, tuple(terms.items()))


@dataclass(frozen=True)
class RankedTrial:
    """A trial with its gain over the standard correction, (L_standard - L) / L on the test set."""

    trial: EvaluatedTrial
    gain: float


@dataclass(frozen=True)
class QuartileMeans:
    """A hyperparameter's mean in the quarter of the trials with the lowest test loss, and in that with the highest.

    Uncertainties are standard errors.
    """

    lower: Number
    upper: Number


@dataclass(frozen=True)
class SearchSummary:
    """A family's search.

    trials: all that the best was chosen from; top: the best by validation loss, best first; the first is the one to
    publish; lowest_test_loss: the trial that the paper's rule, lowest test loss, would have picked.

    other_terms: numbers of the trials that were trained on other terms than the best, e.g. for more epochs. They are
    not compared with the others in what follows.
    correlations: Pearson's coefficient of each numeric hyperparameter with 1 / test loss
    importances: share of each hyperparameter in what makes validation losses differ, see `importance.py`
    quartiles: of `QUARTILE_HYPERPARAMETERS`, where the family has them
    """

    trials: int
    top: tuple[RankedTrial, ...]
    lowest_test_loss: RankedTrial
    other_terms: tuple[int, ...]
    correlations: dict[str, Number]
    importances: dict[str, Number]
    quartiles: dict[str, QuartileMeans]

    @property
    def compared(self) -> int:
        """Trials that correlations, importances and quartiles are of."""
        return self.trials - len(self.other_terms)


def summarize_search(trials: Sequence[EvaluatedTrial], standard_loss: float, seed: int = 1) -> SearchSummary:
    """Summarize a family's finished trials. Equal losses rank by number. Raises `NoTrialsError` without trials.

    The seed is that of the forest behind importances.
    """
    if not trials:
        raise NoTrialsError("there is no finished trial to summarize: materialize the family's trials")
    by_validation = sorted(trials, key=lambda trial: (trial.validation_loss, trial.number))
    by_test = sorted(trials, key=lambda trial: (trial.test_loss, trial.number))
    best = by_validation[0]
    like_the_best = [trial for trial in trials if trial.terms == best.terms]
    tried = [trial.hyperparameters for trial in like_the_best]
    return SearchSummary(
        trials=len(trials),
        top=tuple(_ranked(trial, standard_loss) for trial in by_validation[:TOP_TRIALS]),
        lowest_test_loss=_ranked(by_test[0], standard_loss),
        other_terms=tuple(trial.number for trial in trials if trial.terms != best.terms),
        correlations={name: _correlation(like_the_best, name) for name in _numeric_hyperparameters(trials)},
        importances=importances(tried, [trial.validation_loss for trial in like_the_best], seed),
        quartiles={
            name: quartile_means([float(each[name]) for each in tried], [trial.test_loss for trial in like_the_best])
            for name in QUARTILE_HYPERPARAMETERS
            if name in best.hyperparameters
        },
    )


def pearson(x: Sequence[float], y: Sequence[float]) -> Number:
    """Pearson's correlation coefficient rho of paired values, missing for fewer than 3 and where a side is constant.

    Its uncertainty is half of the 68 % interval of R. A. Fisher (Metron 1 (1921) 3), in which artanh(rho) has the
    standard deviation 1 / sqrt(n - 3). That is an approximation for many pairs: fewer than 10 have none, and neither
    have pairs on a straight line.
    """
    n = len(x)
    if n < CORRELATION_MIN_TRIALS:
        return Number.missing(n, f"n = {n}: too few trials")
    if len(set(x)) == 1 or len(set(y)) == 1:
        return Number.missing(n, "the same in every trial")
    rho = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
    if n < UNCERTAINTY_MIN_TRIALS:
        return Number(rho, None, n, f"n = {n}")
    if 1 - abs(rho) <= ROUNDING:
        return Number(rho, None, n, "a straight line")
    low, high = np.tanh(np.arctanh(rho) + np.array([-1, 1]) / np.sqrt(n - 3))
    return Number(rho, float(high - low) / 2, n)


def quartile_means(values: Sequence[float], losses: Sequence[float]) -> QuartileMeans:
    """Means of paired values over the quarters with the lowest and with the highest losses (the paper, Section 5.1).

    A quarter of n trials has n // 4 of them; missing for fewer than 4 trials.
    """
    n = len(values)
    if n < QUARTILE_MIN_TRIALS:
        missing = Number.missing(n, f"n = {n}: too few trials")
        return QuartileMeans(missing, missing)
    ranked = np.asarray(values, np.float64)[np.argsort(losses, kind="stable")]
    size = n // 4
    return QuartileMeans(_mean(ranked[:size]), _mean(ranked[-size:]))


def _mean(values: NDArray[np.float64]) -> Number:
    n = len(values)
    if n == 1:
        return Number(float(values[0]), None, 1, "n = 1")
    return Number(float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)), n)


def _correlation(trials: Sequence[EvaluatedTrial], name: str) -> Number:
    values = [float(trial.hyperparameters[name]) for trial in trials]
    return pearson(values, [1 / trial.test_loss for trial in trials])


def _numeric_hyperparameters(trials: Sequence[EvaluatedTrial]) -> list[str]:
    first = trials[0].hyperparameters
    return [name for name, value in first.items() if isinstance(value, int | float)]


def _ranked(trial: EvaluatedTrial, standard_loss: float) -> RankedTrial:
    return RankedTrial(trial, (standard_loss - trial.test_loss) / trial.test_loss)
