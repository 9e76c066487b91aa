"""Resolution report: relative width of the response and what the networks make of it (Figure 10, Table 4).

Belongs here: groups of jets. Does not belong here: resolutions of single jets (`jet_resolution.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import FLAVORS, INCLUSIVE, REGIONS, UNBIASED_GEN_PT, UNBIASED_INCLUSIVE, Interval
from jec_assets.evaluation.calibrated_jets import STANDARD, CalibratedJets
from jec_assets.evaluation.response.resolution import BINS, PUBLISHED_INTERVALS, Resolution, resolution
from jec_assets.evaluation.response.shrinkage import CorrectedResolution, corrected_resolution
from jec_assets.plots.resolution import MIN_JETS_PER_POINT, flavor_resolution, resolution_curves
from jec_assets.reports import published
from jec_assets.reports.report import NOTHING, JsonValue, Report, ReportFigure, Table, nested
from jec_assets.reports.text import (
    EVENT_WEIGHTS,
    PERCENT,
    count_text,
    interval_text,
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
WIDTHS = ("s [%]", "β [%]")
CORRECTED = ("Slope", "s corrected [%]", "β corrected [%]")
DEFINITION = "s: interquartile range over median of the response; β = 1 - s / s of the standard correction."
SHRINKAGE = (
    "Slope: dlnR/dln pT,gen of the median response R. Below 0 all jets are pulled towards the most likely pT, which "
    "narrows the response without any knowledge. Corrected: s / (1 + slope), the trend itself divided out of the "
    f"responses, and β of that. Below {UNBIASED_GEN_PT:g} GeV the cut on jetPt bends the median response, and no slope "
    "is meaningful."
)


def resolution_report(jets: pl.DataFrame, resampling: Resampling) -> Report:
    """Resolution of the response of the calibrated test jets."""
    test = CalibratedJets.from_table(jets)
    draws = resampling.draws(test.event)
    in_intervals, corrected = resolution(test, draws), corrected_resolution(test, draws)
    in_bins, corrected_in_bins = resolution(test, draws, BINS), corrected_resolution(test, draws, BINS)
    weighted = resolution(test.weighted_by_event(), draws)
    corrected_weighted = corrected_resolution(test.weighted_by_event(), draws)
    of_flavors = resolution(test, draws, PUBLISHED_INTERVALS, tuple(FLAVORS))
    of_flavors_in_bins = resolution(test, draws, BINS, tuple(FLAVORS))
    return Report(
        "resolution",
        "Resolution",
        _summary(in_intervals, corrected),
        (
            _table("Resolution and its improvement", in_intervals, corrected, (DEFINITION, SHRINKAGE, published.NOTE)),
            _weighted_table(weighted, corrected_weighted),
            *_flavor_tables(of_flavors),
            _table("Resolution in logarithmic bins", in_bins, corrected_in_bins, (DEFINITION, SHRINKAGE)),
        ),
        (
            *(_figure(in_bins, region) for region in REGIONS),
            *(_flavor_figure(of_flavors_in_bins, of_flavors, region) for region in REGIONS),
        ),
        {
            "resolution": {
                "intervals": _numbers(in_intervals, corrected),
                "bins": _numbers(in_bins, corrected_in_bins),
                "weighted": _numbers(weighted, corrected_weighted) | {"effective_jets": _effective(weighted)},
                "flavors": _flavor_numbers(of_flavors),
                "flavor_bins": _flavor_numbers(of_flavors_in_bins),
            }
        },
    )


def _summary(results: Sequence[Resolution], corrected: Sequence[CorrectedResolution]) -> str:
    plain = [
        (each.region, each.correction, each.beta)
        for each in results
        if each.interval == INCLUSIVE and each.correction != STANDARD
    ]
    unshrunk = [
        (each.region, each.correction, each.beta)
        for each in corrected
        if each.interval == UNBIASED_INCLUSIVE and each.correction != STANDARD
    ]
    return (
        f"Improvement of the resolution for pT,gen from {INCLUSIVE.low:g} GeV: {shares_by_region(plain)}. "
        f"Corrected for shrinkage, from {UNBIASED_INCLUSIVE.low:g} GeV: {shares_by_region(unshrunk)}."
    )


def _table(
    name: str, results: Sequence[Resolution], corrected: Sequence[CorrectedResolution], notes: tuple[str, ...]
) -> Table:
    rows = (
        (
            *_labels(each),
            *_widths(each),
            _published_beta(each),
            *_corrected_cells(unshrunk),
            count_text(each.resolution.n),
        )
        for each, unshrunk in zip(results, corrected, strict=True)
    )
    columns = (*LABELS, *WIDTHS, "Published β [%]", *CORRECTED, "Jets")
    return Table(name, columns, tuple(rows), notes, labels=len(LABELS)).without_empty_columns()


def _weighted_table(results: Sequence[Resolution], corrected: Sequence[CorrectedResolution]) -> Table:
    rows = (
        (*_labels(each), *_widths(each), *_corrected_cells(unshrunk), count_text(round(each.effective_jets)))
        for each, unshrunk in zip(results, corrected, strict=True)
    )
    columns = (*LABELS, *WIDTHS, *CORRECTED, "Effective jets")
    return Table("Resolution with event weights", columns, tuple(rows), (EVENT_WEIGHTS,), labels=len(LABELS))


def _flavor_tables(results: Sequence[Resolution]) -> tuple[Table, Table]:
    """s and beta, a column for each flavor."""
    widths: dict[tuple[str, ...], list[str]] = {}
    improvements: dict[tuple[str, ...], list[str]] = {}
    for each in results:
        widths.setdefault(_labels(each), []).append(number_text(each.resolution, PERCENT))
        if each.correction != STANDARD:
            improvements.setdefault(_labels(each), []).append(number_text(each.beta, PERCENT))
    return (
        _by_flavor("Resolution per flavor, s [%]", widths),
        _by_flavor("Improvement of the resolution per flavor, β [%]", improvements),
    )


def _by_flavor(name: str, cells: dict[tuple[str, ...], list[str]]) -> Table:
    rows = tuple((*labels, *each) for labels, each in cells.items())
    return Table(name, (*LABELS, *FLAVORS), rows, (DEFINITION,), labels=len(LABELS))


def _labels(each: Resolution) -> tuple[str, ...]:
    return each.region.name, interval_text(each.interval), title(each.correction)


def _widths(each: Resolution | CorrectedResolution) -> tuple[str, str]:
    """s and beta in percent."""
    beta = NOTHING if each.correction == STANDARD else number_text(each.beta, PERCENT)
    return number_text(each.resolution, PERCENT), beta


def _corrected_cells(each: CorrectedResolution) -> tuple[str, ...]:
    """The cells of CORRECTED; where there is no slope, the reason stands in its place alone."""
    slope = number_text(each.slope)
    return (slope, NOTHING, NOTHING) if each.slope.value is None else (slope, *_widths(each))


def _published_beta(each: Resolution) -> str:
    return percent_text(
        published.published_share(published.BETA, each.correction, each.region.name, each.interval.name)
    )


def _figure(results: Sequence[Resolution], region: Interval) -> ReportFigure:
    drawn = [each for each in results if each.region == region and each.resolution.n >= MIN_JETS_PER_POINT]
    ends = [drawn[0].interval, drawn[-1].interval] if drawn else []
    text = "; ".join(
        f"{interval_text(each.interval)} GeV, {title(each.correction)} {number_text(each.resolution)}"
        for each in drawn
        if each.interval in ends
    )
    return ReportFigure.of(
        resolution_curves(results, region),
        region.name,
        f"Resolution against pT,gen, {region.name}",
        f"Points with error bars in logarithmic bins with at least {MIN_JETS_PER_POINT} jets, ratio to the standard "
        f"correction below. {text}",
    )


def _flavor_figure(in_bins: Sequence[Resolution], inclusive: Sequence[Resolution], region: Interval) -> ReportFigure:
    text = "; ".join(
        f"{title(each.correction)}, {each.flavor} {number_text(each.ratio)}"
        for each in inclusive
        if each.region == region and each.interval == INCLUSIVE and each.correction != STANDARD
    )
    return ReportFigure.of(
        flavor_resolution(in_bins, region),
        f"{region.name}_flavors",
        f"Resolution per flavor, {region.name}",
        f"A panel for each flavor: ratio of the resolution to that of the standard correction against pT,gen, in bins "
        f"with at least {MIN_JETS_PER_POINT} jets. From {INCLUSIVE.low:g} GeV: {text}",
    )


def _numbers(results: Sequence[Resolution], corrected: Sequence[CorrectedResolution]) -> dict[str, JsonValue]:
    numbers = [(each, _key(each)) for each in results]
    unshrunk = [(each, _key(each)) for each in corrected]
    return {
        "s": nested((key, each.resolution.as_json()) for each, key in numbers),
        "beta": nested((key, each.beta.as_json()) for each, key in numbers if each.correction != STANDARD),
        "slope": nested((key, each.slope.as_json()) for each, key in unshrunk),
        "s_corrected": nested((key, each.resolution.as_json()) for each, key in unshrunk),
        "beta_corrected": nested((key, each.beta.as_json()) for each, key in unshrunk if each.correction != STANDARD),
    }


def _flavor_numbers(results: Sequence[Resolution]) -> dict[str, JsonValue]:
    numbers = [(each, (*_key(each), each.flavor)) for each in results]
    return {
        "s": nested((key, each.resolution.as_json()) for each, key in numbers),
        "beta": nested((key, each.beta.as_json()) for each, key in numbers if each.correction != STANDARD),
    }


def _effective(results: Sequence[Resolution]) -> dict[str, JsonValue]:
    return nested(
        ((each.region.name, each.interval.name), each.effective_jets) for each in results if each.correction == STANDARD
    )


def _key(each: Resolution | CorrectedResolution) -> tuple[str, str, str]:
    return each.correction, each.region.name, each.interval.name
