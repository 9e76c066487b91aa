"""The two standard corrections of a source, compared on jets that neither was derived from.

Belongs here: closure and resolution of the files' correction and of ours, in bins, and which jets ours extrapolates to.
Does not belong here: deriving and choosing them (`jec_assets.jets.standard_correction`) and networks.

Where jets come corrected (jetPt in the files), that is compared with ours applied to jetRawPt; where they don't, the
uncorrected jets are. All bins hold jets from UNBIASED_GEN_PT on: below, the files' cut on jetPt decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from jec_assets.correction.standard import bin_of
from jec_assets.evaluation.bins import REGIONS, UNBIASED_GEN_PT, Interval
from jec_assets.evaluation.bootstrap import quantiles, quotient
from jec_assets.evaluation.grouping import OUTSIDE, REGION_EDGES, bin_numbers, intervals_between, rows_of_bins
from jec_assets.evaluation.number import Number
from jec_assets.evaluation.response.resolution import QUARTILES, quartile_width
from jec_assets.evaluation.response.response_curves import ABS_GEN_ETA_EDGES, BEAM_ENERGY

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from jec_assets.correction import StandardCorrection
    from jec_assets.jets.standard_correction import SourceCorrection

Correction = Literal["uncorrected", "file", "derived"]
Quantity = Literal["gen_pt", "abs_gen_eta", "rho"]

ALL_REGIONS = Interval("all", REGION_EDGES[0], REGION_EDGES[-1])


@dataclass(frozen=True)
class View:
    """Jets of an |eta_gen| range in bins of a quantity, between edges."""

    name: str
    quantity: Quantity
    edges: tuple[float, ...]
    abs_gen_eta: Interval = ALL_REGIONS


GEN_PT_EDGES = (UNBIASED_GEN_PT, 65, 80, 100, 140, 200, 300, 450, 700, 1000, 1500, BEAM_ENERGY)
REGIONS_VIEW = View("regions", "abs_gen_eta", REGION_EDGES)
CURVES = (
    *(View(region.name, "gen_pt", GEN_PT_EDGES, region) for region in REGIONS),
    View("abs_gen_eta", "abs_gen_eta", ABS_GEN_ETA_EDGES),
    View("rho", "rho", (0, 5, 10, 15, 20, 25, 30, 60)),
)


@dataclass(frozen=True)
class CorrectedJets:
    """Jets with their responses pT / pT_gen under each correction; every array is (jets,), float64 but for `event`.

    responses: the correction that the other is compared with first
    """

    gen_pt: NDArray[np.float64]
    abs_gen_eta: NDArray[np.float64]
    rho: NDArray[np.float64]
    event: NDArray[np.uint64]
    responses: dict[Correction, NDArray[np.float64]]

    @classmethod
    def from_table(cls, table: pl.DataFrame, found: SourceCorrection) -> CorrectedJets:
        """From a split's table: jetPt, jetRawPt, jetEta, jetArea, rhoAll, genJetPt, genJetEta and event_hash."""
        raw, pt, gen_pt = (_float64(table, name) for name in ("jetRawPt", "jetPt", "genJetPt"))
        corrected: dict[Correction, NDArray[np.float64]] = (
            {"file": pt} if found.in_use == "file" else {"uncorrected": raw}
        )
        if found.derived is not None:
            corrected["derived"] = raw * found.derived.factor(*_inputs(table))
        return cls(
            gen_pt,
            np.abs(_float64(table, "genJetEta")),
            _float64(table, "rhoAll"),
            table["event_hash"].to_numpy(),
            {name: values / gen_pt for name, values in corrected.items()},
        )


@dataclass(frozen=True)
class CorrectionResult:
    """One correction in one bin of a view.

    center: median of the quantity, None without jets
    median: of the response; width: (R_75% - R_25%) / R_50% (Eq. 4 of the study), missing for fewer than 2 jets
    ratio: width over that of the correction it is compared with; missing for that one itself
    """

    view: View
    interval: Interval
    correction: Correction
    center: float | None
    median: Number
    width: Number
    ratio: Number


def correction_results(jets: CorrectedJets, draws: NDArray[np.integer], view: View) -> tuple[CorrectionResult, ...]:
    """Every bin and correction, in this order of nesting; draws are (1 + resamples, jets)."""
    values: NDArray[np.float64] = getattr(jets, view.quantity)
    inside = (jets.gen_pt >= UNBIASED_GEN_PT) & view.abs_gen_eta.contains(jets.abs_gen_eta)
    intervals = intervals_between(view.edges)
    rows_of = rows_of_bins(np.where(inside, bin_numbers(values, view.edges), OUTSIDE), len(intervals))
    results = []
    for interval, rows in zip(intervals, rows_of, strict=True):
        center = float(np.median(values[rows])) if len(rows) else None
        numbers = _numbers({name: each[rows] for name, each in jets.responses.items()}, draws[:, rows])
        results += [CorrectionResult(view, interval, name, center, *each) for name, each in numbers.items()]
    return tuple(results)


def _numbers(
    responses: dict[Correction, NDArray[np.float64]], draws: NDArray[np.integer]
) -> dict[Correction, tuple[Number, Number, Number]]:
    """Median, width and ratio of widths of each correction's responses (jets,)."""
    n = draws.shape[1]
    alone = Number.missing(1, "n = 1")
    found: dict[Correction, tuple[Number, Number, Number]] = {}
    reference = None
    for name, values in responses.items():
        quartiles = quantiles(values, draws, QUARTILES)
        median, width = quartiles[:, 1], quartile_width(quartiles)
        ratio = Number.missing(n, "the reference") if reference is None else Number.of(quotient(width, reference), n)
        reference = width if reference is None else reference
        of_width = (alone, alone) if n == 1 else (Number.of(width, n), ratio)
        found[name] = (Number.of(median, n), *of_width)
    return found


@dataclass(frozen=True)
class Coverage:
    """One |eta| bin of our L2L3: where it was measured, and how many jets lie beyond.

    low, high: GeV, corrected for the offset; jets: from UNBIASED_GEN_PT on; below, above: those of them where the
    factor is held constant
    """

    abs_eta: Interval
    low: float
    high: float
    jets: int
    below: int
    above: int


def coverage(table: pl.DataFrame, correction: StandardCorrection) -> tuple[Coverage, ...]:
    """Each |eta| bin of the correction with the jets of a split's table in it."""
    hard = table.filter(table["genJetPt"] >= UNBIASED_GEN_PT)
    raw, eta, rho, area = _inputs(hard)
    abs_eta = np.abs(eta)
    pt = raw * correction.offset_factor(raw, abs_eta, rho, area)
    bins = bin_of(abs_eta, correction.response_edges)
    intervals = intervals_between(correction.response_edges)
    found = []
    for place, (interval, curve) in enumerate(zip(intervals, correction.response, strict=True)):
        here = pt[bins == place]
        low, high = curve.pts[0], curve.pts[-1]
        counts = (len(here), int(np.count_nonzero(here < low)), int(np.count_nonzero(here > high)))
        found.append(Coverage(interval, low, high, *counts))
    return tuple(found)


def _inputs(table: pl.DataFrame) -> tuple[NDArray[np.float64], ...]:
    """What a correction takes: raw pT, eta, rho, area."""
    return tuple(_float64(table, name) for name in ("jetRawPt", "jetEta", "rhoAll", "jetArea"))


def _float64(table: pl.DataFrame, name: str) -> NDArray[np.float64]:
    return table[name].to_numpy().astype(np.float64)
