"""Search report: which hyperparameters were tried and what they did to the loss (Table 2).

Belongs here: its sentences, tables and figures. Does not belong here: the choice (`jec_assets.search`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.networks.search import UNCERTAINTY_MIN_TRIALS, RankedTrial, SearchSummary, summarize_search
from jec_assets.plots.parallel_coordinates import parallel_coordinates
from jec_assets.plots.search import best_so_far, training_history, trial_losses
from jec_assets.plots.style import minus
from jec_assets.reports import published
from jec_assets.reports.report import NOTHING, JsonValue, Report, ReportFigure, Table
from jec_assets.reports.text import PERCENT, listing, number_text, percent_text, title, value_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jec_assets.evaluation.networks.search import EvaluatedTrial


def search_report(trials: Mapping[str, Sequence[EvaluatedTrial]], standard_loss: float, seed: int = 1) -> Report:
    """Describe the finished trials of each family; `standard_loss` is that of the standard correction on the test jets.

    The seed is that of the forest behind importances. Raises `NoTrialsError` for a family without trials.
    """
    summaries = {family: summarize_search(tried, standard_loss, seed) for family, tried in trials.items()}
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


def _tables(family: str, summary: SearchSummary) -> tuple[Table, Table, Table]:
    return _best_trials(family, summary), _hyperparameters(family, summary), _quartiles(family, summary)


def _best_trials(family: str, summary: SearchSummary) -> Table:
    names = list(summary.top[0].trial.hyperparameters)
    return Table(
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
            *(
                (f"Published gain [%]: {percent_text(published.GAIN[family])}, {published.NOT_COMPARABLE}.",)
                if family in published.GAIN
                else ()
            ),
        ),
    )


def _hyperparameters(family: str, summary: SearchSummary) -> Table:
    known = published.CORRELATION.get(family, {})
    return Table(
        f"Hyperparameters and loss, {title(family)}",
        ("Hyperparameter", "Pearson's ρ with 1 / test loss", "Published ρ", "Importance for validation loss [%]"),
        tuple(
            (
                name.replace("_", " "),
                number_text(summary.correlations[name]) if name in summary.correlations else NOTHING,
                minus(f"{known[name]:.2f}") if name in known else NOTHING,
                importance.note if importance.value is None else f"{importance.value * PERCENT:.1f}",
            )
            for name, importance in summary.importances.items()
        ),
        (
            f"{_compared(summary)} Uncertainties of ρ: half of Fisher's 68 % interval, from {UNCERTAINTY_MIN_TRIALS} "
            "trials on. Importance: the share in the variance of the loss over the space that was searched (fANOVA, by "
            "Optuna).",
            *((published.NOTE,) if known else ()),
        ),
    ).without_empty_columns()


def _quartiles(family: str, summary: SearchSummary) -> Table:
    known = published.QUARTILES.get(family, {})
    return Table(
        f"Quarters of the trials by test loss, {title(family)}",
        ("Mean of", "Lowest losses", "Highest losses", "Published, lowest", "Published, highest"),
        tuple(
            (
                name.replace("_", " "),
                number_text(means.lower),
                number_text(means.upper),
                *(map(value_text, known[name]) if name in known else (NOTHING, NOTHING)),
            )
            for name, means in summary.quartiles.items()
        ),
        (f"{_compared(summary)} Uncertainties are standard errors.", *((published.NOTE,) if known else ())),
    ).without_empty_columns()


def _compared(summary: SearchSummary) -> str:
    if not summary.other_terms:
        return f"Over all {summary.trials} trials."
    others = listing(str(number) for number in summary.other_terms)
    return (
        f"Over {summary.compared} of {summary.trials} trials: {others} had other terms than the chosen one (epochs, "
        "batch size, loss, schedule and the like)."
    )


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
    everything = (
        ReportFigure.of(
            parallel_coordinates(family, trials[family]),
            f"parallel_{family}",
            f"Hyperparameters of all trials of {title(family)}",
            f"Parallel coordinates, a line for each of {len(trials[family])} trials, colored by validation loss; the "
            f"chosen trial {trial.number} in front.",
        )
        for family, trial in best.items()
    )
    progress = ReportFigure.of(
        best_so_far(trials), "best_so_far", "Lowest validation loss by trial", f"Falling steps a family. {told}"
    )
    return losses, progress, *everything, *histories


def _numbers(summary: SearchSummary) -> dict[str, JsonValue]:
    return {
        "trials": summary.trials,
        "chosen": summary.top[0].trial.number,
        "lowest_test_loss": summary.lowest_test_loss.trial.number,
        "compared": summary.compared,
        "other_terms": list(summary.other_terms),
        "correlations": {name: rho.as_json() for name, rho in summary.correlations.items()},
        "importances": {name: share.as_json() for name, share in summary.importances.items()},
        "quartiles": {
            name: {"lower": means.lower.as_json(), "upper": means.upper.as_json()}
            for name, means in summary.quartiles.items()
        },
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
