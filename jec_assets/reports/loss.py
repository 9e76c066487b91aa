"""Loss report: each network against the three baselines (Table 2).

Belongs here: losses on the test jets. Does not belong here: losses of trials (`search.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.baselines import BASELINES, CONSTANT, KINEMATICS, Baselines
from jec_assets.evaluation.calibrated_jets import STANDARD, CalibratedJets
from jec_assets.evaluation.loss import CorrectionLoss, IntervalLosses, compare_losses, losses_in_intervals
from jec_assets.plots.loss import loss_bars
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
    title,
)

if TYPE_CHECKING:
    import polars as pl

    from jec_assets.evaluation.bootstrap import Resampling
    from jec_assets.evaluation.number import Number

NAMES = {
    STANDARD: "the standard correction",
    CONSTANT: "its best constant shift",
    KINEMATICS: "a regression on (log pT, eta) alone",
}


def loss_report(jets: pl.DataFrame, training: pl.DataFrame, resampling: Resampling) -> Report:
    """Compare the losses on the calibrated test jets.

    `training` are the jets that the baselines are fitted to, columns jetPt (GeV), jetEta and target; the resampling's
    seed serves there too.
    """
    test = CalibratedJets.from_table(jets)
    baselines = Baselines.fit(training, resampling.seed).log_factors(jets)
    networks = {family: test.log_factors[family] for family in test.families}
    draws, factors = resampling.draws(test.event), baselines | networks
    losses = compare_losses(test.target, factors, BASELINES, draws)
    weighted = compare_losses(test.target, factors, BASELINES, draws, test.event_weight)
    in_intervals, weighted_in_intervals = (
        losses_in_intervals(each, factors, BASELINES, draws) for each in (test, test.weighted_by_event())
    )
    figure = ReportFigure.of(
        loss_bars(losses),
        "losses",
        "Loss on the test jets",
        "Bars: " + "; ".join(f"{title(each.correction)} {number_text(each.loss)}" for each in losses),
    )
    tables = (
        _table(losses),
        _interval_table(in_intervals),
        _weighted_table(weighted),
        _weighted_interval_table(weighted_in_intervals),
    )
    numbers = {
        **_numbers(losses, weighted),
        "loss_by_interval": _interval_numbers(in_intervals),
        "loss_weighted_by_interval": _interval_numbers(weighted_in_intervals)
        | {"effective_jets": _effective(weighted_in_intervals)},
    }
    return Report("loss", "Loss", _summary(losses), tables, (figure,), numbers)


def _summary(losses: tuple[CorrectionLoss, ...]) -> str:
    if losses[0].loss.value is None:
        return "There are no test jets."
    networks = [each for each in losses if each.correction not in BASELINES]
    if not networks:
        return "There are no networks."
    told = "; ".join(
        f"below {NAMES[name]} by "
        + listing(f"{number_text(each.below[name], PERCENT)} % ({title(each.correction)})" for each in networks)
        for name in BASELINES
    )
    return f"On {losses[0].loss.n:,} test jets the loss is {told}."


def _table(losses: tuple[CorrectionLoss, ...]) -> Table:
    return Table(
        "Loss of networks and baselines",
        (
            "Correction",
            "Loss",
            "Gain over standard [%]",
            *(f"Below {name} [%]" for name in BASELINES),
            "Published loss",
            "Published gain [%]",
        ),
        tuple(
            (
                title(each.correction),
                number_text(each.loss),
                _comparison(each, STANDARD, each.gain),
                *(_comparison(each, name, each.below) for name in BASELINES),
                f"{published.LOSS[each.correction]:.5f}" if each.correction in published.LOSS else NOTHING,
                percent_text(published.GAIN.get(each.correction)),
            )
            for each in losses
        ),
        (
            "Loss: mean of |y - prediction| over all test jets, y = log(pT,gen / pT,reco); jets with |y| ≥ 1 count 0.",
            "Gain: (L_standard - L) / L, as published; below: (L_baseline - L) / L_baseline.",
            "Constant shift and kinematics, a regression on (log pT, eta) alone, are fitted to the training jets with "
            "the same loss.",
            published.NOTE,
        ),
    )


def _interval_table(results: tuple[IntervalLosses, ...]) -> Table:
    return Table(
        "Loss by region and pT,gen",
        (*_INTERVAL_COLUMNS, "Jets"),
        tuple((*_interval_cells(group, each), count_text(each.loss.n)) for group in results for each in group.losses),
        labels=3,
    )


def _weighted_interval_table(results: tuple[IntervalLosses, ...]) -> Table:
    return Table(
        "Loss by region and pT,gen with event weights",
        (*_INTERVAL_COLUMNS, "Effective jets"),
        tuple(
            (*_interval_cells(group, each), count_text(round(each.effective_jets)))
            for group in results
            for each in group.losses
        ),
        (EVENT_WEIGHTS,),
        labels=3,
    )


_INTERVAL_COLUMNS = ("Region", "pT,gen [GeV]", "Correction", "Loss", "Gain over standard [%]")


def _interval_cells(group: IntervalLosses, each: CorrectionLoss) -> tuple[str, ...]:
    return (
        group.region.name,
        interval_text(group.interval),
        title(each.correction),
        number_text(each.loss),
        _comparison(each, STANDARD, each.gain),
    )


def _interval_numbers(results: tuple[IntervalLosses, ...]) -> dict[str, JsonValue]:
    return nested(
        (
            (each.correction, group.region.name, group.interval.name),
            {"loss": each.loss.as_json(), "gain": each.gain[STANDARD].as_json()},
        )
        for group in results
        for each in group.losses
    )


def _effective(results: tuple[IntervalLosses, ...]) -> dict[str, JsonValue]:
    return nested(
        ((group.region.name, group.interval.name), group.losses[0].effective_jets) for group in results if group.losses
    )


def _weighted_table(losses: tuple[CorrectionLoss, ...]) -> Table:
    return Table(
        "Loss with event weights",
        (
            "Correction",
            "Loss",
            "Gain over standard [%]",
            *(f"Below {name} [%]" for name in BASELINES),
            "Effective jets",
        ),
        tuple(
            (
                title(each.correction),
                number_text(each.loss),
                _comparison(each, STANDARD, each.gain),
                *(_comparison(each, name, each.below) for name in BASELINES),
                count_text(round(each.effective_jets)),
            )
            for each in losses
        ),
        (EVENT_WEIGHTS,),
    )


def _comparison(each: CorrectionLoss, baseline: str, shares: dict[str, Number]) -> str:
    return NOTHING if each.correction == baseline else number_text(shares[baseline], PERCENT)


def _numbers(losses: tuple[CorrectionLoss, ...], weighted: tuple[CorrectionLoss, ...]) -> dict[str, JsonValue]:
    return {
        "loss": {each.correction: each.loss.value for each in losses},
        "loss_uncertainty": {each.correction: each.loss.uncertainty for each in losses},
        **_comparisons(losses),
        "loss_weighted": {
            "loss": {each.correction: each.loss.as_json() for each in weighted},
            **_comparisons(weighted),
            "effective_jets": weighted[0].effective_jets,
        },
    }


def _comparisons(losses: tuple[CorrectionLoss, ...]) -> dict[str, JsonValue]:
    return {
        "gain": nested(((e.correction, name), e.gain[name].as_json()) for e in losses for name in BASELINES),
        "below": nested(((e.correction, name), e.below[name].as_json()) for e in losses for name in BASELINES),
    }
