"""Response report: the median response, its tails, whether networks close, and what a residual correction mends.

Belongs here: medians, maps and tails. Does not belong here: the gate's sentences and tables (`closure.py`).
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import ALL_FLAVORS, GEN_PT_INTERVALS, REGIONS, UNBIASED_GEN_PT
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.closure_study import study_closure
from jec_assets.evaluation.response.response_curves import (
    EDGES,
    GEN_PT_EDGES,
    MIN_JETS,
    median_responses,
    response_maps,
)
from jec_assets.evaluation.response.tails import GAUSSIAN_SHARE, HIGHEST, LOWEST, WIDTHS, tails
from jec_assets.plots import response as figures
from jec_assets.plots.tails import tail_shares
from jec_assets.reports.closure import closure_figures, closure_numbers, closure_summary, closure_tables
from jec_assets.reports.report import JsonValue, Report, ReportFigure, Table, nested
from jec_assets.reports.text import ALL_OR_NONE, PERCENT, count_text, interval_text, number_text, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from jec_assets.evaluation.bootstrap import Resampling
    from jec_assets.evaluation.response.response_curves import MedianResponse, Quantity, ResponseMap
    from jec_assets.evaluation.response.tails import Tails

AGAINST: dict[Quantity, str] = {
    "gen_pt": "pT,gen",
    "abs_gen_eta": "|η| of the particle-level jet",
    "rho": "ρ",
    "pileup": "the number of pileup interactions",
}
TAIL_EDGES = (UNBIASED_GEN_PT, *(interval.high for interval in GEN_PT_INTERVALS))
BIASED = (
    f"Below pT,gen = {UNBIASED_GEN_PT:g} GeV the threshold in jetPt keeps the jets that fluctuated upward: the "
    "response there tells more of that selection than of a correction."
)
SHADED = f"bins below {UNBIASED_GEN_PT:g} GeV, biased by the selection, are shaded, and points there may lie outside"


def response_report(test_table: pl.DataFrame, validation_table: pl.DataFrame, resampling: Resampling) -> Report:
    """Response of the calibrated test jets; residual corrections come from the calibrated validation jets."""
    test = CalibratedJets.from_table(test_table)
    draws = resampling.draws(test.event)
    study = study_closure(test, CalibratedJets.from_table(validation_table), draws)
    curves = {quantity: median_responses(test, draws, quantity) for quantity in EDGES}
    maps, in_intervals = response_maps(test), tails(test, draws, TAIL_EDGES)
    return Report(
        "response",
        "Response and closure",
        closure_summary(study),
        (*closure_tables(study), _median_table(curves["gen_pt"]), _tail_table(in_intervals)),
        (
            *closure_figures(study),
            *(each for quantity, results in curves.items() for each in _curve_figures(quantity, results)),
            _map_figure(maps),
            *_tail_figures(tails(test, draws, GEN_PT_EDGES)),
        ),
        {
            "response": {
                "closure": closure_numbers(study),
                "median": nested(entry for results in curves.values() for entry in _median_entries(results)),
                "map": {each.correction: _map_numbers(each) for each in maps},
                "tails": nested(entry for each in in_intervals for entry in _tail_entries(each)),
            }
        },
    )


def _median_table(results: Sequence[MedianResponse]) -> Table:
    return Table(
        "Median response against pT,gen",
        ("pT,gen [GeV]", "Correction", "Jets", "Median response"),
        tuple(
            (interval_text(each.interval), title(each.correction), count_text(each.median.n), _median_text(each))
            for each in results
            if each.flavor == ALL_FLAVORS
        ),
        (BIASED,),
        labels=2,
    )


def _median_text(each: MedianResponse) -> str:
    biased = each.median.value is not None and each.interval.high <= UNBIASED_GEN_PT
    return number_text(each.median) + (" (selection-biased)" if biased else "")


def _tail_table(results: Sequence[Tails]) -> Table:
    return Table(
        "Tails of the response",
        (
            *("Region", "pT,gen [GeV]", "Correction", "Jets"),
            *(f"R < {LOWEST:g} [%]", f"R > {HIGHEST:g} [%]", f"Beyond {WIDTHS:g} widths [%]"),
        ),
        tuple(
            (
                each.region.name,
                interval_text(each.interval),
                title(each.correction),
                count_text(each.below.n),
                *(number_text(share, PERCENT) for share in (each.below, each.above, each.far)),
            )
            for each in results
        ),
        (
            f"Beyond {WIDTHS:g} widths: further from the median than {WIDTHS:g} (q84 - q16) / 2; of a Gaussian "
            f"response {PERCENT * GAUSSIAN_SHARE:g} %.",
            ALL_OR_NONE,
        ),
        labels=3,
    )


def _curve_figures(quantity: Quantity, results: Sequence[MedianResponse]) -> Iterator[ReportFigure]:
    against = AGAINST[quantity]
    points = f"oints with error bars: median response of each correction in bins with at least {MIN_JETS} jets"
    points += f"; {SHADED}" if quantity == "gen_pt" else f", pT,gen ≥ {UNBIASED_GEN_PT:g} GeV"
    yield ReportFigure.of(
        figures.response_curves(results),
        f"median_{quantity}",
        f"Median response against {against}",
        f"P{points}",
    )
    yield ReportFigure.of(
        figures.response_per_flavor(results),
        f"flavors_{quantity}",
        f"Median response against {against}, per flavor",
        f"A panel for each flavor; p{points}",
    )


def _map_figure(maps: Sequence[ResponseMap]) -> ReportFigure:
    return ReportFigure.of(
        figures.response_maps(maps),
        "map",
        "Median response against pT and |η| of the particle-level jet",
        f"A map for each correction: white where the median response is 1, red above, blue below, gray in cells with "
        f"fewer than {MIN_JETS} jets; a dotted line at {UNBIASED_GEN_PT:g} GeV, below which the selection decides",
    )


def _tail_figures(results: Sequence[Tails]) -> Iterator[ReportFigure]:
    for region in REGIONS:
        yield ReportFigure.of(
            tail_shares(results, region),
            f"tails_{region.name}",
            f"Tails of the response, {region.name}",
            f"Points with error bars against pT,gen: shares of the jets with a response below {LOWEST:g}, above "
            f"{HIGHEST:g}, and beyond {WIDTHS:g} widths of the core; {SHADED}",
        )


def _median_entries(results: Sequence[MedianResponse]) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    for each in results:
        yield (each.correction, each.quantity, each.flavor, each.interval.name), each.median.as_json()


def _tail_entries(each: Tails) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    for name, share in (("below", each.below), ("above", each.above), ("far", each.far)):
        yield (each.correction, each.region.name, each.interval.name, name), share.as_json()


def _map_numbers(each: ResponseMap) -> dict[str, JsonValue]:
    """Medians as rows of pT_gen with a value per bin of |eta_gen|; null with too few jets."""
    return {
        "gen_pt_edges": list(each.gen_pt_edges),
        "abs_gen_eta_edges": list(each.abs_gen_eta_edges),
        "median": [[median if isfinite(median) else None for median in row] for row in each.median.tolist()],
        "jets": each.jets.tolist(),
    }
