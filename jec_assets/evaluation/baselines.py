"""The three baselines that a network's loss must beat.

Belongs here: corrections that know nothing of a jet's substructure, fitted on the training jets with the same loss as
the networks:

standard    the standard correction as it stands: log factor 0
constant    the best constant shift of it
kinematics  a regression on (log pT, eta) alone
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.training.config import MAX_ABS_TARGET

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import polars as pl
    from numpy.typing import NDArray
    from sklearn.ensemble import HistGradientBoostingRegressor

CONSTANT = "constant"
KINEMATICS = "kinematics"
BASELINES = (STANDARD, CONSTANT, KINEMATICS)


class BaselineError(ValueError):
    """There are no jets that a baseline could be fitted to."""


@dataclass(frozen=True)
class Baselines:
    """The fitted baselines. constant: log factor; kinematics: regression from (log pT, eta) to the log factor."""

    constant: float
    kinematics: HistGradientBoostingRegressor

    @classmethod
    def fit(cls, training: pl.DataFrame, seed: int) -> Baselines:
        """Fit on training jets with the columns jetPt (GeV), jetEta and target.

        Raises `BaselineError` where no jet carries loss.
        """
        target = training["target"].to_numpy().astype(np.float64)
        constant = best_constant(target)
        kept = np.abs(target) < MAX_ABS_TARGET
        regression = _regression(seed)
        with _one_thread():
            regression.fit(_kinematics(training)[kept], target[kept])
        return cls(constant, regression)

    def log_factors(self, jets: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
        """Each baseline's log factor for jets with the columns jetPt and jetEta, (jets,), in the order of BASELINES."""
        n = len(jets)
        with _one_thread():
            predicted = self.kinematics.predict(_kinematics(jets)) if n else np.zeros(0)
        return {STANDARD: np.zeros(n), CONSTANT: np.full(n, self.constant), KINEMATICS: predicted}


def best_constant(target: NDArray[np.float64]) -> float:
    """The constant prediction with the lowest loss (Eq. 1) on target (jets,).

    Jets with |target| >= 1 carry no loss whatever is predicted, so it is the median of the others. Raises
    `BaselineError` where there are none.
    """
    kept = target[np.abs(target) < MAX_ABS_TARGET]
    if len(kept) == 0:
        raise BaselineError(
            f"none of {len(target)} training jets has |target| < {MAX_ABS_TARGET:g}, so no baseline can be fitted: "
            f"check the selection and the source of the jets"
        )
    return float(np.median(kept))


def _kinematics(jets: pl.DataFrame) -> NDArray[np.float64]:
    """(log pT, eta) of reconstructed jets, (jets, 2)."""
    return np.stack([np.log(jets["jetPt"].to_numpy()), jets["jetEta"].to_numpy()], axis=-1).astype(np.float64)


def _one_thread() -> AbstractContextManager[object]:
    """Keep scikit-learn to one thread: sums then don't depend on the number of cores, no thread waits for others."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def _regression(seed: int) -> HistGradientBoostingRegressor:
    from sklearn.ensemble import HistGradientBoostingRegressor

    # Small trees with well-filled leaves: of the settings tried, they generalize best from 20,000 jets, which makes
    # this baseline the hardest to beat.
    return HistGradientBoostingRegressor(
        loss="absolute_error", max_leaf_nodes=8, min_samples_leaf=100, early_stopping=False, random_state=seed
    )
