"""Deriving the standard correction from simulated jets.

Belongs here: the jets it takes, the binning, and the two steps. Does not belong here: simulating or reading the jets.

The jets must not have been cut on their corrected pT: a threshold there keeps the jets that fluctuated upward, and a
response derived from them would be too high. A threshold on the raw pT does the same close to itself, which is why
jets below a particle-level pT (`Binning.gen_pt_min`) take no part.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.correction.errors import TooFewJetsError
from jec_assets.correction.standard import ResponseCurve, StandardCorrection, bin_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RAW_PT_MIN = 21.0  # GeV
MATCHING_RADIUS = 0.2  # jets that moved further are merged or split ones


@dataclass(frozen=True)
class MatchedJets:
    """Uncorrected jets, each with its particle-level jet; every array is float64 (jets,).

    raw_pt, gen_pt: GeV; eta, delta_r: of the jet, and its distance to the particle-level jet; rho: GeV; area
    """

    raw_pt: NDArray[np.float64]
    eta: NDArray[np.float64]
    rho: NDArray[np.float64]
    area: NDArray[np.float64]
    gen_pt: NDArray[np.float64]
    delta_r: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.raw_pt)

    def take(self, chosen: NDArray[np.bool_]) -> MatchedJets:
        """The jets of a mask."""
        return MatchedJets(*(column[chosen] for column in self.columns))

    @property
    def columns(self) -> tuple[NDArray[np.float64], ...]:
        """The arrays, in the order of the fields."""
        return self.raw_pt, self.eta, self.rho, self.area, self.gen_pt, self.delta_r

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Jets above the raw threshold and close to their particle-level jet, bool (jets,)."""
        return (self.raw_pt > RAW_PT_MIN) & (self.delta_r < MATCHING_RADIUS)


def join_matched_jets(parts: Sequence[MatchedJets]) -> MatchedJets:
    """All jets of several parts, in order; at least one part."""
    columns = zip(*(part.columns for part in parts), strict=True)
    return MatchedJets(*(np.concatenate(column) for column in columns))


@dataclass(frozen=True)
class Binning:
    """How finely to derive.

    offset_edges, response_edges: |eta|
    gen_pt_min: GeV, where the response starts; offset_gen_pt: GeV, the range in which the offset is fitted: jets soft
    enough for it to matter, far enough from the raw threshold
    jets_min: least jets in a bin; jets_per_point, points: a curve has a point for so many jets, one at least, and no
    more points than that
    """

    offset_edges: tuple[float, ...] = (0.0, 1.3, 2.5, 5.2)
    response_edges: tuple[float, ...] = (0.0, 0.7, 1.3, 1.7, 2.1, 2.5, 3.0, 5.2)
    gen_pt_min: float = 30.0
    offset_gen_pt: tuple[float, float] = (35.0, 120.0)
    jets_min: int = 20
    jets_per_point: int = 100
    points: int = 20


def derive(jets: MatchedJets, binning: Binning | None = None) -> StandardCorrection:
    """Derive L1, then L2L3 on jets corrected for it; `TooFewJetsError` names a bin that is too empty."""
    binning = binning or Binning()
    jets = jets.take(jets.usable)
    abs_eta = np.abs(jets.eta)
    region = bin_of(abs_eta, binning.offset_edges)
    slopes = tuple(
        offset_slope(jets.take(region == index), binning, label)
        for index, label in enumerate(_labels(binning.offset_edges))
    )
    slope = np.asarray(slopes)[region]
    pt = jets.raw_pt - slope * jets.rho * jets.area
    bins = bin_of(abs_eta, binning.response_edges)
    curves = tuple(
        response_curve(pt[bins == index], jets.gen_pt[bins == index], binning, label)
        for index, label in enumerate(_labels(binning.response_edges))
    )
    return StandardCorrection(binning.offset_edges, slopes, binning.response_edges, curves)


def offset_slope(jets: MatchedJets, binning: Binning, label: str) -> float:
    """k of L1: the slope of the raw pT against rho A at fixed particle-level pT.

    Jets are compared within narrow intervals of the particle-level pT: with x = rho A and y = pT,raw, both relative to
    their means in the interval, k = sum(w x y) / sum(w x^2), where w is 1 / variance of y in the interval.
    """
    low, high = binning.offset_gen_pt
    jets = jets.take((jets.gen_pt >= low) & (jets.gen_pt < high))
    _require(len(jets), 2 * binning.jets_min, f"{low:g} <= particle-level pT < {high:g} GeV, {label}")
    interval = _quantile_bins(jets.gen_pt, len(jets) // binning.jets_min)
    x, y = _centered(jets.rho * jets.area, interval), _centered(jets.raw_pt, interval)
    weight = 1 / _means(y**2, interval)[interval]
    return float(np.sum(weight * x * y) / np.sum(weight * x * x))


def response_curve(pt: NDArray[np.float64], gen_pt: NDArray[np.float64], binning: Binning, label: str) -> ResponseCurve:
    """L2L3 in one bin of |eta|: 1 / median(pT / pT,gen) of intervals of pT,gen, against their median pT.

    Intervals hold equally many jets each, so that no point is noisier than another.
    """
    chosen = gen_pt >= binning.gen_pt_min
    pt, gen_pt = pt[chosen], gen_pt[chosen]
    _require(len(pt), binning.jets_min, f"particle-level pT >= {binning.gen_pt_min:g} GeV, {label}")
    points = min(max(len(pt) // binning.jets_per_point, 1), binning.points)
    interval = _quantile_bins(gen_pt, points)
    inside = [interval == index for index in range(points)]
    medians = [float(np.median(pt[rows])) for rows in inside]
    factors = [float(1 / np.median(pt[rows] / gen_pt[rows])) for rows in inside]
    return ResponseCurve(tuple(medians), tuple(factors))


def _labels(edges: tuple[float, ...]) -> list[str]:
    return [f"{low:g} <= |eta| < {high:g}" for low, high in pairwise(edges)]


def _require(jets: int, needed: int, where: str) -> None:
    if jets < needed:
        raise TooFewJetsError(
            f"the standard correction needs {needed} jets with {where}, and there are {jets}: simulate more jets for "
            "its derivation, or use fewer bins"
        )


def _quantile_bins(values: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Bins of equally many values, in rising order: the bin of each value."""
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return rank * bins // len(values)


def _means(values: NDArray[np.float64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.bincount(bins, values) / np.bincount(bins)


def _centered(values: NDArray[np.float64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    return values - _means(values, bins)[bins]
