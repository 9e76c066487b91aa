"""Report on the resolution that networks predict for each jet: pulls, coverage, predicted against measured.

Belongs here: single jets. Does not belong here: the resolution of groups of jets (`resolution.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import ALL_FLAVORS, FLAVORS
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.jet_resolution import (
    NOMINAL,
    Coverage,
    Pulls,
    ResolutionClass,
    coverages,
    pulls,
    resolution_classes,
)
from jec_assets.evaluation.response.response_curves import MIN_JETS
from jec_assets.plots.jet_resolution import coverage, predicted_against_measured, pull_distribution
from jec_assets.reports.report import JsonValue, Report, ReportFigure, Table, nested
from jec_assets.reports.text import ALL_OR_NONE, PERCENT, count_text, interval_text, number_text, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

    from jec_assets.evaluation.bootstrap import Resampling

NAME, TITLE = "jet_resolution", "Predicted resolution"
DEFINITIONS = (
    "Predicted resolution s of a jet: half the distance between its predicted 16 % and 84 % quantiles of "
    "log(pT,gen / pT,reco). Pull: (log(pT,gen / pT,reco) - prediction) / s.",
    "Disordered: jets whose 84 % quantile isn't above their 16 % quantile, which have no pull.",
)
RECONSTRUCTED = (
    "Regions and pT are those of the reconstructed jet, pT calibrated by the network: right quantiles cover 68 % "
    "there, whatever the spectrum. Networks don't see flavors, for which coverages may differ."
)


def jet_resolution_report(test_table: pl.DataFrame, resampling: Resampling) -> Report:
    """Quantiles of the calibrated test jets, of every family that predicts them; without any, how to have them."""
    test = CalibratedJets.from_table(test_table)
    if not test.quantiles:
        return _nothing_predicted()
    draws = resampling.draws(test.event)
    pulled, covered, classes = pulls(test, draws), coverages(test, draws), resolution_classes(test, draws)
    return Report(
        NAME,
        TITLE,
        " ".join(_sentence(each) for each in pulled),
        (_pull_table(pulled), _coverage_table(covered), _flavor_table(covered), _class_table(classes)),
        (
            ReportFigure.of(
                pull_distribution(pulled),
                "pulls",
                "Pulls",
                "Density of the pulls beside a unit Gaussian. " + _alt(pulled),
            ),
            ReportFigure.of(
                coverage(covered),
                "coverage",
                "Coverage of the predicted 68 % interval",
                f"Points with error bars: share of the jets inside against pT,cal, in bins with at least {MIN_JETS} "
                "jets, barrel and endcap; a dotted line at 68 %",
            ),
            ReportFigure.of(
                predicted_against_measured(classes),
                "classes",
                "Predicted and measured resolution",
                "Points with error bars: measured resolution of jets with like predicted ones, barrel and endcap; "
                "a dotted diagonal, where they are equal",
            ),
        ),
        {NAME: _numbers(pulled, covered, classes)},
    )


def _nothing_predicted() -> Report:
    return Report(
        NAME,
        TITLE,
        "No network here predicts the resolution of a jet: with JEC_LOSS=quantile they are trained to predict its 16 % "
        "and 84 % quantiles beside the median, and this report shows whether these are right.",
        (),
        (),
        {NAME: {}},
    )


def _sentence(each: Pulls) -> str:
    if each.mean.value is None:
        return f"{title(each.family)}: {each.mean.note}."
    return (
        f"{title(each.family)}: pulls have the mean {number_text(each.mean)} and the core width "
        f"{number_text(each.core_width)}, which is 1 for a right resolution."
    )


def _alt(pulled: Sequence[Pulls]) -> str:
    return "; ".join(f"{title(each.family)}: core width {number_text(each.core_width)}" for each in pulled)


def _pull_table(pulled: Sequence[Pulls]) -> Table:
    return Table(
        "Pulls",
        ("Network", "Jets", "Mean", "Median", "Core width", "Disordered"),
        tuple(
            (
                title(each.family),
                count_text(each.mean.n),
                *(number_text(number) for number in (each.mean, each.median, each.core_width)),
                count_text(each.disordered),
            )
            for each in pulled
        ),
        (*DEFINITIONS, "Core width: half the distance between the 16 % and 84 % quantiles of the pulls."),
    )


def _coverage_table(covered: Sequence[Coverage]) -> Table:
    return Table(
        "Coverage of the predicted 68 % interval",
        ("Network", "Region", "pT,cal [GeV]", "Jets", "Inside [%]", "Below [%]", "Above [%]"),
        tuple(
            (
                title(each.family),
                each.region.name,
                interval_text(each.interval),
                count_text(each.inside.n),
                *(number_text(share, PERCENT) for share in (each.inside, each.below, each.above)),
            )
            for each in covered
            if each.flavor == ALL_FLAVORS
        ),
        (f"Right quantiles have {PERCENT * NOMINAL:g} % inside, and 16 % on either side.", RECONSTRUCTED, ALL_OR_NONE),
        labels=3,
    )


def _flavor_table(covered: Sequence[Coverage]) -> Table:
    rows: dict[tuple[str, str, str], list[str]] = {}
    for each in covered:
        if each.flavor in FLAVORS:
            group = title(each.family), each.region.name, interval_text(each.interval)
            rows.setdefault(group, []).append(number_text(each.inside, PERCENT))
    return Table(
        "Coverage per flavor [%]",
        ("Network", "Region", "pT,cal [GeV]", *FLAVORS),
        tuple((*group, *cells) for group, cells in rows.items()),
        (RECONSTRUCTED, ALL_OR_NONE),
        labels=3,
    )


def _class_table(classes: Sequence[ResolutionClass]) -> Table:
    return Table(
        "Predicted and measured resolution",
        ("Network", "Region", "Jets", "Predicted [%]", "Measured [%]"),
        tuple(
            (
                title(each.family),
                each.region.name,
                count_text(each.predicted.n),
                number_text(each.predicted, PERCENT),
                number_text(each.measured, PERCENT),
            )
            for each in classes
        ),
        (
            "Classes of equally many jets by predicted resolution. Predicted: the median of the class; measured: half "
            "the distance between the 16 % and 84 % quantiles of log(pT,gen / pT,reco) - prediction.",
        ),
        labels=2,
    )


def _numbers(
    pulled: Sequence[Pulls], covered: Sequence[Coverage], classes: Sequence[ResolutionClass]
) -> dict[str, JsonValue]:
    return {
        "pulls": nested(entry for each in pulled for entry in _pull_entries(each)),
        "coverage": nested(
            ((each.family, each.region.name, each.interval.name, each.flavor), each.inside.as_json())
            for each in covered
        ),
        "classes": nested(
            (
                (each.family, each.region.name, str(place)),
                {"predicted": each.predicted.as_json(), "measured": each.measured.as_json()},
            )
            for place, each in enumerate(classes)
        ),
    }


def _pull_entries(each: Pulls) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    for name, number in (("mean", each.mean), ("median", each.median), ("core_width", each.core_width)):
        yield (each.family, name), number.as_json()
    yield (each.family, "disordered"), each.disordered
