from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from jec_assets.evaluation.jets.dataset import (
    OutsideRange,
    TargetSummary,
    counts,
    gen_kinematics_histogram,
    outside_training_range,
    target_histogram,
    target_summary,
)
from jec_assets_tests.evaluation.synthetic import calibrated_table


def test_counts_hold_every_jet_once():
    splits = {"train": calibrated_table(700), "test": calibrated_table(300, seed=2)}
    counted = counts(splits)
    assert len(counted) == 2 * 2 * 5 * 7
    for name, table in splits.items():
        assert counted.filter(pl.col("split") == name)["jets"].sum() == len(table)
    gluons = counted.filter((pl.col("split") == "test") & (pl.col("flavor") == "g"))["jets"].sum()
    assert gluons == splits["test"].filter(pl.col("flavor") == 21).height


def test_a_combination_without_jets_counts_0():
    counted = counts({"test": calibrated_table(10).clear()})
    assert len(counted) == 70
    assert counted["jets"].sum() == 0


def test_target_in_words():
    table = pl.DataFrame({"target": np.array([-0.1, 0.0, 0.1, 0.2, 2.0, -1.0], np.float32)})
    summary = target_summary(table)
    assert (summary.jets, summary.without_loss) == (6, 2)
    assert summary.median == pytest.approx(0.05)
    assert target_summary(table.clear()) == TargetSummary(0, 0, None, None, None)


def test_histograms_hold_every_jet():
    table = calibrated_table(500)
    kinematics = gen_kinematics_histogram(table)
    assert kinematics.axes.name == ("gen_pt", "abs_gen_eta")
    assert kinematics.sum(flow=True) == kinematics.sum() == 500
    assert target_histogram(table).sum(flow=True) == 500


def test_jets_outside_the_training_range_are_counted_by_criterion():
    training = pl.DataFrame({"jetPt": [30.0, 300.0], "jetEta": [-2.0, 0.5], "constituents": [5, 50]})
    table = pl.DataFrame(
        {"jetPt": [20.0, 40.0, 900.0, 300.0], "jetEta": [0.6, -2.1, 0.1, 2.0], "constituents": [5, 50, 51, 20]}
    )
    outside = outside_training_range(training, table)
    assert outside == OutsideRange(4, {"pt": 2, "abs_eta": 2, "constituents": 1}, 3)
    assert outside_training_range(training, table.clear()) == OutsideRange(
        0, {"pt": 0, "abs_eta": 0, "constituents": 0}, 0
    )
    assert outside_training_range(training.clear(), table) is None
