"""The bootstrap: uncertainties from the spread of a statistic over resamplings of the jets (the paper, Section 5.3).

Belongs here: drawing resamples and computing means and quantiles on all of them. Does not belong here: what is asked of
the jets.

A resample is never written out: it is the number of times that each jet was drawn for it. These numbers are made
once for all jets and then indexed like any column, so that every correction, interval and flavor sees the same
resamples (paired), and values are sorted once, not once per resample. Whole events are drawn, because the jets of an
event are not independent. Row 0 is the sample itself, every jet once: a statistic and its resamples come from one
expression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.number import NO_JETS, Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Resampling:
    """How many resamples to draw (the paper: 30), and from which seed."""

    resamples: int = 30
    seed: int = 1

    def draws(self, event: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """How often each jet occurs in each resample, (1 + resamples, jets); row 0 is all ones.

        `event` (jets,) is equal for jets of one event. The draw depends on the seed and on the set of events, not on
        the order of the jets. An event occurs Poisson(1)-like often in a resample: 8 bits are ample.
        """
        names, event_of_jet = np.unique(event, return_inverse=True)
        draws = np.ones((1 + self.resamples, len(event)), np.uint8)
        if len(names) == 0:
            return draws
        random = np.random.default_rng(self.seed)
        for row in draws[1:]:
            drawn = random.integers(len(names), size=len(names))
            row[:] = np.bincount(drawn, minlength=len(names))[event_of_jet]
        return draws


def means(values: NDArray[np.float64], draws: NDArray[np.integer]) -> NDArray[np.float64]:
    """Mean of values (jets,) in each resample of draws (rows, jets): (rows,); NaN in one without jets."""
    sums = np.array([np.dot(row.astype(np.float64), values) for row in draws])
    return quotient(sums, draws.sum(axis=1, dtype=np.float64))


def quantiles(
    values: NDArray[np.float64], draws: NDArray[np.integer], probabilities: Sequence[float]
) -> NDArray[np.float64]:
    """Quantiles of values (jets,) in each resample of draws (rows, jets): (rows, probabilities).

    Interpolates linearly between order statistics, as `numpy.quantile` does on the resample written out; NaN in a
    resample without jets.
    """
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    result = np.full((len(draws), len(probabilities)), np.nan)
    for row, counts in zip(result, draws, strict=True):
        behind = np.cumsum(counts[order], dtype=np.int64)  # jets of the resample up to and including this one
        if len(behind) == 0 or behind[-1] == 0:
            continue
        position = np.asarray(probabilities) * (behind[-1] - 1)
        below = np.floor(position).astype(np.int64)
        above = np.minimum(below + 1, behind[-1] - 1)
        low, high = ranked[np.searchsorted(behind, np.stack([below, above]), side="right")]
        row[:] = low + (high - low) * (position - below)
    return result


def quotient(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numerator over denominator, NaN where the denominator is 0 or either is NaN; same shape."""
    undefined = np.full(np.shape(denominator), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=np.nan_to_num(denominator) != 0))


def improvement(model: NDArray[np.float64], baseline: NDArray[np.float64], n: int) -> Number:
    """1 - model / baseline of a statistic that should be small, row by row over the same resamples (rows,)."""
    if n == 0:
        return Number.missing(0, NO_JETS)
    if baseline[0] == 0:
        return Number.missing(n, "the baseline is 0")
    return Number.of(1 - quotient(model, baseline), n)
