"""Resolution of the response: interquartile range over median, and its improvement beta.

Belongs here: Eqs. 4 and 5 of the paper in its regions, intervals and logarithmic bins of pT_gen, for all flavors
together, unknown ones too, or for one. Does not belong here: what is left of beta once the response's dependence on
pT_gen is taken out (`shrinkage.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import (
    ALL_FLAVORS,
    GEN_PT_INTERVALS,
    INCLUSIVE,
    REGIONS,
    RESOLUTION_EDGES,
    UNBIASED_INCLUSIVE,
    UNBIASED_LOWEST,
    Interval,
    bins_between,
    of_flavor,
)
from jec_assets.evaluation.bootstrap import improvement, quotient, without_rounding
from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.evaluation.number import Number
from jec_assets.evaluation.sample import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets

PUBLISHED_INTERVALS = (INCLUSIVE, *GEN_PT_INTERVALS)
INTERVALS = (INCLUSIVE, UNBIASED_INCLUSIVE, GEN_PT_INTERVALS[0], UNBIASED_LOWEST, *GEN_PT_INTERVALS[1:])
BINS = bins_between(RESOLUTION_EDGES)
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Resolution:
    """One correction in one region and interval of pT_gen, for one flavor or ALL_FLAVORS.

    resolution: s = (R_75% - R_25%) / R_50% (Eq. 4); missing for fewer than 2 jets
    beta: 1 - s / s of the standard correction (Eq. 5)
    effective_jets: (sum w)^2 / sum w^2, the number of jets where they have no weights
    """

    region: Interval
    interval: Interval
    flavor: str
    correction: str
    resolution: Number
    beta: Number
    effective_jets: float

    @property
    def ratio(self) -> Number:
        """s / s of the standard correction: 1 - beta."""
        return self.beta if self.beta.value is None else replace(self.beta, value=1 - self.beta.value)


def resolution(
    jets: CalibratedJets,
    draws: NDArray[np.integer],
    intervals: tuple[Interval, ...] = INTERVALS,
    flavors: tuple[str, ...] = (ALL_FLAVORS,),
) -> tuple[Resolution, ...]:
    """Every region, interval, flavor and correction, in this order of nesting; draws are (1 + resamples, jets)."""
    sample = Sample.of(jets, draws)
    of_flavors = {flavor: of_flavor(jets.flavor, flavor) for flavor in flavors}
    results: list[Resolution] = []
    for region in REGIONS:
        in_region = region.contains(jets.abs_gen_eta)
        for interval in intervals:
            selected = in_region & interval.contains(jets.gen_pt)
            for flavor, found in of_flavors.items():
                group = sample.pick(np.flatnonzero(selected & found))
                widths = {correction: relative_width(group, correction) for correction in group.responses}
                results += [
                    Resolution(region, interval, flavor, correction, *compared, group.effective_jets)
                    for correction, compared in compare_widths(widths, len(group)).items()
                ]
    return tuple(results)


def relative_width(jets: Sample, correction: str) -> NDArray[np.float64]:
    """s = (R_75% - R_25%) / R_50% (Eq. 4) of a correction in each resample: (1 + resamples,)."""
    return quartile_width(jets.quantiles(correction, QUARTILES))


def quartile_width(quartiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """s of resamples with these QUARTILES of the response, (..., 3): (...); 0 where they differ by rounding alone."""
    low, median, high = np.moveaxis(quartiles, -1, 0)
    return quotient(without_rounding(high - low, median), median)


def compare_widths(widths: dict[str, NDArray[np.float64]], n: int) -> dict[str, tuple[Number, Number]]:
    """s and beta of each correction from its widths (1 + resamples,); n jets."""
    if n == 1:
        alone = Number.missing(1, "n = 1")
        return dict.fromkeys(widths, (alone, alone))
    return {name: (Number.of(width, n), improvement(width, widths[STANDARD], n)) for name, width in widths.items()}
