"""Deriving the standard correction from simulated jets.

Belongs here: the jets it takes, the binning, and the two steps. Does not belong here: simulating or reading the jets.

A threshold on the corrected pT keeps the jets that fluctuated upward, and a response derived from them close to it
would be too high; a threshold on the raw pT does the same. So jets below a particle-level pT (`Binning.gen_pt_min`)
take no part: it can be low for jets that were cut on their raw pT only, and has to be well above the threshold of
others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
_STRETCHES = 2  # of the offset's range of pT, each with a weight of its own
_ROUNDING = 1e-9  # relative: less is no variation but what the mean of equal numbers misses


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

    offset_edges, response_edges: |eta|; the response has an edge where barrel and endcap calorimeters meet, since a bin
    across it would correct neither
    gen_pt_min: GeV, where the response starts; offset_gen_pt: GeV, the range in which the offset is fitted: jets soft
    enough for it to matter, far enough from the threshold
    jets_min: least jets in a bin; jets_per_point, points: each point of a curve is the median of at least so many jets,
    and there are at most so many points
    """

    offset_edges: tuple[float, ...] = (0.0, 1.3, 2.5, 5.2)
    response_edges: tuple[float, ...] = (0.0, 0.7, 1.3, 1.5, 1.7, 2.1, 2.5, 3.0, 5.2)
    gen_pt_min: float = 30.0
    offset_gen_pt: tuple[float, float] = (35.0, 120.0)
    jets_min: int = 20
    jets_per_point: int = 200
    points: int = 20

    def joined_for(self, jets: MatchedJets) -> Binning:
        """This binning with neighbors in |eta| joined until each holds enough of these jets, or one bin is left.

        Enough are those that the fit of the offset needs, and five points of a response curve.
        """
        jets = jets.take(jets.usable)
        abs_eta = np.abs(jets.eta)
        in_offset, in_response = self.fits_offset(jets.gen_pt), jets.gen_pt >= self.gen_pt_min
        return replace(
            self,
            offset_edges=_joined(self.offset_edges, abs_eta[in_offset], 2 * self.jets_min),
            response_edges=_joined(self.response_edges, abs_eta[in_response], 5 * self.jets_per_point),
        )

    def fits_offset(self, gen_pt: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which particle-level pT take part in the fit of the offset, bool (jets,)."""
        low, high = self.offset_gen_pt
        return (gen_pt >= low) & (gen_pt < high)


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
    return StandardCorrection(binning.offset_edges, slopes, binning.response_edges, curves, binning.gen_pt_min)


def offset_slope(jets: MatchedJets, binning: Binning, label: str) -> float:
    """k of L1: the slope of the raw pT against rho A at fixed particle-level pT.

    Jets are compared within narrow intervals of the particle-level pT: with x = rho A and y = pT,raw, both relative to
    their means in the interval, k = sum(w x y) / sum(w x^2), where w is 1 / variance of y thereabouts. It is 0 where
    rho A or the raw pT does not vary, as without pileup: nothing is seen of an offset there, and L1 is 1.
    """
    low, high = binning.offset_gen_pt
    jets = jets.take(binning.fits_offset(jets.gen_pt))
    _require(len(jets), 2 * binning.jets_min, f"{low:g} <= particle-level pT < {high:g} GeV, {label}")
    intervals = len(jets) // binning.jets_min
    interval = _quantile_bins(jets.gen_pt, intervals)
    density = jets.rho * jets.area
    x, y = _centered(density, interval), _centered(jets.raw_pt, interval)
    # Many intervals share a weight: by its own variance, an interval would count the less the steeper it happens to be.
    stretch = interval * _STRETCHES // intervals
    variance = _means(y**2, stretch)
    if np.all(np.abs(x) <= _ROUNDING * np.abs(density)) or np.any(variance == 0):
        return 0.0
    weight = 1 / variance[stretch]
    return float(np.sum(weight * x * y) / np.sum(weight * x * x))


def response_curve(pt: NDArray[np.float64], gen_pt: NDArray[np.float64], binning: Binning, label: str) -> ResponseCurve:
    """L2L3 in one bin of |eta|, by numerical inversion of the median response R(pT,gen).

    R is measured in intervals of pT,gen, of equal width in log pT,gen but for those that are joined for want of jets.
    At an interval's median pT,gen = g, half of the jets are measured below R g: the curve has there the factor 1 / R,
    so that R g becomes g. Since a correction that rises with pT takes medians to medians, the corrected response has
    the median 1 at g, whatever the resolution. (A factor tabulated against pT,gen would be off by the slope of R.)
    """
    chosen = gen_pt >= binning.gen_pt_min
    pt, gen_pt = pt[chosen], gen_pt[chosen]
    _require(len(pt), binning.jets_min, f"particle-level pT >= {binning.gen_pt_min:g} GeV, {label}")
    for intervals in range(binning.points, 0, -1):
        edges = _joined(np.geomspace(gen_pt.min(), gen_pt.max(), intervals + 1), gen_pt, binning.jets_per_point)
        measured, response = _median_response(pt, gen_pt, bin_of(gen_pt, edges))
        # With few jets in narrow intervals R g may fall by chance, and only a rising curve can be inverted.
        if np.all(np.diff(measured) > 0):
            break
    return ResponseCurve(tuple(measured.tolist()), tuple((1 / response).tolist()))


def _median_response(
    pt: NDArray[np.float64], gen_pt: NDArray[np.float64], interval: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """R g and R at the median g of each interval of pT,gen, (intervals,) each; none is empty."""
    inside = [interval == index for index in range(interval.max() + 1)]
    response = np.array([np.median(pt[rows] / gen_pt[rows]) for rows in inside])
    return response * np.array([np.median(gen_pt[rows]) for rows in inside]), response


def _joined(
    edges: Sequence[float] | NDArray[np.float64], values: NDArray[np.float64], needed: int
) -> tuple[float, ...]:
    """The first, the last, and those edges that leave `needed` values in the bin below them and in all above them."""
    kept = [edges[0]]
    for edge in edges[1:-1]:
        below = np.count_nonzero((values >= kept[-1]) & (values < edge))
        if min(below, np.count_nonzero(values >= edge)) >= needed:
            kept.append(edge)
    return tuple(float(edge) for edge in (*kept, edges[-1]))


def _labels(edges: tuple[float, ...]) -> list[str]:
    return [f"{low:g} <= |eta| < {high:g}" for low, high in pairwise(edges)]


def _require(jets: int, needed: int, where: str) -> None:
    if jets < needed:
        raise TooFewJetsError(
            f"the standard correction needs {needed} jets with {where}, and there are {jets}: give or simulate more "
            "jets, or use fewer bins"
        )


def _quantile_bins(values: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Bins of equally many values, in rising order: the bin of each value."""
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return rank * bins // len(values)


def _means(values: NDArray[np.float64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.bincount(bins, values) / np.bincount(bins)


def _centered(values: NDArray[np.float64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    return values - _means(values, bins)[bins]
