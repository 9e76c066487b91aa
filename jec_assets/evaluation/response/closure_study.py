"""Whether networks close by themselves and with a residual correction, and what that does to their loss.

Belongs here: putting both side by side on the same test jets. Does not belong here: closure (`closure.py`) and residual
corrections (`residual.py`) themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bootstrap import means, share
from jec_assets.evaluation.loss import jet_losses
from jec_assets.evaluation.number import Number
from jec_assets.evaluation.response.closure import Closure, ClosureVerdict, closure, closure_verdicts
from jec_assets.evaluation.response.residual import ResidualCorrection, derive_residuals, with_residuals
from jec_assets.evaluation.responses import calibrated_pt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets


@dataclass(frozen=True)
class ClosureSide:
    """The closure of every correction, and every correction's loss (Eq. 1 of the paper)."""

    closures: tuple[Closure, ...]
    losses: dict[str, Number]

    @property
    def verdicts(self) -> dict[str, ClosureVerdict]:
        """The gate's verdict on each family."""
        return {verdict.family: verdict for verdict in closure_verdicts(self.closures)}


@dataclass(frozen=True)
class ClosureStudy:
    """The same jets under the networks alone, and with their residual corrections.

    held: for each family the share of jets beyond the points of its residual correction
    """

    alone: ClosureSide
    with_residual: ClosureSide
    residuals: dict[str, ResidualCorrection]
    held: dict[str, Number]


def study_closure(test: CalibratedJets, validation: CalibratedJets, draws: NDArray[np.integer]) -> ClosureStudy:
    """Judge the test jets, with residual corrections of the validation jets; draws are (1 + resamples, test jets)."""
    residuals = derive_residuals(validation)
    held = {
        family: residuals[family].held(calibrated_pt(test.jet_pt, test.log_factors[family]), test.abs_eta)
        for family in test.families
    }
    return ClosureStudy(
        _side(test, draws),
        _side(with_residuals(test, residuals), draws),
        residuals,
        {family: share(flags, draws, test.weight) for family, flags in held.items()},
    )


def _side(jets: CalibratedJets, draws: NDArray[np.integer]) -> ClosureSide:
    losses = {name: _mean(jet_losses(jets.target, factor), jets, draws) for name, factor in jets.log_factors.items()}
    return ClosureSide(closure(jets, draws), losses)


def _mean(values: NDArray[np.float64], jets: CalibratedJets, draws: NDArray[np.integer]) -> Number:
    return Number.of(means(values, draws, jets.weight), len(jets))
