"""Closure: whether calibrated jets have, in the median, the pT of their particle-level jets; and the gate on it.

Belongs here: the gate's bins, what is expected in each, and the verdict. Does not belong here: mending what doesn't
close (`residual.py`).

In each bin the median of pT_gen / pT_cal has to be within 1 % of what a perfect network would have, or within 3
bootstrap standard deviations where few jets know no better. What is expected follows from what a network is: a
regression that minimizes absolute errors predicts, for each x it sees, the median of pT_gen / jetPt among jets like x.

- **Reconstructed bins**: pT_cal and |eta| are functions of x. For every x, a pT_gen above and one below pT_cal are
  equally likely, so a perfect network has the median 1 in each of their bins, whatever the spectrum, the resolution or
  a threshold in jetPt. The bins start at 40 GeV, where the selection pT_gen > 20 GeV doesn't cut into a bin's jets.
- **Bins of pT_gen** show what reconstructed bins can't: a network that knew nothing of a jet and predicted the most
  likely pT of the spectrum would close in those. But here not even a perfect one has the median 1: jets, measured with
  a relative width s, are pulled to where the spectrum has more of them. Where dN/dln pT ~ pT^a and s ~ pT^b, the
  median of pT_gen / pT_cal at given pT_gen is 1 - (a + b) s^2, to second order in s for a Gaussian
  ln(jetPt / pT_gen). The gate is around that value, with a, b and s of the jets themselves; around 1 it would fail
  sound networks, since s = 0.1 and a + b = -1 make 1 % already. Below 50 GeV the threshold in jetPt removes jets that
  were measured too low: these bins are shown, and not gated.

Both hold where jets count as they did in the network's training. The gate counts them alike. A network that was trained
with weights w ~ pT_gen^c predicts the median of a spectrum that differs by them: it is expected at 1 - c s^2 in
reconstructed bins, and off by -c s^2 in the others (event weights with c = -4 and s = 0.1: by 4 %).

Of 200 bins that are as expected and limited by 3 standard deviations, about one fails by chance: 30 resamples know a
standard deviation to 13 % only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from jec_assets.evaluation.bins import REGIONS, UNBIASED_GEN_PT, Interval
from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.evaluation.grouping import REGION_EDGES, bin_numbers, intervals_between, part, rows_of_cells
from jec_assets.evaluation.number import NO_JETS, Number
from jec_assets.evaluation.response.response_curves import BEAM_ENERGY, MIN_JETS
from jec_assets.evaluation.responses import calibrated_pt, median_response

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets

Binned = Literal["reconstructed", "generated"]
Outcome = Literal["passed", "failed", "not judged"]

CAL_PT_EDGES = (40, 50, 65, 80, 100, 150, 250, 500, 1000, BEAM_ENERGY)  # GeV
ABS_ETA_EDGES = (0, 0.8, 1.3, 1.5, 1.7, 1.9, 2.5)  # fine where barrel and endcap calorimeters meet
GEN_PT_EDGES = (20, 30, *CAL_PT_EDGES)  # GeV
TOLERANCE = 0.01
STANDARD_DEVIATIONS = 3.0


@dataclass(frozen=True)
class Closure:
    """One correction in one bin.

    binned: `reconstructed`, with pt = pT_cal under this correction and |eta| of the jet, or `generated`, with pt =
    pT_gen and |eta| of the particle-level jet; pt in GeV
    ratio: median of pT_gen / pT_cal; missing in bins with fewer than MIN_JETS jets
    expected: a perfect network's ratio
    """

    correction: str
    binned: Binned
    pt: Interval
    abs_eta: Interval
    ratio: Number
    expected: float

    @property
    def biased(self) -> bool:
        """Whether the selection decides the ratio."""
        return self.binned == "generated" and self.pt.low < UNBIASED_GEN_PT

    @property
    def deviation(self) -> float | None:
        """Ratio minus expectation."""
        return None if self.ratio.value is None else self.ratio.value - self.expected

    @property
    def gated(self) -> bool:
        """Whether the bin takes part: not the standard correction's, which promises no closure, nor biased ones."""
        return self.correction != STANDARD and not self.biased

    @property
    def allowed(self) -> float:
        """How large a deviation may be."""
        return max(TOLERANCE, STANDARD_DEVIATIONS * (self.ratio.uncertainty or 0.0))

    @property
    def failed(self) -> bool:
        """Gated, with enough jets, and further from the expectation than allowed."""
        return self.gated and self.deviation is not None and abs(self.deviation) > self.allowed


