"""Resolution report: relative width of the response and what the networks make of it (Figure 10, Table 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import INCLUSIVE, REGIONS, Interval
from jec_assets.evaluation.calibrated_jets import STANDARD, CalibratedJets
from jec_assets.evaluation.resolution import BINS, INTERVALS, Resolution, resolution
from jec_assets.plots.resolution import MIN_JETS_PER_POINT, resolution_curves
from jec_assets.reports import published
from jec_assets.reports.report import JsonValue, Report, ReportFigure, Table, nested
from jec_assets.reports.text import PERCENT, count_text, interval_text, number_text, percent_text, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from jec_assets.evaluation.bootstrap import Resampling

DEFINITIONS = "s: interquartile range over median of the response; β = 1 - s / s of the standard correction."


def resolution_report(jets: pl.DataFrame, resampling: Resampling) -> Report:
    """Resolution of the response of the calibrated test jets."""
    test = CalibratedJets.from_table(jets)
    draws = resampling.draws(test.event)
    in_intervals = resolution(test, draws, INTERVALS)
    in_bins = resolution(test, draws, BINS)
    return Report(
        "resolution",
        "Resolution",
        _summary(in_intervals),
        (
            _table("Resolution and its improvement", in_intervals, test.families),
            replace(_table("Resolution in logarithmic bins", in_bins, test.families), notes=(DEFINITIONS,)),
        ),
        tuple(_figure(in_bins, region) for region in REGIONS),
        {"resolution": {"intervals": _numbers(in_intervals), "bins": _numbers(in_bins)}},
    )


def _summary(results: Sequence[Resolution]) -> str:
    networks = [each for each in results if each.interval == INCLUSIVE and each.correction != STANDARD]
    return (
        "Improvement of the resolution for pT,gen from 30 GeV: "
        + "; ".join(
            f"{title(each.correction)}, {each.region.name}: "
            + number_text(each.beta, PERCENT)
            + ("" if each.beta.value is None else " %")
            for each in networks
        )
        + "."
    )


def _table(name: str, results: Sequence[Resolution], families: tuple[str, ...]) -> Table:
    columns = ["Region", "pT,gen [GeV]", "Jets", "s standard [%]"]
    for family in families:
        columns += [f"s {title(family)} [%]", f"β {title(family)} [%]", f"Published β {title(family)} [%]"]
    by_group: dict[tuple[str, str], list[str]] = {}
    for each in results:
        cells = by_group.setdefault((each.region.name, interval_text(each.interval)), [])
        if each.correction == STANDARD:
            cells += [count_text(each.resolution.n), number_text(each.resolution, PERCENT)]
            continue
        beta = published.published_share(published.BETA, each.correction, each.region.name, each.interval.name)
        cells += [number_text(each.resolution, PERCENT), number_text(each.beta, PERCENT), percent_text(beta)]
    return Table(
        name,
        tuple(columns),
        tuple((*group, *cells) for group, cells in by_group.items()),
        (DEFINITIONS, published.NOTE),
        labels=2,
    ).without_empty_columns()


def _figure(results: Sequence[Resolution], region: Interval) -> ReportFigure:
    drawn = [each for each in results if each.region == region and each.resolution.n >= MIN_JETS_PER_POINT]
    ends = [drawn[0].interval, drawn[-1].interval] if drawn else []
    told = [each for each in drawn if each.interval in ends]
    text = "; ".join(
        f"{interval_text(each.interval)} GeV, {title(each.correction)} {number_text(each.resolution)}" for each in told
    )
    return ReportFigure.of(
        resolution_curves(results, region),
        region.name,
        f"Resolution against pT,gen, {region.name}",
        f"Points with error bars in logarithmic bins with at least {MIN_JETS_PER_POINT} jets, ratio to the standard "
        f"correction below. {text}",
    )


def _numbers(results: Sequence[Resolution]) -> dict[str, JsonValue]:
    keys = [(each, (each.correction, each.region.name, each.interval.name)) for each in results]
    return {
        "s": nested((key, each.resolution.as_json()) for each, key in keys),
        "beta": nested((key, each.beta.as_json()) for each, key in keys if each.correction != STANDARD),
    }
