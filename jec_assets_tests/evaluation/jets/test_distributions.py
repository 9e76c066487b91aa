from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.evaluation.jets.distributions import (
    BINS,
    Sample,
    distribution,
    feature_distributions,
    pileup_distributions,
)
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.evaluation.synthetic_split import split_jets


def test_every_feature_is_there_per_flavor():
    jets = split_jets(calibrated_table(2000))
    found = feature_distributions(jets, Sample())
    assert found.jets == 2000
    assert tuple(each.name for each in found.of_jets) == jets.features.jet_names
    assert tuple(each.name for each in found.of_particles) == jets.features.particle_names
    flavor = jets.table["flavor"].to_numpy()
    gluons = flavor == 21
    assert found.of_jets[0].entries["g"] == gluons.sum()
    assert found.of_particles[0].entries["g"] == jets.packed.counts[gluons].sum()
    first = found.of_jets[0]
    inside = jets.packed.jets[gluons, 0]
    expected, _ = np.histogram(inside.astype(float), first.edges)
    assert first.shares["g"] == pytest.approx(expected / gluons.sum())


def test_a_sample_is_bounded_and_the_seeds_own():
    sample = Sample(max_jets=50, seed=3)
    rows = sample.rows(1000)
    assert len(np.unique(rows)) == 50
    assert (np.diff(rows) > 0).all()
    assert rows.tolist() == sample.rows(1000).tolist() != Sample(50, 4).rows(1000).tolist()
    assert sample.rows(7).tolist() == list(range(7))
    assert feature_distributions(split_jets(), sample).jets == 50


def test_whole_numbers_get_bins_of_equally_many():
    flag = distribution("is_muon", "1", {"u": np.array([0, 0, 0, 1]), "g": np.array([0, 0])})
    assert flag.levels
    assert flag.edges.tolist() == [-0.5, 0.5, 1.5]
    assert flag.shares["u"].tolist() == [0.75, 0.25]
    many = distribution("multiplicity", "1", {"g": np.arange(200)})
    assert not many.levels
    assert len(many.edges) <= BINS + 1
    assert set((np.diff(many.edges) % 1).tolist()) == {0}
    assert many.edges[0] % 1 == 0.5


@given(st.lists(st.floats(-1e6, 1e6, width=32), max_size=50))
def test_any_values_have_bins_that_hold_almost_all(values: list[float]):
    found = distribution("x", "1", {"a": np.array(values, np.float32), "b": np.array([], np.float32)})
    assert (np.diff(found.edges) > 0).all()
    assert found.shares["b"].sum() == 0
    assert found.entries == {"a": len(values), "b": 0}
    if values:
        assert 0.5 <= found.shares["a"].sum() <= 1 + 1e-9


def test_pileup_per_split():
    splits = {"train": calibrated_table(500), "test": calibrated_table(10).clear()}
    found = pileup_distributions(splits)
    assert [each.name for each in found] == ["Pileup_nPU", "PV_npvsGood", "rhoAll"]
    assert all(each.entries == {"train": 500, "test": 0} for each in found)
