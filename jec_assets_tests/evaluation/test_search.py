from __future__ import annotations

import numpy as np
import pytest

from jec_assets.evaluation.search import EvaluatedTrial, NoTrialsError, pearson, summarize_search


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
    assert correlations["layers"].uncertainty == pytest.approx(np.sqrt((1 - expected**2) / 2))
    assert correlations["dropout"].note == "the same in every trial"


def test_a_straight_line_correlates_fully():
    number = pearson([1, 2, 3, 4], [10, 8, 6, 4])
    assert number.value == pytest.approx(-1)
    assert number.uncertainty == pytest.approx(0, abs=1e-6)


def test_too_few_trials_say_so():
    summary = summarize_search(TRIALS[:2], 0.0781)
    assert summary.correlations["layers"].note == "n = 2: too few trials"
    assert len(summary.top) == 2
    with pytest.raises(NoTrialsError, match="no finished trial"):
        summarize_search([], 0.0781)
