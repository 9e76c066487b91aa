from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.baselines import BASELINES, BaselineError, Baselines, best_constant
from jec_assets.evaluation.loss import jet_losses
from jec_assets_tests.evaluation.synthetic import calibrated_table


def training(target: list[float]) -> pl.DataFrame:
    n = len(target)
    return pl.DataFrame({"jetPt": np.full(n, 100.0), "jetEta": np.zeros(n), "target": target})


@settings(deadline=None)
@given(st.lists(st.floats(-2, 2), min_size=1, max_size=30).filter(lambda values: any(abs(v) < 1 for v in values)))
def test_no_other_constant_has_a_lower_loss(target: list[float]):
    y = np.array(target)
    best = best_constant(y)
    loss = jet_losses(y, np.full(len(y), best)).mean()
    for other in np.concatenate([y, np.linspace(-1, 1, 41)]):
        assert loss <= jet_losses(y, np.full(len(y), other)).mean() + 1e-12


def test_kinematics_learns_what_pt_and_eta_tell():
    random = np.random.default_rng(0)
    table = pl.DataFrame({"jetPt": np.exp(random.uniform(3.5, 7, 4000)), "jetEta": random.uniform(-2.5, 2.5, 4000)})
    table = table.with_columns(target=0.1 * (pl.col("jetPt").log() - 5) + 0.05 * pl.col("jetEta").abs())
    factors = Baselines.fit(table, 1).log_factors(table)
    losses = {name: jet_losses(table["target"].to_numpy(), factor).mean() for name, factor in factors.items()}
    assert losses["constant"] < losses["standard"]
    assert losses["kinematics"] < 0.2 * losses["constant"]


def test_the_same_jets_and_seed_give_the_same_numbers():
    table = calibrated_table(3000)
    first, second = (Baselines.fit(table, 5).log_factors(table) for _ in range(2))
    assert list(first) == list(BASELINES) == ["standard", "constant", "kinematics"]
    assert all((first[name] == second[name]).all() for name in BASELINES)
    assert (first["standard"] == 0).all()


def test_jets_without_loss_do_not_move_a_baseline():
    usual = training([0.1, 0.2, 0.3])
    baselines = Baselines.fit(pl.concat([usual, training([5.0, -3.0, 1.0, 1.0])]), 1)
    assert baselines.constant == pytest.approx(0.2)
    assert baselines.log_factors(usual)["kinematics"] == pytest.approx([0.2, 0.2, 0.2])


def test_nothing_to_fit_is_an_error_that_says_so():
    with pytest.raises(BaselineError, match="none of 2 training jets"):
        Baselines.fit(training([1.0, -4.0]), 1)


def test_baselines_of_no_jets_are_empty():
    factors = Baselines.fit(training([0.1]), 1).log_factors(training([]).cast(pl.Float64))
    assert [len(factor) for factor in factors.values()] == [0, 0, 0]
