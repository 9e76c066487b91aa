"""The loss and its comparison between corrections.

Belongs here: the loss that networks are trained with, as plain NumPy, and gains over baselines. Does not belong here:
the same loss on tensors (`jec_assets.training`) and how baselines are fitted (`baselines.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import GEN_PT_INTERVALS, INCLUSIVE, REGIONS, Interval
from jec_assets.evaluation.bootstrap import effective_number, improvement, means, quotient
from jec_assets.evaluation.grouping import part
from jec_assets.evaluation.number import Number
from jec_assets.training.config import MAX_ABS_TARGET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets

INTERVALS = (INCLUSIVE, *GEN_PT_INTERVALS)


def jet_losses(target: NDArray[np.floating], log_factor: NDArray[np.floating]) -> NDArray[np.float64]:
    """|y - y_hat| I(|y| < 1) of each jet, (jets,): the summands of Eq. 1."""
    y = np.asarray(target, np.float64)
    return np.where(np.abs(y) < MAX_ABS_TARGET, np.abs(y - np.asarray(log_factor, np.float64)), 0.0)


@dataclass(frozen=True)
class CorrectionLoss:
    """A correction's loss on some jets, compared with baselines on the same jets.

    gain: (L_baseline - L) / L per baseline, as in Table 2; below: (L_baseline - L) / L_baseline per baseline
    effective_jets: (sum w)^2 / sum w^2, the number of jets where they have no weights
    """

    correction: str
    loss: Number
    gain: dict[str, Number]
    below: dict[str, Number]
    effective_jets: float


def compare_losses(
    target: NDArray[np.floating],
    log_factors: Mapping[str, NDArray[np.floating]],
    baselines: tuple[str, ...],
    draws: NDArray[np.integer],
    weight: NDArray[np.float64] | None = None,
) -> tuple[CorrectionLoss, ...]:
    """Loss (Eq. 1: the mean over all jets, those without loss included) of each correction, in the mapping's order.

    target, weight and every log factor are (jets,), draws (1 + resamples, jets). `baselines` are names of corrections;
    gains are paired: loss and baseline come from the same resamples.
    """
    n = len(target)
    losses = {name: means(jet_losses(target, factor), draws, weight) for name, factor in log_factors.items()}
    return tuple(
        CorrectionLoss(
            correction=name,
            loss=Number.of(loss, n),
            gain={baseline: Number.of(quotient(losses[baseline], loss) - 1, n) for baseline in baselines},
            below={baseline: improvement(loss, losses[baseline], n) for baseline in baselines},
            effective_jets=effective_number(n, weight),
        )
        for name, loss in losses.items()
    )


@dataclass(frozen=True)
class IntervalLosses:
    """The losses of all corrections in one region and interval of pT_gen."""

    region: Interval
    interval: Interval
    losses: tuple[CorrectionLoss, ...]


def losses_in_intervals(
    jets: CalibratedJets,
    log_factors: Mapping[str, NDArray[np.floating]],
    baselines: tuple[str, ...],
    draws: NDArray[np.integer],
) -> tuple[IntervalLosses, ...]:
    """`compare_losses` in every region and interval, jets counting as much as they weigh.

    Log factors are (jets,), draws (1 + resamples, jets).
    """
    results = []
    for region in REGIONS:
        in_region = region.contains(jets.abs_gen_eta)
        for interval in INTERVALS:
            rows = np.flatnonzero(in_region & interval.contains(jets.gen_pt))
            factors = {name: factor[rows] for name, factor in log_factors.items()}
            losses = compare_losses(jets.target[rows], factors, baselines, draws[:, rows], part(jets.weight, rows))
            results.append(IntervalLosses(region, interval, losses))
    return tuple(results)
