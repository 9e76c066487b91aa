"""Comparison report: every network's loss, gain, α and β beside the published study (Tables 2 and 4).

Belongs here: putting what other reports say beside what was published. Does not belong here: computing any of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import GEN_PT_INTERVALS, INCLUSIVE, REGIONS
from jec_assets.reports import published
from jec_assets.reports.report import NOTHING, JsonValue, Report, Table, nested
from jec_assets.reports.results import Results
from jec_assets.reports.text import PERCENT, interval_text, number_text, percent_text, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jec_assets.evaluation.number import Number

QUANTITIES = {"loss": "Loss [10⁻²]", "gain": "Gain [%]", "alpha": "α [%]", "beta": "β [%]"}
ALL = "all"
NOT_PUBLISHED: dict[str, dict[str, dict[str, float]]] = {}


@dataclass(frozen=True)
class _Pair:
    """A family's number and the published one, None where there is none."""

    ours: Number
    theirs: float | None


@dataclass(frozen=True)
class _Row:
    """A quantity in one region and interval of pT_gen, for each family; place: keys below the quantity in the JSON."""

    quantity: str
    region: str
    interval: str
    place: tuple[str, ...]
    pairs: Mapping[str, _Pair]


def comparison_report(reports: Mapping[str, Report]) -> Report:
    """Put the numbers of the reports `loss`, `flavor` and `resolution` beside the published ones.

    Raises `ReportError` where one of the three is missing or has no such numbers.
    """
    results = Results.of(reports.values())
    rows = (*_overall(results), *_by_region(results))
    return Report(
        "comparison",
        "Beside the published study",
        _summary(results),
        (_table(rows, results.families),),
        (),
        {"comparison": _numbers(rows)},
    )


def _overall(results: Results) -> Iterator[_Row]:
    families = results.families
    losses = {each: _Pair(results.loss(each), published.LOSS.get(each)) for each in families}
    yield _Row("loss", ALL, ALL, (ALL,), losses)
    gains = {each: _Pair(results.gain(each), published.GAIN.get(each)) for each in families}
    yield _Row("gain", ALL, ALL, (ALL,), gains)


def _by_region(results: Results) -> Iterator[_Row]:
    for quantity, ours, theirs in (
        ("loss", results.interval_loss, NOT_PUBLISHED),
        ("gain", results.interval_gain, NOT_PUBLISHED),
        ("alpha", results.alpha, published.ALPHA),
        ("beta", results.beta, published.BETA),
    ):
        for region in REGIONS:
            for interval in (*GEN_PT_INTERVALS, INCLUSIVE):
                place = (region.name, interval.name)
                pairs = {
                    each: _Pair(ours(each, region, interval), published.published_share(theirs, each, *place))
                    for each in results.families
                }
                yield _Row(quantity, region.name, interval_text(interval), place, pairs)


def _summary(results: Results) -> str:
    gains = {family: results.gain(family) for family in results.families}
    missing = [gain.note for gain in gains.values() if gain.value is None]
    if missing or not gains:
        return f"There is nothing to compare: {missing[0] if missing else 'no networks'}."
    told = "; ".join(
        f"{title(family)} {number_text(gain, PERCENT)} %"
        + (f" (published: {percent_text(published.GAIN[family])} %)" if family in published.GAIN else "")
        for family, gain in gains.items()
    )
    return f"Gain in loss over the standard correction: {told}. The published numbers are {published.NOT_COMPARABLE}."


def _table(rows: tuple[_Row, ...], families: tuple[str, ...]) -> Table:
    columns = ["Quantity", "Region", "pT,gen [GeV]"]
    for family in families:
        columns += [title(family), f"Published {title(family)}"]
    return Table(
        "Loss, gain, α and β beside the published study",
        tuple(columns),
        tuple((QUANTITIES[row.quantity], row.region, row.interval, *_cells(row)) for row in rows),
        (
            "Gain: (L_standard - L) / L. α: improvement of the flavor dependence, 1 - SAE / SAE of the standard "
            "correction. β: improvement of the resolution, 1 - s / s of the standard correction.",
            published.NOTE,
        ),
        labels=3,
    ).without_empty_columns()


def _cells(row: _Row) -> Iterator[str]:
    for pair in row.pairs.values():
        yield number_text(pair.ours, PERCENT)
        if pair.theirs is None:
            yield NOTHING
        else:
            yield f"{pair.theirs * PERCENT:.3f}" if row.quantity == "loss" else percent_text(pair.theirs)


def _numbers(rows: tuple[_Row, ...]) -> dict[str, JsonValue]:
    return nested(
        ((family, row.quantity, *row.place), {**pair.ours.as_json(), "published": pair.theirs})
        for row in rows
        for family, pair in row.pairs.items()
    )
