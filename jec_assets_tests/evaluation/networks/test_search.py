from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jec_assets.evaluation.networks.search import (
    EvaluatedTrial,
    NoTrialsError,
    pearson,
    quartile_means,
    summarize_search,
)
from jec_assets_tests.search.samples import finished


def trial(number: int, validation: float, test: float, **hyperparameters: float | str) -> EvaluatedTrial:
    return EvaluatedTrial(number, dict(hyperparameters), validation, test)


TRIALS = [
    trial(0, 0.071, 0.072, layers=1, dropout=0.5, optimizer="Adam"),
    trial(1, 0.069, 0.071, layers=2, dropout=0.5, optimizer="Adam"),
    trial(2, 0.070, 0.070, layers=3, dropout=0.5, optimizer="Ranger"),
    trial(3, 0.080, 0.079, layers=1, dropout=0.5, optimizer="AdamW"),
]


def test_ranking_is_by_validation_loss_and_the_other_rule_is_told():
    summary = summarize_search(TRIALS, standard_loss=0.0781)
    assert summary.trials == 4
    assert [each.trial.number for each in summary.top] == [1, 2, 0]
    assert summary.lowest_test_loss.trial.number == 2
    assert summary.top[0].gain == pytest.approx((0.0781 - 0.071) / 0.071)


def test_equal_losses_rank_by_number():
    equal = [trial(2, 0.07, 0.07), trial(1, 0.07, 0.07)]
    assert summarize_search(equal, 0.08).top[0].trial.number == 1
    assert summarize_search(equal, 0.08).lowest_test_loss.trial.number == 1


def test_correlations_are_with_the_inverted_test_loss_of_numeric_hyperparameters():
    correlations = summarize_search(TRIALS, 0.0781).correlations
    assert list(correlations) == ["layers", "dropout"]
    expected = np.corrcoef([1, 2, 3, 1], [1 / 0.072, 1 / 0.071, 1 / 0.070, 1 / 0.079])[0, 1]
    assert correlations["layers"].value == pytest.approx(expected)
    assert (correlations["layers"].uncertainty, correlations["layers"].note) == (None, "n = 4")
    assert correlations["dropout"].note == "the same in every trial"


def test_only_trials_on_the_terms_of_the_best_are_compared():
    long = (("epochs", 50),)
    trials = [replace(each, terms=long) for each in TRIALS]
    alone = summarize_search(trials, 0.0781)
    other = [trial(7, 0.2, 0.2, layers=9, dropout=0.1, optimizer="Adam"), trial(8, 0.3, 0.3, layers=9, dropout=0.2)]
    summary = summarize_search([*other, *trials], 0.0781)
    assert (summary.trials, summary.compared, summary.other_terms) == (6, 4, (7, 8))
    assert summary.correlations == alone.correlations
    assert (summary.quartiles, summary.importances) == (alone.quartiles, alone.importances)
    assert summary.top == alone.top


def test_terms_are_those_of_the_record():
    record = finished(3, 0.07)
    evaluated = EvaluatedTrial.of(record, 0.08)
    terms = dict(evaluated.terms)
    assert (terms["epochs"], terms["batch_size"], terms["schedule"]) == (3, 32, "flat_decay")
    assert "learning_rate" not in terms
    more = record.model_copy(update={"epochs": 9})
    assert EvaluatedTrial.of(more, 0.08).terms != evaluated.terms


def test_quartiles_are_means_over_a_quarter_at_either_end():
    means = quartile_means([8, 7, 6, 5, 4, 3, 2, 1, 9], [0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.9])
    assert (means.lower.value, means.upper.value) == (1.5, 8.5)
    assert means.lower.uncertainty == pytest.approx(0.5)
    assert means.lower.n == 2
    assert quartile_means([1, 2, 3], [1, 2, 3]).lower.note == "n = 3: too few trials"
    assert quartile_means([1, 2, 3, 4], [1, 2, 3, 4]).upper.note == "n = 1"


def test_a_straight_line_correlates_fully():
    number = pearson([1, 2, 3, 4], [10, 8, 6, 4])
    assert number.value == pytest.approx(-1)
    assert (number.uncertainty, number.note) == (None, "n = 4")
    many = pearson(list(range(20)), [0.3 * each for each in range(20)])
    assert many.value == pytest.approx(1)
    assert (many.uncertainty, many.note) == (None, "a straight line")


@pytest.mark.parametrize("rho", [0.0, 0.5, -0.9])
def test_the_uncertainty_of_a_correlation_is_its_spread_over_searches(rho: float):
    random, trials = np.random.default_rng(0), 20
    found = []
    for _ in range(400):
        x, noise = random.normal(size=(2, trials))
        found.append(pearson(x.tolist(), (rho * x + np.sqrt(1 - rho**2) * noise).tolist()))
    spread = np.std([each.value for each in found])
    assert np.mean([each.uncertainty for each in found]) == pytest.approx(spread, rel=0.15)


def test_nine_trials_have_no_uncertainty_and_ten_have_one():
    random = np.random.default_rng(1)
    x, y = random.normal(size=(2, 10)).tolist()
    assert pearson(x[:9], y[:9]).uncertainty is None
    assert 0 < pearson(x, y).uncertainty < 1


def test_too_few_trials_say_so():
    summary = summarize_search(TRIALS[:2], 0.0781)
    assert summary.correlations["layers"].note == "n = 2: too few trials"
    assert len(summary.top) == 2
    with pytest.raises(NoTrialsError, match="no finished trial"):
        summarize_search([], 0.0781)
