"""The comparison of two families: paired, by events, and from trainings that are carried out once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.beyond_the_paper import COMMITTEE, PARTICLE_NETS, Samples, compare, outcome
from jec_assets.jets.features import EXTENDED
from jec_assets.jets.labels import JetLabels, LabeledJets
from jec_assets.jets.packed import PackedJets


def some_jets(jets: int, jets_per_event: int = 1) -> LabeledJets:
    random = np.random.default_rng(5)
    particles = random.normal(0, 1, (2 * jets, len(EXTENDED.particle_features))).astype(np.float32)
    features = random.normal(0, 1, (jets, len(EXTENDED.jet_features))).astype(np.float32)
    packed = PackedJets(particles, 2 * np.arange(jets + 1), features)
    target = random.normal(0, 0.1, jets).astype(np.float32)
    whole, real = np.ones(jets, np.int32), np.ones(jets, np.float32)
    event = (np.arange(jets) // jets_per_event).astype(np.uint64)
    return LabeledJets(packed, JetLabels(whole, whole, event, whole, real, real, real, target))


def test_the_significance_is_that_of_the_paired_difference() -> None:
    random, jets = np.random.default_rng(6), some_jets(4000)
    common, differences = random.exponential(1, 4000), random.normal(0.02, 0.1, 4000)
    expected = differences.mean() / differences.std() * np.sqrt(4000)
    assert compare(common, common + differences, jets) == pytest.approx(expected, rel=0.1)


def test_jets_of_one_event_count_together() -> None:
    differences = np.repeat(np.random.default_rng(7).normal(0.02, 0.1, 1000), 4)
    one, four = (compare(np.zeros(4000), differences, some_jets(4000, each)) for each in (1, 4))
    assert one == pytest.approx(2 * four, rel=0.15)


def test_a_budget_is_spent_but_never_more_than_is_of_use() -> None:
    recipe = PARTICLE_NETS[0]
    assert [recipe.epochs(minutes, 2.5) for minutes in (0.1, 30, 1000)] == [1, 12, recipe.most_epochs]


def test_a_training_is_carried_out_once(tmp_path: Path) -> None:
    jets = some_jets(60)
    samples = Samples(jets, jets, jets, tmp_path)
    first = outcome(COMMITTEE, 0, 2, samples)
    assert first.predictions.shape == (60,)
    assert (first.epochs, np.isfinite(first.validation_loss)) == (2, True)
    stored = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.*")}
    again = outcome(COMMITTEE, 0, 2, samples)
    np.testing.assert_array_equal(again.predictions, first.predictions)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.*")} == stored
