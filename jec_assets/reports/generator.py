"""Generator report: what another generator makes of the response of each flavor, and what the networks add to it.

Belongs here: its sentences, tables and figures. Does not belong here: the numbers
(`jec_assets.evaluation.response.generator`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.bins import FLAVORS, GEN_PT_INTERVALS, INCLUSIVE, REGIONS, Interval
from jec_assets.evaluation.calibrated_jets import STANDARD, CalibratedJets
from jec_assets.evaluation.response.generator import (
    LIGHT_MINUS_GLUON,
    QUANTITIES,
    GeneratorShifts,
    Shift,
    generator_shifts,
)
from jec_assets.plots.generator import generator_shift
from jec_assets.plots.style import minus
from jec_assets.reports.report import JsonValue, Report, ReportFigure, Table, nested
from jec_assets.reports.text import PERCENT, count_text, interval_text, listing, number_text, shares_by_region, title

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import polars as pl

    from jec_assets.evaluation.bootstrap import Resampling
    from jec_assets.evaluation.number import Number

DIFFERENCE = minus("R_uds - R_g")
TITLES = {LIGHT_MINUS_GLUON: DIFFERENCE}


def generator_report(nominal: pl.DataFrame, alternative: pl.DataFrame, resampling: Resampling) -> Report:
    """Shifts of the response between the calibrated test jets and the calibrated jets of another generator.

    Both are tables of calibrated jets; CalibratedJetsError where other networks made them.
    """
    results = generator_shifts(CalibratedJets.from_table(nominal), CalibratedJets.from_table(alternative), resampling)
    return Report(
        "generator",
        "Generator uncertainty",
        _summary(results, (len(nominal), len(alternative))),
        (_shift_table(results), _added_table(results), _jets_table(results)),
        tuple(
            _figure(results, region, intervals) for intervals in ((INCLUSIVE,), GEN_PT_INTERVALS) for region in REGIONS
        ),
        {"generator": _numbers(results)},
    )


def _summary(results: Sequence[GeneratorShifts], jets: tuple[int, int]) -> str:
    inclusive = [each for each in results if each.interval == INCLUSIVE]
    return (
        f"{count_text(jets[0])} test jets of the nominal generator, {count_text(jets[1])} jets of the alternative one. "
        f"Shift of {DIFFERENCE} for pT,gen from 30 GeV: "
        + shares_by_region((each.region, each.correction, each.shifts[LIGHT_MINUS_GLUON].shift) for each in inclusive)
        + "."
    )


def _percent_text(number: Number) -> str:
    return number_text(number, PERCENT) + ("" if number.value is None else " %")


def _shift_table(results: Sequence[GeneratorShifts]) -> Table:
    return _table(
        "Shift of the median response [%]",
        results,
        lambda shift: shift.shift,
        "Median response of the alternative jets minus that of the nominal ones, in percent of the true pT, which is "
        f"the generator uncertainty. {DIFFERENCE}: the median of all u, d and s jets together minus that of g jets.",
        "Uncertainties: standard deviation over resamplings of the events of both samples. A shift within twice its "
        "uncertainty may be no shift.",
    )


def _added_table(results: Sequence[GeneratorShifts]) -> Table:
    return _table(
        "What the networks add to the standard correction's shift [%]",
        [each for each in results if each.correction != STANDARD],
        lambda shift: shift.added,
        "Shift under the network minus shift under the standard correction: by how much the network's own factor "
        "depends on the generator. Both see the same jets, so the difference is known better than either. Where it has "
        "the other sign than the standard correction's shift, the network makes up for a part of that.",
    )


def _table(name: str, results: Sequence[GeneratorShifts], cell: Callable[[Shift], Number], *notes: str) -> Table:
    return Table(
        name,
        ("Region", "pT,gen [GeV]", "Correction", *(TITLES.get(quantity, quantity) for quantity in QUANTITIES)),
        tuple(
            (
                each.region.name,
                interval_text(each.interval),
                title(each.correction),
                *(number_text(cell(each.shifts[quantity]), PERCENT) for quantity in QUANTITIES),
            )
            for each in results
        ),
        notes,
        labels=3,
    )


def _jets_table(results: Sequence[GeneratorShifts]) -> Table:
    sides: dict[str, Callable[[Shift], Number]] = {
        "nominal": lambda shift: shift.nominal,
        "alternative": lambda shift: shift.alternative,
    }
    return Table(
        "Jets of both generators per flavor",
        ("Region", "pT,gen [GeV]", "Generator", *FLAVORS),
        tuple(
            (
                each.region.name,
                interval_text(each.interval),
                generator,
                *(count_text(side(each.shifts[flavor]).n) for flavor in FLAVORS),
            )
            for each in results
            if each.correction == STANDARD
            for generator, side in sides.items()
        ),
        labels=3,
    )


def _figure(results: Sequence[GeneratorShifts], region: Interval, intervals: Sequence[Interval]) -> ReportFigure:
    inclusive = len(intervals) == 1
    told = "; ".join(
        f"{interval_text(each.interval)} GeV, {title(each.correction)} "
        + _percent_text(each.shifts[LIGHT_MINUS_GLUON].shift)
        for each in results
        if each.region == region and each.interval in intervals
    )
    return ReportFigure.of(
        generator_shift(results, region, intervals),
        f"{region.name}_{'inclusive' if inclusive else 'intervals'}",
        f"Shift between generators, {region.name}" + ("" if inclusive else ", in intervals of pT,gen"),
        f"Points with error bars: median response of {listing(FLAVORS)} jets, and {DIFFERENCE}, alternative minus "
        f"nominal generator, in percent. Shift of {DIFFERENCE}: {told}",
    )


def _numbers(results: Sequence[GeneratorShifts]) -> dict[str, JsonValue]:
    cells = [
        ((each.correction, each.region.name, each.interval.name, quantity), shift)
        for each in results
        for quantity, shift in each.shifts.items()
    ]
    return {
        "shift": nested((key, shift.shift.as_json()) for key, shift in cells),
        "added": nested((key, shift.added.as_json()) for key, shift in cells if key[0] != STANDARD),
        "nominal": nested((key, shift.nominal.as_json()) for key, shift in cells),
        "alternative": nested((key, shift.alternative.as_json()) for key, shift in cells),
    }
