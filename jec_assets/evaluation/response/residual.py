"""The residual correction: what is left to correct once a network has calibrated the jets.

Belongs here: deriving it from jets that the network wasn't trained on, and applying it. Does not belong here: judging
the result (`closure.py`) and its file (`residual_export.py`).

A network that is regularized, stopped early or short of jets doesn't close everywhere. Its median is restored by the
factor median(pT_gen / pT_cal) in bins of (pT_cal, |eta|), quantities that are known for every jet. The factor is
tabulated at the median pT_cal of each bin, linear in ln pT_cal between, and held constant beyond the first and the last
point, where a jet is to be flagged. Test jets must not take part in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.correction.standard import ResponseCurve, bin_of
from jec_assets.evaluation.bootstrap import quantiles
from jec_assets.evaluation.grouping import bin_numbers, part, rows_of_bins
from jec_assets.evaluation.response.closure import ABS_ETA_EDGES, CAL_PT_EDGES
from jec_assets.evaluation.responses import calibrated_pt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets

LOWEST_PT = float(CAL_PT_EDGES[0])  # GeV: below, the selection pT_gen > 20 GeV shifts the median
# A median of n jets is known to 1.25 s / sqrt(n) at a width s: with n = 100 to 1.5 % at 40 GeV (s = 12 %), to 0.9 % at
# 100 GeV (7 %). Of the 7,000 validation jets that the profile `fast` keeps, some 350 to 550 lie in the emptiest bins of
# |eta|, enough for 3 to 5 points. Half of the first point's jets and half of the last one's lie beyond a bin's points.
JETS_PER_POINT = 100
MOST_POINTS = 12  # where jets abound, they make points surer rather than more
NO_CORRECTION = ResponseCurve((LOWEST_PT,), (1.0,))


@dataclass(frozen=True)
class ResidualCorrection:
    """Factors on the calibrated four-momentum, one curve a bin of |eta|; jets beyond the last edge belong to the last.

    abs_eta_edges: (bins + 1,), from 0; a bin with too few jets has the constant 1
    """

    abs_eta_edges: tuple[float, ...]
    curves: tuple[ResponseCurve, ...]

    def factor(self, cal_pt: NDArray[np.float64], abs_eta: NDArray[np.float64]) -> NDArray[np.float64]:
        """The factor of each jet, from pT_cal in GeV and |eta|; all (jets,)."""
        factors = np.empty(len(cal_pt))
        for curve, rows in self._of_bins(abs_eta):
            factors[rows] = curve(cal_pt[rows])
        return factors

    def held(self, cal_pt: NDArray[np.float64], abs_eta: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which jets lie beyond the points of their bin, where the factor is held constant: bool (jets,)."""
        held = abs_eta >= self.abs_eta_edges[-1]
        for curve, rows in self._of_bins(abs_eta):
            held[rows] |= ~curve.covers(cal_pt[rows])
        return held

    def _of_bins(self, abs_eta: NDArray[np.float64]) -> list[tuple[ResponseCurve, NDArray[np.intp]]]:
        rows = rows_of_bins(bin_of(abs_eta, self.abs_eta_edges), len(self.curves))
        return list(zip(self.curves, rows, strict=True))


def derive_residuals(validation: CalibratedJets) -> dict[str, ResidualCorrection]:
    """The residual correction of every family, from its calibrated validation jets."""
    return {family: _derive(validation, family) for family in validation.families}


def with_residuals(jets: CalibratedJets, residuals: Mapping[str, ResidualCorrection]) -> CalibratedJets:
    """The jets with each family's residual correction on top of its own, under the same names."""
    corrected = {
        family: jets.log_factors[family]
        + np.log(residual.factor(calibrated_pt(jets.jet_pt, jets.log_factors[family]), jets.abs_eta))
        for family, residual in residuals.items()
    }
    return replace(jets, log_factors=jets.log_factors | corrected)


def _derive(jets: CalibratedJets, family: str) -> ResidualCorrection:
    cal_pt = calibrated_pt(jets.jet_pt, jets.log_factors[family])
    bins = np.where(cal_pt >= LOWEST_PT, bin_numbers(jets.abs_eta, ABS_ETA_EDGES), -1)
    curves = (
        _curve(cal_pt[rows], jets.gen_pt[rows], part(jets.weight, rows))
        for rows in rows_of_bins(bins, len(ABS_ETA_EDGES) - 1)
    )
    return ResidualCorrection(tuple(map(float, ABS_ETA_EDGES)), tuple(curves))


def _curve(
    cal_pt: NDArray[np.float64], gen_pt: NDArray[np.float64], weight: NDArray[np.float64] | None
) -> ResponseCurve:
    """Points of equally many jets each, so that none is noisier than another."""
    points = min(len(cal_pt) // JETS_PER_POINT, MOST_POINTS)
    pts: list[float] = []
    factors: list[float] = []
    for rows in np.array_split(np.argsort(cal_pt, kind="stable"), max(points, 1)) if points else ():
        once, counted = np.ones((1, len(rows)), np.uint8), part(weight, rows)
        pt, factor = (float(quantiles(each[rows], once, (0.5,), counted)[0, 0]) for each in (cal_pt, gen_pt / cal_pt))
        if not pts or pt > pts[-1]:
            pts.append(pt)
            factors.append(factor)
    return ResponseCurve(tuple(pts), tuple(factors)) if pts else NO_CORRECTION
