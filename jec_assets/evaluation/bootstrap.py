"""The bootstrap: uncertainties from the spread of a statistic over resamplings of the jets (the paper, Section 5.3).

Belongs here: drawing resamples and computing means and quantiles on all of them. Does not belong here: what is asked of
the jets.

A resample is never written out: it is the number of times that each jet was drawn for it. These numbers are made
once for all jets and then indexed like any column, so that every correction, interval and flavor sees the same
resamples (paired), and values are sorted once, not once per resample. Whole events are drawn, because the jets of an
event are not independent. Row 0 is the sample itself, every jet once: a statistic and its resamples come from one
expression. Jets that are all of one event are only ever drawn together: their resamples repeat the sample, tell nothing
of how else it might have been, and count as undefined (NaN), in whatever is computed from them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.number import NO_JETS, ROUNDING, Number
from jec_assets.evaluation.resampled_quantiles import SortedJets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class WeightError(ValueError):
    """Weights that no sample can have."""


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
        # A jet's draws lie side by side in memory: jets are picked out and sorted far more often than resamples are.
        draws = np.ones((1 + self.resamples, len(event)), np.uint8, order="F")
        if len(names) == 0:
            return draws
        random = np.random.default_rng(self.seed)
        for row in draws[1:]:
            drawn = random.integers(len(names), size=len(names))
            row[:] = np.bincount(drawn, minlength=len(names))[event_of_jet]
        return draws


def means(
    values: NDArray[np.float64], draws: NDArray[np.integer], weight: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Mean of values (jets,) in each resample of draws (rows, jets), jets counting as much as their weight (jets,).

    Returns (rows,); NaN in a resample whose jets weigh nothing, and in all of them where the jets are of one event.
    `WeightError` for a negative weight.
    """
    weights = _checked(weight, len(values))
    # No BLAS: its sums depend on how many threads it takes.
    sums = np.einsum("sj,rj->rs", np.stack([weights * values, weights]), draws)
    found = quotient(sums[:, 0], sums[:, 1])
    if _of_one_event(draws, weights):
        found[1:] = np.nan
    return found


def share(chosen: NDArray[np.bool_], draws: NDArray[np.integer], weight: NDArray[np.float64] | None = None) -> Number:
    """Which share of the jets was chosen, bool (jets,); draws are (1 + resamples, jets), weight (jets,).

    Without an uncertainty where all of several jets were chosen or none, since then so they are in every resample; the
    note says how many of how many.
    """
    number = Number.of(means(chosen.astype(np.float64), draws, weight), len(chosen))
    if number.value is None or number.n == 1 or (chosen.any() and not chosen.all()):
        return number
    return Number(float(chosen[0]), None, number.n, f"{number.n if chosen[0] else 0} of {number.n}")


def quantiles(
    values: NDArray[np.float64],
    draws: NDArray[np.integer],
    probabilities: Sequence[float],
    weight: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Quantiles of values (jets,) in each resample of draws (rows, jets): (rows, probabilities).

    The rule: write the resample out, sort it, lay the jets side by side, each as wide as its weight (jets,), and put
    each value at the middle of its jet. The quantile at p is read at the share p of the way from the first middle to
    the last, linearly between middles. It depends on the weights' ratios only, and for equal weights it is what
    `numpy.quantile` interpolates linearly. (A jet of weight 2 isn't quite two jets: these would have two middles.)

    NaN in a resample whose jets weigh nothing, and in all of them where the jets are of one event. `WeightError` for a
    negative weight.
    """
    weights = _checked(weight, len(values))
    found = SortedJets.of(values, weights, draws).quantiles(np.asarray(probabilities, np.float64))
    if _of_one_event(draws, weights):
        found[1:] = np.nan
    return found


def _of_one_event(draws: NDArray[np.integer], weights: NDArray[np.float64]) -> bool:
    """Whether all jets that weigh something were drawn equally often in every resample."""
    counted = np.flatnonzero(weights)
    # The first and the last jet mostly save a look at all draws.
    if len(counted) == 0 or not np.array_equal(draws[:, counted[0]], draws[:, counted[-1]]):
        return False
    return bool((draws[:, counted] == draws[:, counted[:1]]).all())


def _checked(weight: NDArray[np.float64] | None, jets: int) -> NDArray[np.float64]:
    if weight is None:
        return np.ones(jets)
    if not (weight >= 0).all():
        raise WeightError(
            f"{np.count_nonzero(~(weight >= 0))} of {jets} jets have a negative weight or none: quantiles need "
            "weights of at least 0; look at eventWeight"
        )
    return weight


def effective_number(jets: int, weight: NDArray[np.float64] | None = None) -> float:
    """(sum w)^2 / sum w^2: how many equal jets would tell as much as these with weights (jets,); 0 for no jets."""
    weights = _checked(weight, jets)
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def without_rounding(spread: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """The spread of some values, and 0 where it is what rounding makes of equal ones of this scale; same shapes."""
    return np.where(spread <= ROUNDING * np.abs(scale), 0.0, spread)


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
