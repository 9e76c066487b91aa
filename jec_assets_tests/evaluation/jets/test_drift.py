from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp

from jec_assets.evaluation.jets.drift import drift, one_jet_an_event
from jec_assets_tests.evaluation.synthetic import calibrated_table


def test_one_jet_of_each_event_stays_and_keeps_its_place():
    table = calibrated_table(1000).with_row_index("row")
    drawn = one_jet_an_event(table, seed=1)
    assert len(drawn) == drawn["event_hash"].n_unique() == 500
    assert drawn["row"].is_sorted()
    second = drawn["row"].to_numpy() % 2
    assert 200 < second.sum() < 300
    assert drawn.equals(one_jet_an_event(table, seed=1))
    assert not drawn.equals(one_jet_an_event(table, seed=2))


def test_like_splits_do_not_differ_and_a_shifted_column_does():
    train, test = calibrated_table(4000), calibrated_table(3000, seed=2)
    assert not any(each.flagged for each in drift({"train": train, "test": test}, seed=1))
    hotter = test.with_columns(pl.col("rhoAll") + 2)
    found = drift({"train": train, "validation": test, "test": hotter}, seed=1)
    assert [(each.column, each.split) for each in found if each.flagged] == [("rhoAll", "test")]


def test_distance_and_p_value_are_those_of_independent_jets():
    train, test = calibrated_table(800), calibrated_table(600, seed=2)
    found = {each.column: each for each in drift({"train": train, "test": test}, seed=1)}
    drawn = [one_jet_an_event(table, 1)["rhoAll"].to_numpy() for table in (train, test)]
    expected = ks_2samp(*drawn, method="asymp")
    assert found["rhoAll"].statistic.value == pytest.approx(expected.statistic)
    assert found["rhoAll"].p_value == pytest.approx(expected.pvalue)
    assert found["rhoAll"].statistic.n == 700
    assert all(each.p_value <= each.adjusted <= 1 for each in found.values())


def test_jets_that_share_their_event_raise_no_alarm():
    """Of values that all jets of an event share, a test that takes jets for independent flags half of all pairs."""
    alarms = naive = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        event = np.repeat(np.arange(300, dtype=np.uint64), 20)
        values = [np.repeat(random.normal(size=300), 20) for _ in range(2)]
        one, other = (pl.DataFrame({"event_hash": event, "rhoAll": each}) for each in values)
        alarms += drift({"train": one, "test": other}, seed)[0].flagged
        naive += ks_2samp(*values).pvalue < 0.01
    assert alarms <= 1
    assert naive > 5


def test_features_are_compared_where_they_are():
    table = calibrated_table(100).with_columns(jet_pt_d=pl.lit(0.5))
    columns = {each.column for each in drift({"train": table, "test": table}, seed=1)}
    assert {"jet_pt_d", "jetPt", "constituents"} <= columns
    assert not columns & {"event_hash", "log_factor_pfn", "eventWeight"}


def test_a_split_without_jets_is_told():
    table = calibrated_table(10)
    found = drift({"train": table, "validation": table, "test": table.clear()}, seed=1)
    assert {each.statistic.note for each in found if each.split == "test"} == {"no jets"}
    assert all(each.adjusted == 1 for each in found if each.split == "validation")
    assert not any(each.flagged for each in found)
    assert drift({"train": table.head(1), "test": table.head(1)}, seed=1)[0].statistic.value == 0
    assert drift({"train": table}, seed=1) == ()
