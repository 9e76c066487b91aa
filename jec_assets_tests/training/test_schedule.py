from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.training.config import SCHEDULES, ScheduleName
from jec_assets.training.schedule import Moment, learning_rate


def rates(epochs: int) -> list[float]:
    return [learning_rate("flat_decay", 0.01, Moment(epoch, epochs, 1, 7)) for epoch in range(1, epochs + 1)]


def all_steps(schedule: ScheduleName, epochs: int, steps: int) -> list[float]:
    moments = [Moment(epoch, epochs, step, steps) for epoch in range(1, epochs + 1) for step in range(1, steps + 1)]
    return [learning_rate(schedule, 0.01, moment) for moment in moments]


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


@pytest.mark.parametrize(("epochs", "steps"), [(3, 10), (1, 40), (7, 13)])
def test_one_cycle_is_torchs(epochs: int, steps: int) -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], 0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=epochs * steps, cycle_momentum=False)
    expected = []
    for _ in range(epochs * steps):
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        if len(expected) < epochs * steps:
            schedule.step()
    assert all_steps("one_cycle", epochs, steps) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_cosine_is_torchs() -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], 0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=29, eta_min=0.0001)
    expected = []
    for _ in range(30):
        expected.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert all_steps("cosine", 3, 10) == pytest.approx(expected)


def test_constant_is_constant() -> None:
    assert set(all_steps("constant", 3, 4)) == {0.01}


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(epochs=st.integers(1, 20), steps=st.integers(1, 30))
def test_rates_are_positive_and_never_above_the_trainings(schedule: ScheduleName, epochs: int, steps: int) -> None:
    every = all_steps(schedule, epochs, steps)
    assert min(every) > 0
    assert max(every) <= 0.01 * (1 + 1e-12)
