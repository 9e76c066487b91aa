"""Flavor dependence of the response: medians per flavor, their scatter SAE, and its improvement alpha.

Belongs here: Eqs. 2 and 3 of the paper in its regions and intervals of pT_gen. Jets of unknown flavor (0) don't enter.
Does not belong here: how large SAE is by chance (`noise_floor.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import FLAVORS, GEN_PT_INTERVALS, INCLUSIVE, REGIONS, Interval, of_flavor
from jec_assets.evaluation.bootstrap import improvement, without_rounding
from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.evaluation.number import NO_JETS, Number
from jec_assets.evaluation.response.noise_floor import shuffled_medians
from jec_assets.evaluation.sample import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets

MIN_JETS_PER_FLAVOR = 100
INTERVALS = (INCLUSIVE, *GEN_PT_INTERVALS)


@dataclass(frozen=True)
class FlavorDependence:
    """One correction in one region and interval of pT_gen.

    medians: median response per flavor, in Eq. 2's order, each with its number of jets
    sae: sum over flavors of |median - mean of the medians| (Eq. 2); missing where a flavor has no jets
    noise_floor: SAE that finite statistics alone would give, mean and standard deviation over shuffles of the flavors
    alpha: 1 - SAE / SAE of the standard correction (Eq. 3); missing where a flavor has, effectively, fewer than 100
    jets
    effective_jets: (sum w)^2 / sum w^2, the number of jets where they have no weights
    """

    region: Interval
    interval: Interval
    correction: str
    medians: dict[str, Number]
    sae: Number
    noise_floor: Number
    alpha: Number
    effective_jets: float


def flavor_dependence(
    jets: CalibratedJets, draws: NDArray[np.integer], seed: int, intervals: tuple[Interval, ...] = INTERVALS
) -> tuple[FlavorDependence, ...]:
    """Every region, interval and correction, in this order of nesting.

    draws are (1 + resamples, jets); the seed is that of the noise floor's shuffles.
    """
    sample = Sample.of(jets, draws)
    of_flavors = [of_flavor(jets.flavor, name) for name in FLAVORS]
    results: list[FlavorDependence] = []
    for region in REGIONS:
        in_region = region.contains(jets.abs_gen_eta)
        for interval in intervals:
            selected = in_region & interval.contains(jets.gen_pt)
            rows = [np.flatnonzero(selected & each) for each in of_flavors]
            group = _Group(sample.pick(np.concatenate(rows)), tuple(len(each) for each in rows))
            results += _compare(region, interval, group, seed)
    return tuple(results)


def sum_of_absolute_errors(medians: NDArray[np.float64]) -> NDArray[np.float64]:
    """SAE (Eq. 2) of median responses (..., flavors): (...); exactly 0 where they differ by rounding alone."""
    mean = medians.mean(axis=-1)
    return without_rounding(np.abs(medians - mean[..., np.newaxis]).sum(axis=-1), mean)


@dataclass(frozen=True)
class _Group:
    """The jets of known flavor in a region and interval, one flavor after another, and how many of each."""

    jets: Sample
    counts: tuple[int, ...]

    @property
    def flavors(self) -> list[Sample]:
        """The jets of each flavor."""
        return [self.jets.between(start, stop) for start, stop in pairwise(accumulate(self.counts, initial=0))]

    def medians(self, correction: str) -> NDArray[np.float64]:
        """Median response per flavor in each resample: (1 + resamples, flavors)."""
        return np.stack([each.quantiles(correction, (0.5,))[:, 0] for each in self.flavors], axis=-1)


def _compare(region: Interval, interval: Interval, group: _Group, seed: int) -> list[FlavorDependence]:
    medians = {correction: group.medians(correction) for correction in group.jets.responses}
    errors = {correction: sum_of_absolute_errors(each) for correction, each in medians.items()}
    n, effective = len(group.jets), [each.effective_jets for each in group.flavors]
    absent = _absent(effective)
    few = absent or _few(effective, weighted=group.jets.weight is not None)
    shuffled = {} if absent else shuffled_medians(group.jets, group.counts, seed)
    return [
        FlavorDependence(
            region,
            interval,
            correction,
            medians={
                flavor: Number.of(medians[correction][:, column], group.counts[column])
                for column, flavor in enumerate(FLAVORS)
            },
            sae=Number.missing(n, absent) if absent else Number.of(errors[correction], n),
            noise_floor=Number.missing(n, absent) if absent else _noise_floor(shuffled[correction], n),
            alpha=Number.missing(n, few) if few else improvement(errors[correction], errors[STANDARD], n),
            effective_jets=group.jets.effective_jets,
        )
        for correction in medians
    ]


def _noise_floor(shuffled: NDArray[np.float64], n: int) -> Number:
    """From the medians of shuffled flavors, (shuffles, flavors)."""
    errors = sum_of_absolute_errors(shuffled)
    return Number(float(np.mean(errors)), float(np.std(errors, ddof=1)), n)


def _absent(jets: list[float]) -> str:
    """Which flavors have no jets, in words; empty where none."""
    absent = [flavor for flavor, count in zip(FLAVORS, jets, strict=True) if count == 0]
    if len(absent) == len(FLAVORS):
        return NO_JETS
    return f"{NO_JETS} of {', '.join(absent)}" if absent else ""


def _few(jets: list[float], weighted: bool) -> str:
    """Which flavors have too few jets for an alpha, in words; empty where none."""
    few = [flavor for flavor, count in zip(FLAVORS, jets, strict=True) if count < MIN_JETS_PER_FLAVOR]
    kind = "effective jets" if weighted else "jets"
    return f"< {MIN_JETS_PER_FLAVOR} {kind} of {', '.join(few)}" if few else ""
