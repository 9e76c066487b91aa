"""Correction report: the standard correction in the files, the one derived from their jets, and how good they are.

Belongs here: its sentences, tables and figures. Does not belong here: deriving (`jec_assets.correction`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import REGIONS, UNBIASED_GEN_PT
from jec_assets.evaluation.response.response_curves import MIN_JETS
from jec_assets.evaluation.response.standard_correction import (
    CURVES,
    REGIONS_VIEW,
    CorrectedJets,
    CorrectionResult,
    Coverage,
    View,
    correction_results,
    coverage,
)
from jec_assets.plots.correction import APPEARANCES, closure_curves, offset_slopes, response_factors
from jec_assets.reports.report import NOTHING, JsonValue, Report, ReportFigure, Table, nested
from jec_assets.reports.text import PERCENT, count_text, listing, number_text, percent_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from jec_assets.correction import StandardCorrection
    from jec_assets.evaluation.bins import Interval
    from jec_assets.evaluation.bootstrap import Resampling
    from jec_assets.jets.standard_correction import SourceCorrection

QUANTITIES = {"gen_pt": "pT,gen [GeV]", "abs_gen_eta": "|η,gen|", "rho": "ρ [GeV]"}
TITLES = {
    "regions": "both regions",
    "barrel": "pT,gen, barrel",
    "endcap": "pT,gen, endcap",
    "abs_gen_eta": "|η,gen|",
    "rho": "ρ",
}
DEFINITIONS = "s: interquartile range over median of the response; ratio: s over that of the correction above it."


def correction_report(test: pl.DataFrame, found: SourceCorrection, resampling: Resampling) -> Report:
    """Both corrections on the test jets: jetPt, jetRawPt, jetEta, jetArea, rhoAll, genJetPt, genJetEta, event_hash."""
    jets = CorrectedJets.from_table(test, found)
    draws = resampling.draws(jets.event)
    regions = correction_results(jets, draws, REGIONS_VIEW)
    curves = {view: correction_results(jets, draws, view) for view in CURVES}
    tables = [_results_table(REGIONS_VIEW, regions)]
    figures = [_results_figure(view, results) for view, results in curves.items()]
    numbers: dict[str, JsonValue] = {"in_use": found.in_use, "jets": found.jets}
    if found.derived is not None:
        covered = coverage(test, found.derived)
        tables += [_offset_table(found.derived), _coverage_table(covered, found.derived)]
        figures += _level_figures(found.derived)
        numbers |= {"derived": _derived_numbers(found.derived, covered)}
    tables += [_results_table(view, results) for view, results in curves.items()]
    numbers |= {"results": _numbers([*regions, *(each for results in curves.values() for each in results)])}
    return Report(
        "correction",
        "Standard correction",
        _summary(found, regions),
        tuple(tables),
        tuple(figures),
        {"standard_correction": numbers},
    )


def _summary(found: SourceCorrection, regions: Sequence[CorrectionResult]) -> str:
    used = {
        "file": "The jets come corrected: jetPt of the files is used.",
        "derived": "The jets come uncorrected: jetPt is made of jetRawPt by the correction derived here.",
    }
    if found.derived is None:
        return f"{used[found.in_use]} None could be derived to compare it with: {found.why_none}."
    unread = len(found.errors)
    left_out = f" {count_text(unread)} {'file' if unread == 1 else 'files'} could not be read." if unread else ""
    return (
        f"{used[found.in_use]} Ours is derived from {count_text(found.jets)} jets of training events with pT,gen from "
        f"{found.derived.valid_from:g} GeV and held constant below.{left_out} Median response of the test jets from "
        f"{UNBIASED_GEN_PT:g} GeV: "
        + "; ".join(_regions_text(regions, region) for region in REGIONS)
        + ". Data, as opposed to simulation, still need the residual correction."
    )


def _regions_text(results: Sequence[CorrectionResult], region: Interval) -> str:
    told = (each for each in results if each.interval.low == region.low)
    return f"{region.name}: " + listing(f"{_title(each).lower()} {number_text(each.median)}" for each in told)


def _results_table(view: View, results: Sequence[CorrectionResult]) -> Table:
    return Table(
        f"Closure and resolution: {TITLES[view.name]}",
        (QUANTITIES[view.quantity], "Correction", "Jets", "Median response", "s [%]", "Ratio of s"),
        tuple(
            (
                _interval_text(each.interval),
                _title(each),
                count_text(each.median.n),
                number_text(each.median),
                number_text(each.width, PERCENT),
                NOTHING if each.correction == results[0].correction else number_text(each.ratio),
            )
            for each in results
        ),
        (DEFINITIONS, f"Test jets with pT,gen from {UNBIASED_GEN_PT:g} GeV."),
        labels=2,
    )


def _offset_table(correction: StandardCorrection) -> Table:
    edges = correction.offset_edges
    return Table(
        "Derived here: L1",
        ("|η|", "Slope k"),
        tuple(
            (f"{low:g}–{high:g}", f"{slope:.4f}")
            for low, high, slope in zip(edges[:-1], edges[1:], correction.offset_slopes, strict=True)
        ),
        ("Factor max(1 - k ρ A / pT, 0.0001) on the raw pT.",),
    )


def _coverage_table(covered: Sequence[Coverage], correction: StandardCorrection) -> Table:
    return Table(
        "Derived here: L2L3 and where it is held constant",
        ("|η|", "pT after L1 [GeV]", "Factor at first", "Factor at last", "Test jets", "Below [%]", "Above [%]"),
        tuple(
            (
                _interval_text(each.abs_eta),
                f"{each.low:.0f}–{each.high:.0f}",
                f"{curve.factors[0]:.4f}",
                f"{curve.factors[-1]:.4f}",
                count_text(each.jets),
                percent_text(each.below / each.jets if each.jets else None),
                percent_text(each.above / each.jets if each.jets else None),
            )
            for each, curve in zip(covered, correction.response, strict=True)
        ),
        (
            f"Measured from pT,gen = {correction.valid_from:g} GeV; held constant below the first and above the last "
            f"of these pT. Test jets with pT,gen from {UNBIASED_GEN_PT:g} GeV.",
        ),
    )


def _results_figure(view: View, results: Sequence[CorrectionResult]) -> ReportFigure:
    told = [each for each in results if each.median.n >= MIN_JETS]
    ends = {told[0].interval, told[-1].interval} if told else set()
    text = "; ".join(
        f"{_interval_text(each.interval)}, {_title(each)} {number_text(each.median)}"
        for each in told
        if each.interval in ends
    )
    return ReportFigure.of(
        closure_curves(results, view),
        view.name,
        f"Closure and resolution against {TITLES[view.name]}",
        f"Median response, resolution and ratio of resolutions in bins with at least {MIN_JETS} jets. "
        f"Median response at the ends: {text or 'no bin has as many jets'}",
    )


def _level_figures(correction: StandardCorrection) -> tuple[ReportFigure, ReportFigure]:
    first = [curve.factors[0] for curve in correction.response]
    slopes = listing(f"{slope:.3f}" for slope in correction.offset_slopes)
    return (
        ReportFigure.of(
            response_factors(correction),
            "response_factors",
            "Derived here: L2L3",
            f"Factor against pT for {len(first)} bins of |η|; at the first pT {min(first):.3f} to {max(first):.3f}",
        ),
        ReportFigure.of(
            offset_slopes(correction), "offset_slopes", "Derived here: slopes of L1", f"Steps in |η|: {slopes}"
        ),
    )


def _derived_numbers(correction: StandardCorrection, covered: Sequence[Coverage]) -> dict[str, JsonValue]:
    jets = sum(each.jets for each in covered)
    beyond = sum(each.below + each.above for each in covered)
    return {
        "digest": correction.digest,
        "valid_from_gen_pt": correction.valid_from,
        "test_jets": jets,
        "test_jets_beyond": beyond,
    }


def _numbers(results: Sequence[CorrectionResult]) -> dict[str, JsonValue]:
    return nested(
        (
            (each.view.name, each.interval.name, each.correction),
            {"median": each.median.as_json(), "s": each.width.as_json(), "ratio": each.ratio.as_json()},
        )
        for each in results
    )


def _title(result: CorrectionResult) -> str:
    return APPEARANCES[result.correction].title


def _interval_text(interval: Interval) -> str:
    """`30–100`, `0.3–0.6`."""
    return f"{interval.low:g}–{interval.high:g}"
