"""Flavor report: median response per flavor, its scatter and what the networks make of it (Figure 9, Table 4).

Belongs here: its sentences, tables and figures. Does not belong here: the numbers
(`jec_assets.evaluation.response.flavor`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import FLAVORS, GEN_PT_INTERVALS, INCLUSIVE, REGIONS, Interval
from jec_assets.evaluation.calibrated_jets import STANDARD, CalibratedJets
from jec_assets.evaluation.response.flavor import MIN_JETS_PER_FLAVOR, FlavorDependence, flavor_dependence
from jec_assets.evaluation.response.noise_floor import SHUFFLES
from jec_assets.plots.flavor import flavor_response
from jec_assets.reports import published
from jec_assets.reports.report import NOTHING, JsonValue, Report, ReportFigure, Table, nested
from jec_assets.reports.text import (
    EVENT_WEIGHTS,
    PERCENT,
    count_text,
    interval_text,
    listing,
    number_text,
    percent_text,
    shares_by_region,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from jec_assets.evaluation.bootstrap import Resampling


LABELS = ("Region", "pT,gen [GeV]", "Correction")


def flavor_report(jets: pl.DataFrame, resampling: Resampling) -> Report:
    """Flavor dependence of the response of the calibrated test jets."""
    test = CalibratedJets.from_table(jets)
    draws = resampling.draws(test.event)
    results = flavor_dependence(test, draws, resampling.seed)
    weighted = flavor_dependence(test.weighted_by_event(), draws, resampling.seed)
    return Report(
        "flavor",
        "Flavor dependence",
        _summary(results),
        (_table(results), _weighted_table(weighted), _median_table(results), _jets_table(results)),
        tuple(
            _figure(results, region, intervals) for intervals in ((INCLUSIVE,), GEN_PT_INTERVALS) for region in REGIONS
        ),
        {"flavor": _numbers(results) | {"weighted": _numbers(weighted) | {"effective_jets": _effective(weighted)}}},
    )


def _summary(results: Sequence[FlavorDependence]) -> str:
    improvements = (
        (each.region, each.correction, each.alpha)
        for each in results
        if each.interval == INCLUSIVE and each.correction != STANDARD
    )
    return f"Improvement of the flavor dependence for pT,gen from 30 GeV: {shares_by_region(improvements)}."


def _table(results: Sequence[FlavorDependence]) -> Table:
    return Table(
        "Flavor dependence and its improvement",
        (*LABELS, "SAE", "Noise floor", "α [%]", "Published α [%]", "Jets"),
        tuple((*_labels(each), *_cells(each), _published_alpha(each), count_text(each.sae.n)) for each in results),
        (
            f"SAE: sum over {', '.join(FLAVORS)} of |median response - mean of the six medians|.",
            "Noise floor: SAE of the same jets with shuffled flavors, mean and standard deviation over "
            f"{SHUFFLES} shuffles; an SAE near it says nothing of flavor.",
            "α = 1 - SAE / SAE of the standard correction, given where every flavor has at least "
            f"{MIN_JETS_PER_FLAVOR} jets.",
            published.NOTE,
        ),
        labels=len(LABELS),
    ).without_empty_columns()


def _weighted_table(results: Sequence[FlavorDependence]) -> Table:
    return Table(
        "Flavor dependence with event weights",
        (*LABELS, "SAE", "Noise floor", "α [%]", "Effective jets"),
        tuple((*_labels(each), *_cells(each), count_text(round(each.effective_jets))) for each in results),
        (EVENT_WEIGHTS,),
        labels=len(LABELS),
    )


def _labels(each: FlavorDependence) -> tuple[str, ...]:
    return each.region.name, interval_text(each.interval), title(each.correction)


def _cells(each: FlavorDependence) -> tuple[str, ...]:
    alpha = NOTHING if each.correction == STANDARD else number_text(each.alpha, PERCENT)
    return number_text(each.sae), number_text(each.noise_floor), alpha


def _published_alpha(each: FlavorDependence) -> str:
    return percent_text(
        published.published_share(published.ALPHA, each.correction, each.region.name, each.interval.name)
    )


def _median_table(results: Sequence[FlavorDependence]) -> Table:
    return Table(
        "Median response per flavor",
        (*LABELS, *FLAVORS),
        tuple((*_labels(each), *(number_text(median) for median in each.medians.values())) for each in results),
        ("Uncertainties: standard deviation over resamplings of the test events.",),
        labels=len(LABELS),
    )


def _jets_table(results: Sequence[FlavorDependence]) -> Table:
    return Table(
        "Test jets per flavor",
        ("Region", "pT,gen [GeV]", *FLAVORS),
        tuple(
            (
                each.region.name,
                interval_text(each.interval),
                *(count_text(median.n) for median in each.medians.values()),
            )
            for each in results
            if each.correction == STANDARD
        ),
        labels=2,
    )


def _figure(results: Sequence[FlavorDependence], region: Interval, intervals: Sequence[Interval]) -> ReportFigure:
    inclusive = len(intervals) == 1
    errors = "; ".join(
        f"{interval_text(each.interval)} GeV, {title(each.correction)} {number_text(each.sae)}"
        for each in results
        if each.region == region and each.interval in intervals
    )
    return ReportFigure.of(
        flavor_response(results, region, intervals),
        f"{region.name}_{'inclusive' if inclusive else 'intervals'}",
        f"Median response per flavor, {region.name}" + ("" if inclusive else ", in intervals of pT,gen"),
        f"Points with error bars: median response of {listing(FLAVORS)} jets. Sum of absolute errors: {errors}",
    )


def _numbers(results: Sequence[FlavorDependence]) -> dict[str, JsonValue]:
    keys = [(each, (each.correction, each.region.name, each.interval.name)) for each in results]
    return {
        "alpha": nested((key, each.alpha.as_json()) for each, key in keys if each.correction != STANDARD),
        "sae": nested((key, each.sae.as_json()) for each, key in keys),
        "noise_floor": nested((key, each.noise_floor.as_json()) for each, key in keys),
        "median_response": nested(
            ((*key, flavor), median.as_json()) for each, key in keys for flavor, median in each.medians.items()
        ),
    }


def _effective(results: Sequence[FlavorDependence]) -> dict[str, JsonValue]:
    return nested(
        ((each.region.name, each.interval.name), each.effective_jets) for each in results if each.correction == STANDARD
    )
