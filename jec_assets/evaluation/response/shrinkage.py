"""The resolution without what a pull towards the prior does to it.

Belongs here: how the median response depends on pT_gen, and the resolution corrected for it. Does not belong here: the
resolution itself (`resolution.py`).

Where networks can't tell a jet's energy they answer with what is likely: low pT comes out too high, high pT too low.
Then all pT_corr lie closer together, and so do the responses at a given pT_gen: s gets smaller, although nothing is
known better. An interval dpT_gen has become one of width (1 + dlnR/dln pT_gen) dpT_gen times R, so the width of the
response in units of true pT is s / (1 + dlnR/dln pT_gen). That is what compares corrections with different slopes. In a
wide interval the slope itself spreads the responses, so the trend is divided out of them first.

The slope means something only where no jet is missing because of its pT_corr, from UNBIASED_GEN_PT on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import REGIONS, UNBIASED_GEN_PT, Interval
from jec_assets.evaluation.bootstrap import means, quotient
from jec_assets.evaluation.number import NO_JETS, Number
from jec_assets.evaluation.response.resolution import INTERVALS, compare_widths, relative_width
from jec_assets.evaluation.sample import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets

PARTS = 5  # of the jets a slope is fitted to
MIN_JETS = 100  # effective ones, that a slope is fitted to
MIN_SPAN = 2.0  # highest over lowest pT_gen of these jets: an interval narrower than that tells nothing of a slope


@dataclass(frozen=True)
class CorrectedResolution:
    """One correction in one region and interval of pT_gen; all missing, with the reason, where the slope is.

    slope: dlnR/dln pT_gen of the median response R; below 0: a pull towards the prior
    resolution: s of R / pT_gen^slope, over 1 + slope
    beta: 1 - resolution / resolution of the standard correction, both corrected with their own slope
    """

    region: Interval
    interval: Interval
    correction: str
    slope: Number
    resolution: Number
    beta: Number


def corrected_resolution(
    jets: CalibratedJets, draws: NDArray[np.integer], intervals: tuple[Interval, ...] = INTERVALS
) -> tuple[CorrectedResolution, ...]:
    """Every region, interval and correction, in this order of nesting; draws are (1 + resamples, jets)."""
    sample = Sample.of(jets, draws)
    results: list[CorrectedResolution] = []
    for region in REGIONS:
        in_region = region.contains(jets.abs_gen_eta)
        for interval in intervals:
            inside = sample.pick(np.flatnonzero(in_region & interval.contains(jets.gen_pt)))
            around = sample.pick(np.flatnonzero(in_region & fit_range(interval).contains(jets.gen_pt)))
            reason = _reason(interval, inside, around)
            if reason:
                missing = Number.missing(len(inside), reason)
                results += [CorrectedResolution(region, interval, each, *3 * [missing]) for each in sample.responses]
            else:
                results += _corrected(region, interval, inside, around)
    return tuple(results)


def fit_range(interval: Interval) -> Interval:
    """From which pT_gen on and up to which the jets are that an interval's slope is fitted to.

    The interval itself if its ends are a factor MIN_SPAN apart, else such a range about its geometric middle; in
    either case from UNBIASED_GEN_PT on.
    """
    low, high = interval.low, interval.high
    if high < MIN_SPAN * low:
        middle = np.sqrt(low * high)
        low, high = middle / np.sqrt(MIN_SPAN), middle * np.sqrt(MIN_SPAN)
    return Interval(interval.name, max(low, UNBIASED_GEN_PT), high)


def slopes(jets: Sample, correction: str) -> NDArray[np.float64]:
    """dlnR/dln pT_gen of a correction in each resample: (1 + resamples,); NaN where a median isn't positive.

    The jets are sorted by pT_gen and cut into PARTS parts of equal numbers. A straight line is fitted to the logarithms
    of the parts' median responses against the means of ln pT_gen, each part counting as much as its jets weigh.
    """
    jets = jets.pick(np.argsort(jets.gen_pt, kind="stable"))
    edges = np.linspace(0, len(jets), PARTS + 1).astype(int)
    parts = [jets.between(start, stop) for start, stop in pairwise(edges.tolist())]
    medians = np.stack([part.quantiles(correction, (0.5,))[:, 0] for part in parts], axis=-1)
    logarithms = np.log(medians, out=np.full_like(medians, np.nan), where=np.nan_to_num(medians) > 0)
    weight = np.array([len(part) if part.weight is None else part.weight.sum() for part in parts], np.float64)
    x = np.array([means(np.log(part.gen_pt), part.draws[:1], part.weight)[0] for part in parts])
    x = x - (weight @ x) / weight.sum()
    return quotient(logarithms @ (weight * x), np.full(len(medians), weight @ x**2))


def _reason(interval: Interval, inside: Sample, around: Sample) -> str:
    """Why an interval has no slope; empty where it has one."""
    if len(inside) == 0:
        return NO_JETS
    if interval.low < UNBIASED_GEN_PT:
        return f"biased < {UNBIASED_GEN_PT:g} GeV"
    if min(inside.effective_jets, around.effective_jets) >= MIN_JETS:
        return ""
    return f"< {MIN_JETS} jets" if inside.weight is None else f"< {MIN_JETS} effective jets"


def _corrected(region: Interval, interval: Interval, inside: Sample, around: Sample) -> list[CorrectedResolution]:
    found = {correction: slopes(around, correction) for correction in inside.responses}
    # Responses have one order in all resamples: the trend is the sample's own, the division each resample's.
    leveled = {
        correction: inside.responses[correction] * (inside.gen_pt / interval.low) ** -slope[0]
        for correction, slope in found.items()
    }
    detrended = replace(inside, responses=leveled)
    widths = {
        correction: quotient(relative_width(detrended, correction), np.where(slope > -1, 1 + slope, 0))
        for correction, slope in found.items()
    }
    return [
        CorrectedResolution(region, interval, correction, Number.of(found[correction], len(around)), *compared)
        for correction, compared in compare_widths(widths, len(inside)).items()
    ]
