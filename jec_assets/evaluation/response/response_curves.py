"""Median response against what it should not depend on, and as a map.

Belongs here: the quantities, their bins, and the medians in them. Does not belong here: whether they are good enough
(`closure.py`) and how jets scatter about them (`tails.py`, `resolution.py`).

Files of jets keep those above a threshold in the corrected pT (jetPt > 30 GeV). Of the jets with a pT_gen close to it,
those that fluctuated upward remain: below UNBIASED_GEN_PT the median response says more of that cut than of any
correction. So these bins are to be marked, and the other quantities are looked at above it only.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal

import numpy as np

from jec_assets.evaluation.bins import UNBIASED_GEN_PT
from jec_assets.evaluation.grouping import (
    OUTSIDE,
    bin_numbers,
    intervals_between,
    part,
    rows_of_bins,
    rows_of_cells,
    rows_of_flavors,
)
from jec_assets.evaluation.responses import median_response

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.calibrated_jets import CalibratedJets
    from jec_assets.evaluation.number import Number

BEAM_ENERGY = 6500.0  # GeV: no jet has more pT
MIN_JETS = 50  # of a bin whose median can be told from noise

Quantity = Literal["gen_pt", "abs_gen_eta", "rho", "pileup"]
GEN_PT_EDGES = (20, 25, 30, 35, 40, 50, 65, 80, 100, 140, 200, 300, 450, 700, 1000, 1500, 2500, BEAM_ENERGY)
ABS_GEN_ETA_EDGES = (0, 0.3, 0.6, 0.9, 1.1, 1.3, 1.5, 1.7, 1.9, 2.1, 2.3, 2.5)
EDGES: dict[Quantity, tuple[float, ...]] = {
    "gen_pt": GEN_PT_EDGES,
    "abs_gen_eta": ABS_GEN_ETA_EDGES,
    "rho": (0, 5, 10, 15, 20, 25, 30, 35, 40, inf),
    "pileup": (0, 5, 10, 15, 20, 25, 30, 35, 40, 50, inf),
}


@dataclass(frozen=True)
class MedianResponse:
    """One correction, one bin of a quantity, jets of one flavor or of all (`bins.ALL_FLAVORS`)."""

    quantity: Quantity
    interval: Interval
    flavor: str
    correction: str
    median: Number


@dataclass(frozen=True)
class ResponseMap:
    """One correction's median response in cells of (pT_gen, |eta_gen|), between edges in GeV and in |eta|.

    median: float64 (pT bins, |eta| bins), NaN in cells with fewer than MIN_JETS jets; jets: int64, same shape
    """

    correction: str
    gen_pt_edges: tuple[float, ...]
    abs_gen_eta_edges: tuple[float, ...]
    median: NDArray[np.float64]
    jets: NDArray[np.int64]


def median_responses(
    jets: CalibratedJets, draws: NDArray[np.integer], quantity: Quantity
) -> tuple[MedianResponse, ...]:
    """Every bin of the quantity, flavor and correction, in this order of nesting; draws are (1 + resamples, jets)."""
    responses = {correction: jets.responses(correction) for correction in jets.corrections}
    numbers = bin_numbers(getattr(jets, quantity), EDGES[quantity])
    if quantity != "gen_pt":
        numbers = np.where(jets.gen_pt >= UNBIASED_GEN_PT, numbers, OUTSIDE)
    intervals = intervals_between(EDGES[quantity])
    return tuple(
        MedianResponse(
            quantity, interval, flavor, correction, median_response(values[chosen], drawn, part(jets.weight, chosen))
        )
        for interval, rows in zip(intervals, rows_of_bins(numbers, len(intervals)), strict=True)
        for flavor, chosen in rows_of_flavors(jets.flavor, rows).items()
        for drawn in (draws[:, chosen],)
        for correction, values in responses.items()
    )


def response_maps(jets: CalibratedJets) -> tuple[ResponseMap, ...]:
    """The map of every correction."""
    shape = (len(GEN_PT_EDGES) - 1, len(ABS_GEN_ETA_EDGES) - 1)
    cells = rows_of_cells(
        bin_numbers(jets.gen_pt, GEN_PT_EDGES), bin_numbers(jets.abs_gen_eta, ABS_GEN_ETA_EDGES), shape
    )
    counts = np.array([[len(rows) for rows in row] for row in cells])
    maps = []
    for correction in jets.corrections:
        responses = jets.responses(correction)
        medians = [[_median(responses, jets.weight, rows) for rows in row] for row in cells]
        maps.append(ResponseMap(correction, GEN_PT_EDGES, ABS_GEN_ETA_EDGES, np.array(medians), counts))
    return tuple(maps)


def _median(responses: NDArray[np.float64], weight: NDArray[np.float64] | None, rows: NDArray[np.intp]) -> float:
    if len(rows) < MIN_JETS:
        return np.nan
    once = np.ones((1, len(rows)), np.uint8)
    value = median_response(responses[rows], once, part(weight, rows)).value
    return np.nan if value is None else value
