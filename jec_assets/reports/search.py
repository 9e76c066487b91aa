"""Search report: which hyperparameters were tried and what they did to the loss (Table 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.search import RankedTrial, SearchSummary, summarize_search
from jec_assets.plots.search import training_history, trial_losses
from jec_assets.reports import published
from jec_assets.reports.report import JsonValue, Report, ReportFigure, Table
from jec_assets.reports.text import number_text, percent_text, title, value_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jec_assets.evaluation.search import EvaluatedTrial


def search_report(trials: Mapping[str, Sequence[EvaluatedTrial]], standard_loss: float) -> Report:
    """Describe the finished trials of each family; `standard_loss` is that of the standard correction on the test jets.

    Raises `NoTrialsError` for a family without trials.
    """
    summaries = {family: summarize_search(tried, standard_loss) for family, tried in trials.items()}
    tables = [table for family, each in summaries.items() for table in _tables(family, each)]
    return Report(
        "search",
        "Hyperparameter search",
        " ".join(_summary(family, each) for family, each in summaries.items()),
        tuple(tables),
        _figures(trials, summaries, standard_loss),
        {"search": {family: _numbers(each) for family, each in summaries.items()}},
    )


def _summary(family: str, summary: SearchSummary) -> str:
    best, other = summary.top[0].trial.number, summary.lowest_test_loss.trial.number
    rule = "the same" if best == other else f"trial {other}"
    return (
        f"{title(family)}: {summary.trials} trials, trial {best} has the lowest validation loss and was chosen; "
        f"the lowest test loss, the published study's rule, would have picked {rule}."
    )


def _tables(family: str, summary: SearchSummary) -> tuple[Table, Table]:
    names = list(summary.top[0].trial.hyperparameters)
    best = Table(
        f"Best trials, {title(family)}",
        (
            "Trial",
            *(name.replace("_", " ") for name in names),
            "Validation loss",
            "Test loss",
            "Gain over standard [%]",
        ),
        tuple(_row(each, names) for each in summary.top),
        (
            "Ranked by validation loss; the test set was looked at after the choice.",
            f"Published gain [%]: {percent_text(published.GAIN.get(family))}, {published.NOT_COMPARABLE}.",
        ),
    )
    correlations = Table(
        f"Correlation with 1 / test loss, {title(family)}",
        ("Hyperparameter", "Pearson's ρ"),
        tuple((name.replace("_", " "), number_text(rho)) for name, rho in summary.correlations.items()),
        (f"Over {summary.trials} trials; uncertainties are standard errors.",),
    )
    return best, correlations


def _row(ranked: RankedTrial, names: Sequence[str]) -> tuple[str, ...]:
    trial = ranked.trial
    return (
        str(trial.number),
        *(value_text(trial.hyperparameters[name]) for name in names),
        f"{trial.validation_loss:.5f}",
        f"{trial.test_loss:.5f}",
        percent_text(ranked.gain),
    )


def _figures(
    trials: Mapping[str, Sequence[EvaluatedTrial]], summaries: Mapping[str, SearchSummary], standard_loss: float
) -> tuple[ReportFigure, ...]:
    best = {family: each.top[0].trial for family, each in summaries.items()}
    told = "; ".join(
        f"{title(family)}: lowest validation loss {trial.validation_loss:.5f} in trial {trial.number}"
        for family, trial in best.items()
    )
    losses = ReportFigure.of(
        trial_losses(trials, standard_loss), "trials", "Losses of all trials", f"Points by trial number. {told}"
    )
    histories = (
        ReportFigure.of(
            training_history(family, trials[family], trial.number),
            f"history_{family}",
            f"Training of {title(family)}",
            f"Losses by epoch; the chosen trial {trial.number} in color, the others in grey.",
        )
        for family, trial in best.items()
    )
    return losses, *histories


def _numbers(summary: SearchSummary) -> dict[str, JsonValue]:
    return {
        "trials": summary.trials,
        "chosen": summary.top[0].trial.number,
        "lowest_test_loss": summary.lowest_test_loss.trial.number,
        "correlations": {name: rho.as_json() for name, rho in summary.correlations.items()},
        "top": [
            {
                "number": each.trial.number,
                "hyperparameters": each.trial.hyperparameters,
                "validation_loss": each.trial.validation_loss,
                "test_loss": each.trial.test_loss,
                "gain": each.gain,
            }
            for each in summary.top
        ],
    }
