from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.training.schedule import learning_rate


def rates(epochs: int) -> list[float]:
    return [learning_rate(0.01, epoch, epochs) for epoch in range(1, epochs + 1)]


def test_the_papers_fifty_epochs() -> None:
    fifty = rates(50)
    assert fifty[:35] == [0.01] * 35
    assert fifty[35] == pytest.approx(0.01 * 0.01 ** (1 / 15))
    assert fifty[-1] == pytest.approx(0.0001)
    ratios = [later / earlier for earlier, later in pairwise(fifty[34:])]
    assert ratios == pytest.approx([0.01 ** (1 / 15)] * 15)


@pytest.mark.parametrize(("epochs", "expected"), [(1, [1.0]), (2, [1.0, 0.01]), (4, [1, 1, 1, 0.01])])
def test_few_epochs(epochs: int, expected: list[float]) -> None:
    assert rates(epochs) == pytest.approx([0.01 * fraction for fraction in expected])


@given(st.integers(2, 300))
def test_constant_for_at_least_seventy_percent_then_falling_to_one_percent(epochs: int) -> None:
    all_rates = rates(epochs)
    constant = all_rates.count(0.01)
    assert constant >= min(0.7 * epochs, epochs - 1)
    assert constant <= 0.7 * epochs + 1
    falling = all_rates[constant - 1 :]
    assert all(later < earlier for earlier, later in pairwise(falling))
    assert all_rates[-1] == pytest.approx(0.0001)
