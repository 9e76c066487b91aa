"""The resolution that a network predicts for each jet: whether it is right.

Belongs here: pulls, the coverage of the predicted interval, predicted against measured resolution. Does not belong
here: the resolution of a group of jets under any correction (`resolution.py`).

A network that is trained with the pinball loss predicts, for each x it sees, below what 16 %, 50 % and 84 % of the
targets of jets like x lie (`CalibratedJets.quantiles`). The resolution of a jet is s = (q84 - q16) / 2, a relative one,
since the target is a logarithm, and its pull is (target - q50) / s. Right quantiles are right in bins of what the
network sees: so bins here are reconstructed ones, pT_cal and |eta| of the jet. A flavor is nothing that it sees:
coverage per flavor tells for which jets the interval is too narrow, without this being a fault of the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import REGIONS, Interval
from jec_assets.evaluation.bootstrap import means, quantiles, share
from jec_assets.evaluation.grouping import (
    REGION_EDGES,
    bin_numbers,
    intervals_between,
    part,
    rows_of_bins,
    rows_of_cells,
    rows_of_flavors,
)
from jec_assets.evaluation.number import Number
from jec_assets.evaluation.response.closure import CAL_PT_EDGES
from jec_assets.evaluation.responses import calibrated_pt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets

NOMINAL = 0.68  # share of the jets between q16 and q84
CORE = (0.16, 0.84)
PULL_EDGES = np.linspace(-5.0, 5.0, 51)
CLASSES = 10  # of jets by predicted resolution


@dataclass(frozen=True)
class Pulls:
    """A family's pulls.

    mean, median; core_width: (q84 - q16) / 2, 1 where s is right; density: (bins,) of PULL_EDGES, integrates to the
    share of the jets inside; disordered: jets with q84 <= q16, which have no pull
    """

    family: str
    mean: Number
    median: Number
    core_width: Number
    density: NDArray[np.float64]
    disordered: int


@dataclass(frozen=True)
class Coverage:
    """A family's predicted interval, for jets of one region, interval of pT_cal (GeV) and flavor, or all flavors.

    inside: share of jets with q16 <= target <= q84; below, above: share with a target below and above that
    """

    family: str
    region: Interval
    interval: Interval
    flavor: str
    inside: Number
    below: Number
    above: Number


@dataclass(frozen=True)
class ResolutionClass:
    """Jets of a region with like predicted resolutions: their median, and half the core's width of target - q50."""

    family: str
    region: Interval
    predicted: Number
    measured: Number


def pulls(jets: CalibratedJets, draws: NDArray[np.integer]) -> tuple[Pulls, ...]:
    """Of every family that predicts quantiles; draws are (1 + resamples, jets)."""
    return tuple(_pulls(jets, draws, family) for family in jets.quantiles)


def coverages(jets: CalibratedJets, draws: NDArray[np.integer]) -> tuple[Coverage, ...]:
    """Every family, region, interval of pT_cal and flavor, in this order of nesting."""
    return tuple(chain.from_iterable(_coverages(jets, draws, family) for family in jets.quantiles))


def resolution_classes(jets: CalibratedJets, draws: NDArray[np.integer]) -> tuple[ResolutionClass, ...]:
    """Every family, region and class, by rising predicted resolution; classes of a region have equally many jets."""
    return tuple(chain.from_iterable(_classes(jets, draws, family) for family in jets.quantiles))


def predicted_resolution(jets: CalibratedJets, family: str) -> NDArray[np.float64]:
    """s of each jet, (jets,); not positive where the network's quantiles are out of order."""
    low, high = jets.quantiles[family]
    return np.asarray((high - low) / 2)


def _pulls(jets: CalibratedJets, draws: NDArray[np.integer], family: str) -> Pulls:
    s = predicted_resolution(jets, family)
    rows = np.flatnonzero(s > 0)
    values = (jets.target - jets.log_factors[family])[rows] / s[rows]
    drawn, weight = draws[:, rows], part(jets.weight, rows)
    low, median, high = quantiles(values, drawn, (CORE[0], 0.5, CORE[1]), weight).T
    counts, _ = np.histogram(values, PULL_EDGES, weights=weight)
    total = float(len(values) if weight is None else weight.sum())
    return Pulls(
        family,
        Number.of(means(values, drawn, weight), len(rows)),
        Number.of(median, len(rows)),
        Number.of((high - low) / 2, len(rows)),
        counts / np.diff(PULL_EDGES) / (total or 1.0),
        len(jets) - len(rows),
    )


def _coverages(jets: CalibratedJets, draws: NDArray[np.integer], family: str) -> Iterator[Coverage]:
    low, high = jets.quantiles[family]
    below, above = jets.target < low, jets.target > high
    pts = intervals_between(CAL_PT_EDGES)
    cells = rows_of_cells(
        bin_numbers(jets.abs_eta, REGION_EDGES),
        bin_numbers(calibrated_pt(jets.jet_pt, jets.log_factors[family]), CAL_PT_EDGES),
        (len(REGIONS), len(pts)),
    )
    for region, of_region in zip(REGIONS, cells, strict=True):
        for pt, in_cell in zip(pts, of_region, strict=True):
            for flavor, rows in rows_of_flavors(jets.flavor, in_cell).items():
                drawn, weight = draws[:, rows], part(jets.weight, rows)
                shares = (share(chosen[rows], drawn, weight) for chosen in (~(below | above), below, above))
                yield Coverage(family, region, pt, flavor, *shares)


def _classes(jets: CalibratedJets, draws: NDArray[np.integer], family: str) -> Iterator[ResolutionClass]:
    s, errors = predicted_resolution(jets, family), jets.target - jets.log_factors[family]
    for region, rows in zip(REGIONS, rows_of_bins(bin_numbers(jets.abs_eta, REGION_EDGES), len(REGIONS)), strict=True):
        for chosen in np.array_split(rows[np.argsort(s[rows], kind="stable")], CLASSES):
            drawn, weight, n = draws[:, chosen], part(jets.weight, chosen), len(chosen)
            low, high = quantiles(errors[chosen], drawn, CORE, weight).T
            predicted = Number.of(quantiles(s[chosen], drawn, (0.5,), weight)[:, 0], n)
            yield ResolutionClass(family, region, predicted, Number.of((high - low) / 2, n))