@dataclass(frozen=True)
class ClosureVerdict:
    """What the gate says about a family. judged: gated bins with enough jets; too_few: those with fewer."""

    family: str
    judged: int
    too_few: int
    failures: tuple[Closure, ...]

    @property
    def outcome(self) -> Outcome:
        """Whether all judged bins close; where all have too few jets nothing is known of the family."""
        if not self.judged:
            return "not judged"
        return "failed" if self.failures else "passed"


def closure(jets: CalibratedJets, draws: NDArray[np.integer]) -> tuple[Closure, ...]:
    """Every correction in its reconstructed bins and in its generated ones; draws are (1 + resamples, jets).

    The standard correction is among them, and not gated.
    """
    return tuple(
        each
        for correction in jets.corrections
        for binned in (_reconstructed, _generated)
        for each in binned(jets, draws, correction)
    )


def closure_failures(closures: Sequence[Closure]) -> tuple[Closure, ...]:
    """The bins that fail."""
    return tuple(each for each in closures if each.failed)


def closure_verdicts(closures: Sequence[Closure]) -> tuple[ClosureVerdict, ...]:
    """The verdict on each family, in the order of the closures."""
    verdicts = []
    for family in dict.fromkeys(each.correction for each in closures if each.correction != STANDARD):
        gated = [each for each in closures if each.correction == family and each.gated]
        judged = sum(each.ratio.value is not None for each in gated)
        verdicts.append(ClosureVerdict(family, judged, len(gated) - judged, closure_failures(gated)))
    return tuple(verdicts)


def _reconstructed(jets: CalibratedJets, draws: NDArray[np.integer], correction: str) -> Iterator[Closure]:
    pts, regions = intervals_between(CAL_PT_EDGES), intervals_between(ABS_ETA_EDGES)
    cal_pt = calibrated_pt(jets.jet_pt, jets.log_factors[correction])
    cells = rows_of_cells(
        bin_numbers(jets.abs_eta, ABS_ETA_EDGES), bin_numbers(cal_pt, CAL_PT_EDGES), (len(regions), len(pts))
    )
    for abs_eta, of_region in zip(regions, cells, strict=True):
        for pt, rows in zip(pts, of_region, strict=True):
            ratio = _median_ratio(jets.gen_pt[rows] / cal_pt[rows], draws[:, rows], part(jets.weight, rows))
            yield Closure(correction, "reconstructed", pt, abs_eta, ratio, 1.0)


def _generated(jets: CalibratedJets, draws: NDArray[np.integer], correction: str) -> Iterator[Closure]:
    pts = intervals_between(GEN_PT_EDGES)
    ratios = 1 / jets.responses(correction)
    cells = rows_of_cells(
        bin_numbers(jets.abs_gen_eta, REGION_EDGES), bin_numbers(jets.gen_pt, GEN_PT_EDGES), (len(REGIONS), len(pts))
    )
    for region, of_region in zip(REGIONS, cells, strict=True):
        expected = _expected([ratios[rows] for rows in of_region], pts)
        for pt, rows, ratio_expected in zip(pts, of_region, expected, strict=True):
            ratio = _median_ratio(ratios[rows], draws[:, rows], part(jets.weight, rows))
            yield Closure(correction, "generated", pt, region, ratio, ratio_expected)


def _median_ratio(
    ratios: NDArray[np.float64], draws: NDArray[np.integer], weight: NDArray[np.float64] | None
) -> Number:
    n = len(ratios)
    if n < MIN_JETS:
        return Number.missing(n, f"n = {n}: too few" if n else NO_JETS)
    return median_response(ratios, draws, weight)


def _expected(ratios: Sequence[NDArray[np.float64]], pts: Sequence[Interval]) -> list[float]:
    """1 - (a + b) s^2 in each interval of pT_gen from 50 GeV, from the ratios of its jets; 1 where jets don't tell.

    s is half the distance between the 16 % and 84 % quantiles of their logarithm; a and b come from the neighbors.
    """
    expected = np.ones(len(pts))
    filled = [place for place, pt in enumerate(pts) if pt.low >= UNBIASED_GEN_PT and len(ratios[place]) >= MIN_JETS]
    if len(filled) > 1:
        low, high = np.array([np.quantile(np.log(ratios[place]), (0.16, 0.84)) for place in filled]).T
        s = (high - low) / 2
        edges = np.log([(pts[place].low, pts[place].high) for place in filled])
        density = [len(ratios[place]) for place in filled] / np.diff(edges)[:, 0]
        # a + b = dln(s dN/dln pT) / dln pT; identical ratios have s = 0, and are pulled nowhere
        a_and_b = np.gradient(np.log(density * np.where(s > 0, s, 1.0)), edges.mean(axis=1))
        expected[filled] -= a_and_b * s**2
    return expected.tolist()
