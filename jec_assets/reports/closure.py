"""The closure's part of the response report: the gate's verdict, the failing bins, and the residual correction.

Belongs here: its sentences, tables and numbers. Does not belong here: the rest of that report (`response.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from jec_assets.evaluation.bins import UNBIASED_GEN_PT
from jec_assets.evaluation.response.closure import STANDARD_DEVIATIONS, TOLERANCE, Binned
from jec_assets.evaluation.response.response_curves import MIN_JETS
from jec_assets.plots.closure import closure_panels
from jec_assets.reports.report import NOTHING, JsonValue, ReportFigure, Table, nested
from jec_assets.reports.text import ALL_OR_NONE, PERCENT, count_text, interval_text, number_text, percent_text, title

if TYPE_CHECKING:
    from jec_assets.evaluation.response.closure import Closure, ClosureVerdict, Outcome
    from jec_assets.evaluation.response.closure_study import ClosureSide, ClosureStudy
    from jec_assets.reports.report import Report

BINS: dict[Binned, str] = {"reconstructed": "pT,cal and |η|", "generated": "pT,gen and |η,gen|"}
ALONE, WITH_RESIDUAL = "none", "with"
GATE = (
    f"Gate: in every bin the median of pT,gen / pT,cal is within {PERCENT * TOLERANCE:g} %, or {STANDARD_DEVIATIONS:g} "
    "standard deviations, of a perfect network's. That is 1 in bins of reconstructed quantities, and 1 - (a + b) s² in "
    "bins of pT,gen, where jets are pulled along the spectrum dN/dln pT ~ pT^a by their resolution s ~ pT^b. Bins of "
    f"pT,gen below {UNBIASED_GEN_PT:g} GeV, biased by the selection, and the standard correction are not gated."
)
FEW = (
    f"Bins with fewer than {MIN_JETS} jets say nothing and fail nothing; where no bin has more, the gate is neither "
    "passed nor failed."
)
WEIGHTING = (
    "All jets count alike, as in training with JEC_WEIGHTING=none. Trained with weights w ~ pT,gen^c "
    "a perfect network is off by -c s²: with other weightings the gate isn't expected to be passed."
)
RESIDUAL = (
    "Residual correction: median of pT,gen / pT,cal of validation jets against pT,cal in bins of |η|; held constant "
    "beyond its first and last point."
)


def closure_summary(study: ClosureStudy) -> str:
    """A sentence per family."""
    verdicts = study.alone.verdicts.values()
    if not any(verdict.judged for verdict in verdicts):
        return "There are too few test jets to judge a closure."
    after = study.with_residual.verdicts
    return " ".join(_verdict_text(verdict, after[verdict.family]) for verdict in verdicts)


def closure_tables(study: ClosureStudy) -> tuple[Table, ...]:
    """The verdicts, the failing bins if there are any, all bins."""
    failing = _failing_table(study)
    return (_verdict_table(study), *((failing,) if failing.rows else ()), _bins_table(study.alone))


def closure_figures(study: ClosureStudy) -> tuple[ReportFigure, ...]:
    """Closure in reconstructed bins, the same with residual corrections, and in bins of pT_gen."""
    return (
        _figure(study.alone, "reconstructed", "closure", "Closure in bins of pT,cal and |η|"),
        _figure(
            study.with_residual,
            "reconstructed",
            "closure_with_residual",
            "Closure in bins of pT,cal and |η|, with residual corrections",
        ),
        _figure(study.alone, "generated", "closure_generated", "Closure in bins of pT,gen"),
    )


def closure_numbers(study: ClosureStudy) -> dict[str, JsonValue]:
    """Verdicts, ratios and losses, without and with residual corrections."""
    return {
        "alone": _side_numbers(study.alone),
        "with_residual": _side_numbers(study.with_residual),
        "held_by_residual": {family: share.as_json() for family, share in study.held.items()},
    }


def _side_numbers(side: ClosureSide) -> dict[str, JsonValue]:
    return {
        "outcome": {family: verdict.outcome for family, verdict in side.verdicts.items()},
        "judged": {family: verdict.judged for family, verdict in side.verdicts.items()},
        "failing": {family: len(verdict.failures) for family, verdict in side.verdicts.items()},
        "too_few_jets": {family: verdict.too_few for family, verdict in side.verdicts.items()},
        "loss": {correction: loss.as_json() for correction, loss in side.losses.items()},
        "bins": nested(
            (
                (each.correction, each.binned, each.abs_eta.name, each.pt.name),
                {**each.ratio.as_json(), "expected": each.expected, "gated": each.gated, "failed": each.failed},
            )
            for each in side.closures
        ),
    }


def _verdict_text(alone: ClosureVerdict, after: ClosureVerdict) -> str:
    family = title(alone.family)
    if alone.outcome == "not judged":
        return f"{family} has too few test jets to judge a closure."
    if alone.outcome == "passed":
        return f"{family} closes in all {alone.judged} bins of the gate that have enough jets."
    failed = f"{family} fails to close in {len(alone.failures)} of {alone.judged} bins"
    if after.outcome == "passed":
        return f"{failed}, and closes in all with its residual correction."
    return f"{failed}, and in {len(after.failures)} with its residual correction."


def _verdict_table(study: ClosureStudy) -> Table:
    return Table(
        "Closure gate",
        (
            *("Correction", "Residual correction", "Gate", "Bins judged", "Failing", "Too few jets"),
            *("Largest deviation [%]", "Loss", "Jets beyond its points [%]"),
        ),
        tuple(_verdict_row(study, family, residual) for family in study.held for residual in (ALONE, WITH_RESIDUAL)),
        (GATE, FEW, WEIGHTING, RESIDUAL, "Loss: as in the report on losses.", ALL_OR_NONE),
        labels=2,
    )


def _verdict_row(study: ClosureStudy, family: str, residual: str) -> tuple[str, ...]:
    side = study.alone if residual == ALONE else study.with_residual
    verdict = side.verdicts[family]
    gated = [each for each in side.closures if each.correction == family and each.gated]
    deviations = [each.deviation for each in gated if each.deviation is not None]
    return (
        title(family),
        residual,
        verdict.outcome,
        count_text(verdict.judged),
        count_text(len(verdict.failures)),
        count_text(verdict.too_few),
        percent_text(max(deviations, key=abs)) if deviations else NOTHING,
        number_text(side.losses[family]),
        NOTHING if residual == ALONE else number_text(study.held[family], PERCENT),
    )


def _failing_table(study: ClosureStudy) -> Table:
    return Table(
        "Bins that fail to close",
        ("Correction", "Residual correction", *_BIN_COLUMNS, "Allowed"),
        tuple(
            (title(each.correction), residual, *_bin_cells(each), f"±\N{NO-BREAK SPACE}{each.allowed:.4f}")
            for residual, side in ((ALONE, study.alone), (WITH_RESIDUAL, study.with_residual))
            for verdict in side.verdicts.values()
            for each in verdict.failures
        ),
        labels=2,
    )


def _bins_table(side: ClosureSide) -> Table:
    return Table(
        "Closure in all bins",
        ("Correction", *_BIN_COLUMNS, "Gate"),
        tuple((title(each.correction), *_bin_cells(each), _outcome(each)) for each in side.closures),
        (FEW,),
        labels=4,
    )


_BIN_COLUMNS = ("Bins of", "|η|", "pT [GeV]", "Jets", "Median of pT,gen / pT,cal", "Median - 1 [%]", "Expected")


def _bin_cells(each: Closure) -> tuple[str, ...]:
    return (
        BINS[each.binned],
        f"{each.abs_eta.low:g}–{each.abs_eta.high:g}",
        interval_text(each.pt),
        count_text(each.ratio.n),
        number_text(each.ratio),
        percent_text(None if each.ratio.value is None else each.ratio.value - 1),
        f"{each.expected:.4f}",
    )


def _outcome(each: Closure) -> str:
    if not each.gated:
        return "not gated"
    if each.deviation is None:
        return "too few jets"
    return "fails" if each.failed else "passes"


def _figure(side: ClosureSide, binned: Binned, name: str, heading: str) -> ReportFigure:
    counted = "; ".join(
        f"{title(family)}: {sum(each.binned == binned for each in verdict.failures)} failing bins"
        for family, verdict in side.verdicts.items()
    )
    return ReportFigure.of(
        closure_panels(side.closures, binned),
        name,
        heading,
        f"Points with error bars: median of pT,gen / pT,cal against pT, a panel for each bin of |η|; lines "
        f"{PERCENT * TOLERANCE:g} % above and below what a perfect network would have. {counted}",
    )


@dataclass(frozen=True)
class GateCounts:
    """What the gate said of a family without a residual correction. failing: of the bins judged."""

    outcome: Outcome
    judged: int
    failing: int
    too_few_jets: int


def gate_counts(report: Report) -> dict[str, GateCounts]:
    """Of each family, from the numbers of a response report."""
    numbers: Any = report.numbers["response"]
    alone = numbers["closure"]["alone"]
    return {
        family: GateCounts(*(alone[field.name][family] for field in fields(GateCounts))) for family in alone["outcome"]
    }
