from __future__ import annotations

import numpy as np
import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.serving.promotion import decide

JETS = 2000


def resampled(resamples: int) -> np.ndarray:
    return Resampling(resamples, seed=1).draws(np.arange(JETS, dtype=np.uint64))


MULTIPLICITIES = resampled(30)


def losses(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(0.08, JETS)


def test_an_equal_model_is_promoted() -> None:
    decision = decide(losses(), losses(), MULTIPLICITIES)
    assert decision.promoted
    assert (decision.difference, decision.uncertainty) == (0, 0)


def test_a_better_model_is_promoted() -> None:
    decision = decide(losses(), losses() * 0.95, MULTIPLICITIES)
    assert decision.promoted
    assert decision.difference < 0


def test_a_worse_model_is_refused_with_numbers() -> None:
    decision = decide(losses(), losses() * 1.05, MULTIPLICITIES)
    assert not decision.promoted
    assert decision.difference == pytest.approx(0.05 * losses().mean())
    assert f"{decision.difference:+.2e}" in decision.reason


def test_a_small_steady_difference_is_seen_behind_large_losses() -> None:
    """Jets' losses vary by 100 %, their differences don't: only a paired comparison sees 0.1 %."""
    assert not decide(losses(), losses() * 1.001, MULTIPLICITIES).promoted


def test_a_difference_within_the_uncertainty_passes() -> None:
    noise = np.random.default_rng(3).normal(0, 0.05, JETS)
    noise += 0.5 * 0.05 / np.sqrt(JETS) - noise.mean()
    decision = decide(losses(), losses() + noise, resampled(200))
    assert decision.promoted
    assert 0 < decision.difference < decision.uncertainty


@pytest.mark.parametrize(("difference", "promoted"), [(-0.01, True), (0.0, True), (0.01, False)])
def test_jets_of_one_event_excuse_no_loss_that_is_worse(difference: float, promoted: bool) -> None:
    draws = Resampling(30, seed=1).draws(np.zeros(3, np.uint64))
    decision = decide(np.full(3, 0.1), np.full(3, 0.1) + difference, draws)
    assert (decision.promoted, decision.uncertainty) == (promoted, 0.0)


def test_the_uncertainty_is_that_of_the_mean() -> None:
    noise = np.random.default_rng(3).normal(0, 0.05, JETS)
    decision = decide(losses(), losses() + noise, resampled(2000))
    assert decision.uncertainty == pytest.approx(0.05 / np.sqrt(JETS), rel=0.1)
    assert decision == decide(losses(), losses() + noise, resampled(2000))


@pytest.mark.parametrize(
    ("served", "candidate", "message"),
    [
        (losses(), losses()[:-1], "same jets"),
        (losses(), np.append(losses()[:-1], np.nan), "1 of the candidate model's losses"),
        (np.append(losses()[:-1], np.inf), losses(), "1 of the served model's losses"),
        (losses(), np.array([]), "one per jet"),
    ],
)
def test_losses_that_say_nothing_are_refused(served: np.ndarray, candidate: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decide(served, candidate, MULTIPLICITIES)
