"""Flavor report: median response per flavor, its scatter and what the networks make of it (Figure 9, Table 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import FLAVORS, GEN_PT_INTERVALS, INCLUSIVE, REGIONS, Interval
from jec_assets.evaluation.calibrated_jets import STANDARD, CalibratedJets
from jec_assets.evaluation.flavor import MIN_JETS_PER_FLAVOR, FlavorDependence, flavor_dependence
from jec_assets.plots.flavor import flavor_response
from jec_assets.reports import published
from jec_assets.reports.report import JsonValue, Report, ReportFigure, Table, nested
from jec_assets.reports.text import PERCENT, count_text, interval_text, listing, number_text, percent_text, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from jec_assets.evaluation.bootstrap import Resampling


def flavor_report(jets: pl.DataFrame, resampling: Resampling) -> Report:
    """Flavor dependence of the response of the calibrated test jets."""
    test = CalibratedJets.from_table(jets)
    results = flavor_dependence(test, resampling.draws(test.event))
    return Report(
        "flavor",
        "Flavor dependence",
        _summary(results),
        (_alpha_table(results, test.families), _median_table(results), _jets_table(results)),
        tuple(
            _figure(results, region, intervals) for intervals in ((INCLUSIVE,), GEN_PT_INTERVALS) for region in REGIONS
        ),
        {"flavor": _numbers(results)},
    )


def _summary(results: Sequence[FlavorDependence]) -> str:
    networks = [each for each in results if each.interval == INCLUSIVE and each.correction != STANDARD]
    return (
        "Improvement of the flavor dependence for pT,gen from 30 GeV: "
        + "; ".join(f"{title(each.correction)}, {each.region.name}: {_improvement_text(each)}" for each in networks)
        + "."
    )


def _improvement_text(result: FlavorDependence) -> str:
    return number_text(result.alpha, PERCENT) + ("" if result.alpha.value is None else " %")


def _alpha_table(results: Sequence[FlavorDependence], families: tuple[str, ...]) -> Table:
    columns = ["Region", "pT,gen [GeV]", "SAE standard"]
    for family in families:
        columns += [f"SAE {title(family)}", f"α {title(family)} [%]", f"Published α {title(family)} [%]"]
    by_group: dict[tuple[str, str], list[str]] = {}
    for each in results:
        cells = by_group.setdefault((each.region.name, interval_text(each.interval)), [])
        cells.append(number_text(each.sae))
        if each.correction != STANDARD:
            alpha = published.published_share(published.ALPHA, each.correction, each.region.name, each.interval.name)
            cells += [number_text(each.alpha, PERCENT), percent_text(alpha)]
    return Table(
        "Flavor dependence and its improvement",
        tuple(columns),
        tuple((*group, *cells) for group, cells in by_group.items()),
        (
            f"SAE: sum over {', '.join(FLAVORS)} of |median response - mean of the six medians|.",
            "α = 1 - SAE / SAE of the standard correction, given where every flavor has at least "
            f"{MIN_JETS_PER_FLAVOR} jets; few jets make SAE larger than it is.",
            published.NOTE,
        ),
        labels=2,
    ).without_empty_columns()


def _median_table(results: Sequence[FlavorDependence]) -> Table:
    return Table(
        "Median response per flavor",
        ("Region", "pT,gen [GeV]", "Correction", *FLAVORS),
        tuple(
            (
                each.region.name,
                interval_text(each.interval),
                title(each.correction),
                *(number_text(median) for median in each.medians.values()),
            )
            for each in results
        ),
        ("Uncertainties: standard deviation over resamplings of the test events.",),
        labels=3,
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
        "median_response": nested(
            ((*key, flavor), median.as_json()) for each, key in keys for flavor, median in each.medians.items()
        ),
    }
