"""Resolution of the response: interquartile range over median, and its improvement beta.

Belongs here: Eqs. 4 and 5 of the paper in its regions, intervals and logarithmic bins of pT_gen. All flavors enter,
unknown ones too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import GEN_PT_INTERVALS, INCLUSIVE, REGIONS, RESOLUTION_EDGES, Interval, bins_between
from jec_assets.evaluation.bootstrap import improvement, quantiles, quotient
from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.evaluation.number import Number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets

INTERVALS = (INCLUSIVE, *GEN_PT_INTERVALS)
BINS = bins_between(RESOLUTION_EDGES)


@dataclass(frozen=True)
class Resolution:
    """One correction in one region and interval of pT_gen.

    resolution: s = (R_75% - R_25%) / R_50% (Eq. 4); missing for fewer than 2 jets
    beta: 1 - s / s of the standard correction (Eq. 5)
    """

    region: Interval
    interval: Interval
    correction: str
    resolution: Number
    beta: Number

    @property
    def ratio(self) -> Number:
        """s / s of the standard correction: 1 - beta."""
        return self.beta if self.beta.value is None else replace(self.beta, value=1 - self.beta.value)


def resolution(
    jets: CalibratedJets, draws: NDArray[np.integer], intervals: tuple[Interval, ...] = INTERVALS
) -> tuple[Resolution, ...]:
    """Every region, interval and correction, in this order of nesting; draws are (1 + resamples, jets)."""
    responses = {correction: jets.responses(correction) for correction in jets.corrections}
    results: list[Resolution] = []
    for region in REGIONS:
        in_region = region.contains(jets.abs_gen_eta)
        for interval in intervals:
            rows = np.flatnonzero(in_region & interval.contains(jets.gen_pt))
            drawn = draws[:, rows]
            widths = {name: relative_width(values[rows], drawn) for name, values in responses.items()}
            results += _compare(region, interval, widths, len(rows))
    return tuple(results)


def relative_width(responses: NDArray[np.float64], draws: NDArray[np.integer]) -> NDArray[np.float64]:
    """s = (R_75% - R_25%) / R_50% (Eq. 4) of responses (jets,) in each resample: (1 + resamples,)."""
    low, median, high = quantiles(responses, draws, (0.25, 0.5, 0.75)).T
    return quotient(high - low, median)


def _compare(region: Interval, interval: Interval, widths: dict[str, NDArray[np.float64]], n: int) -> list[Resolution]:
    if n == 1:
        alone = Number.missing(1, "n = 1")
        return [Resolution(region, interval, correction, alone, alone) for correction in widths]
    return [
        Resolution(region, interval, correction, Number.of(width, n), improvement(width, widths[STANDARD], n))
        for correction, width in widths.items()
    ]
