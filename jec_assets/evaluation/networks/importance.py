"""How much each hyperparameter matters for the loss of a trial.

Belongs here: Optuna's importances of trials that were carried out elsewhere. Does not belong here: correlations
(`search.py`), which have a sign but see straight lines only.

fANOVA (F. Hutter, H. Hoos, K. Leyton-Brown, ICML 2014): a random forest is fitted to the losses, and its variance over
the space that was searched is split among the hyperparameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jec_assets.evaluation.number import Number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.distributions import BaseDistribution

MIN_TRIALS = 10  # a forest fitted to fewer says what happened to be drawn
Value = int | float | str


def importances(tried: Sequence[Mapping[str, Value]], losses: Sequence[float], seed: int) -> dict[str, Number]:
    """Share of each hyperparameter in what makes the losses of trials differ; those that are there sum up to 1.

    tried: what each trial tried, with the same names in each; losses (trials,). Missing for fewer than `MIN_TRIALS`
    trials, and for a hyperparameter that is the same in all. The seed is that of the forest.
    """
    n = len(tried)
    names = list(tried[0]) if tried else []
    if n < MIN_TRIALS:
        return {name: Number.missing(n, f"n = {n}: fewer than {MIN_TRIALS} trials") for name in names}
    if len(set(losses)) == 1:
        return {name: Number.missing(n, "the same loss in every trial") for name in names}
    varied = [name for name in names if len({each[name] for each in tried}) > 1]
    shares = _fanova([{name: each[name] for name in varied} for each in tried], losses, seed) if varied else {}
    return {
        name: Number(shares[name], None, n) if name in shares else Number.missing(n, "the same in every trial")
        for name in names
    }


def _fanova(tried: Sequence[dict[str, Value]], losses: Sequence[float], seed: int) -> dict[str, float]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    space = {name: _distribution([each[name] for each in tried]) for name in tried[0]}
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else the study announces itself
    try:
        study = optuna.create_study(direction="minimize")
    finally:
        optuna.logging.set_verbosity(verbosity)
    for values, loss in zip(tried, losses, strict=True):
        study.add_trial(optuna.create_trial(params=values, distributions=space, value=loss))
    found: dict[str, float] = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    return found


def _distribution(values: list[Any]) -> BaseDistribution:
    """What holds all the values: an interval for numbers with fractions, a list of choices for others."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if any(isinstance(value, float) for value in values):
        return FloatDistribution(min(values), max(values))
    return CategoricalDistribution(sorted(set(values)))
