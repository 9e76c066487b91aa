from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.models.families import FAMILIES
from jec_assets.search.sampler import TrialPlan, plan_trial, trial_key
from jec_assets.search.spaces import OneOf, space_of
from jec_assets.training.config import Optimization

FAMILY_NAMES = st.sampled_from(sorted(FAMILIES))


def test_the_first_trial_is_the_published_optimum() -> None:
    pfn, particle_net = plan_trial("pfn", 1, 0), plan_trial("particle_net", 99, 0)
    assert pfn == TrialPlan(0, FAMILIES["pfn"].optimum, Optimization("Ranger", 1.08e-3))
    assert particle_net == TrialPlan(0, FAMILIES["particle_net"].optimum, Optimization("Ranger", 8.72e-3))
    assert (pfn.family, particle_net.family) == ("pfn", "particle_net")


@settings(deadline=None)
@given(family=FAMILY_NAMES, seed=st.integers(0, 2**40), number=st.integers(1, 999))
def test_a_plan_is_in_its_space_and_the_same_again(family: str, seed: int, number: int) -> None:
    plan, space = plan_trial(family, seed, number), space_of(family)
    for name, value in plan.hyperparameters.to_dict().items():
        values = space.network[name]
        if isinstance(values, OneOf):
            assert value in values.values
        else:
            assert values.low <= value <= values.high
    assert space.learning_rate.low <= plan.optimization.learning_rate <= space.learning_rate.high
    assert plan.optimization.optimizer in space.optimizers
    assert plan == plan_trial(family, seed, number)


def test_families_seeds_and_numbers_are_independent() -> None:
    rates = {
        plan_trial(family, seed, number).optimization.learning_rate
        for family in FAMILIES
        for seed in range(5)
        for number in range(1, 11)
    }
    assert len(rates) == len(FAMILIES) * 5 * 10


def test_learning_rate_and_dropout_are_uniform_on_a_linear_scale() -> None:
    plans = [plan_trial("pfn", 7, number) for number in range(1, 601)]
    for drawn, high in (
        ([plan.optimization.learning_rate for plan in plans], 1e-2),
        ([plan.hyperparameters.to_dict()["dropout"] for plan in plans], 0.5),
    ):
        shares = np.histogram(drawn, bins=4, range=(0, high))[0] / len(plans)
        assert shares == pytest.approx([0.25] * 4, abs=0.06)  # 3.4 sigma
    assert {plan.optimization.optimizer for plan in plans} == set(space_of("pfn").optimizers)


def test_plans_are_the_same_in_another_process() -> None:
    program = "from jec_assets.search.sampler import plan_trial; print(plan_trial('particle_net', 3, 17))"
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == str(plan_trial("particle_net", 3, 17))
    assert answer.stderr == ""


def test_optunas_verbosity_is_left_as_it_was() -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    plan_trial("pfn", 1, 1)
    assert optuna.logging.get_verbosity() == before == logging.INFO


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="from 0 on, got -1"):
        plan_trial("pfn", 1, -1)


def test_keys_have_three_digits() -> None:
    assert [trial_key(number) for number in (0, 7, 123)] == ["000", "007", "123"]
