"""Tails of the response: jets whose pT is badly wrong.

Belongs here: how many there are, by two measures. Does not belong here: the core of the response (`resolution.py`).

A fixed measure, the share of jets with R below 0.7 or above 1.3, is what a cut in an analysis sees: a narrower response
has fewer. A relative one, the share of jets further than 3 widths from the median, with the width of the core, tells
whether the response has other tails than a Gaussian one, of which 0.27 % lie there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import REGIONS, Interval
from jec_assets.evaluation.bootstrap import quantiles, share
from jec_assets.evaluation.grouping import REGION_EDGES, bin_numbers, intervals_between, part, rows_of_cells
from jec_assets.evaluation.number import Number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets

LOWEST, HIGHEST = 0.7, 1.3  # response of a jet that isn't in a tail
WIDTHS = 3.0
GAUSSIAN_SHARE = 0.0027  # beyond 3 standard deviations
CORE = (0.16, 0.84)


@dataclass(frozen=True)
class Tails:
    """One correction in one region and interval of pT_gen: shares of the jets.

    below, above: with R < 0.7 and with R > 1.3; far: further than 3 (q84 - q16) / 2 from the median, missing where
    that width is 0
    """

    region: Interval
    interval: Interval
    correction: str
    below: Number
    above: Number
    far: Number


def tails(jets: CalibratedJets, draws: NDArray[np.integer], edges: Sequence[float]) -> tuple[Tails, ...]:
    """Every region, interval between edges of pT_gen in GeV, and correction, in this order of nesting.

    draws are (1 + resamples, jets). Median and width are those of the sample; the resamples vary the jets beyond.
    """
    responses = {correction: jets.responses(correction) for correction in jets.corrections}
    intervals = intervals_between(edges)
    cells = rows_of_cells(
        bin_numbers(jets.abs_gen_eta, REGION_EDGES), bin_numbers(jets.gen_pt, edges), (len(REGIONS), len(intervals))
    )
    return tuple(
        Tails(region, interval, correction, *_shares(values[rows], drawn, part(jets.weight, rows)))
        for region, row in zip(REGIONS, cells, strict=True)
        for interval, rows in zip(intervals, row, strict=True)
        for drawn in (draws[:, rows],)
        for correction, values in responses.items()
    )


def _shares(
    responses: NDArray[np.float64], draws: NDArray[np.integer], weight: NDArray[np.float64] | None
) -> tuple[Number, Number, Number]:
    n = len(responses)
    low, median, high = quantiles(responses, draws[:1], (CORE[0], 0.5, CORE[1]), weight)[0]
    width = (high - low) / 2
    below, above, far = (
        share(chosen, draws, weight)
        for chosen in (responses < LOWEST, responses > HIGHEST, np.abs(responses - median) > WIDTHS * width)
    )
    return below, above, Number.missing(n, "the width is 0" if n > 1 else f"n = {n}") if n and not width > 0 else far
