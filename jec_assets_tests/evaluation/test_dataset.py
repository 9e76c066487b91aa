from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from jec_assets.evaluation.dataset import (
    TargetSummary,
    counts,
    gen_kinematics_histogram,
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
