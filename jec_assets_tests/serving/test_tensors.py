from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.tensors import (
    MAX_PARTICLES,
    SLOT_STEP,
    BatchError,
    PaddedJets,
    batches_by_length,
    check_jets,
    concatenate,
    padded_batches,
)


@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=60),
    st.integers(1, 20),
    st.integers(1, 400),
)
def test_batches_hold_every_jet_once_and_keep_their_limits(counts: list[int], max_jets: int, max_slots: int) -> None:
    batches = list(batches_by_length(np.array(counts, np.int64), max_jets, max_slots))
    assert sorted(np.concatenate(batches)) == list(range(len(counts)))
    for batch in batches:
        longest = max(counts[jet] for jet in batch)
        assert len(batch) <= max_jets
        assert len(batch) == 1 or len(batch) * longest <= max_slots


def test_batches_put_like_jets_together() -> None:
    counts = np.array([50, 1, 49, 2], np.int64)
    assert [batch.tolist() for batch in batches_by_length(counts, max_jets=2)] == [[1, 3], [2, 0]]


def test_padded_batches_hold_the_jets_at_their_positions(jets: PackedJets) -> None:
    for indices, batch in padded_batches(jets.slice(0, 50)):
        batch.check()
        for position, jet in enumerate(indices):
            count = int(batch.particle_count[position, 0])
            np.testing.assert_array_equal(
                batch.particles[position, :count], jets.particles[jets.offsets[jet] : jets.offsets[jet + 1]]
            )
            assert not batch.particles[position, count:].any()


def test_concatenate_joins_in_order(jets: PackedJets) -> None:
    whole = PaddedJets.of(jets.slice(0, 9))
    parts = [
        PaddedJets(whole.particles[a:b], whole.particle_count[a:b], whole.jets[a:b])
        for a, b in ((0, 2), (2, 3), (3, 9))
    ]
    joined = concatenate(parts)
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(joined.arrays[name], array)


@pytest.mark.parametrize("count", [0, -1, 4, np.iinfo(np.int64).min])
def test_impossible_counts_are_refused(count: int) -> None:
    batch = PaddedJets(np.zeros((2, 3, 4), np.float32), np.array([[1], [count]]), np.zeros((2, 5), np.float32))
    with pytest.raises(BatchError, match="particle_count") as refusal:
        batch.check()
    assert refusal.value.field == "particle_count"


def test_only_real_numbers_must_be_finite() -> None:
    batch = PaddedJets(np.zeros((1, 3, 4), np.float32), np.array([[2]]), np.zeros((1, 5), np.float32))
    batch.check()
    batch.particles[0, 2, 1] = np.nan
    batch.check()
    batch.particles[0, 1, 1] = np.inf
    with pytest.raises(BatchError, match=r"^particles: .* real particles"):
        batch.check()
    batch.particles[:] = 0
    batch.jets[0, 0] = np.nan
    with pytest.raises(BatchError, match=r"^jets: "):
        batch.check()


def some_jets(counts: list[int]) -> PackedJets:
    offsets = np.cumsum([0, *counts])
    return PackedJets(np.ones((offsets[-1], 3), np.float32), offsets, np.ones((len(counts), 2), np.float32))


def test_jets_that_no_batch_can_hold_are_refused_by_name() -> None:
    for fine in ([], [1], [MAX_PARTICLES, 1]):
        check_jets(some_jets(fine))
    with pytest.raises(
        BatchError, match=f"^particles: may have {MAX_PARTICLES} slots per jet, not {MAX_PARTICLES + 1}"
    ):
        check_jets(some_jets([1, MAX_PARTICLES + 1]))
    with pytest.raises(BatchError, match=rf"^particle_count: must be in 1\.\.{MAX_PARTICLES}, not 0"):
        check_jets(some_jets([1, 0]))


@pytest.mark.parametrize("field", ["particles", "jets"])
@pytest.mark.parametrize("values", [(np.nan, 0), (np.inf, -np.inf), (3e38, 3e38)])
def test_values_of_jets_must_be_finite(field: Literal["particles", "jets"], values: tuple[float, float]) -> None:
    jets = some_jets([4, 5])
    getattr(jets, field)[:2, 1] = values
    if np.isfinite(values).all():
        check_jets(jets)
    else:
        with pytest.raises(BatchError, match=f"^{field}: holds NaN or infinite values"):
            check_jets(jets)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"particles": np.zeros((2, 4), np.float32)}, "particles"),
        ({"particle_count": np.ones(2, np.int64)}, "particle_count"),
        ({"jets": np.zeros((3, 5), np.float32)}, "jets"),
    ],
)
def test_shapes_that_disagree_are_refused(change: dict[str, np.ndarray], field: str) -> None:
    batch = PaddedJets(np.zeros((2, 3, 4), np.float32), np.ones((2, 1), np.int64), np.zeros((2, 5), np.float32))
    with pytest.raises(BatchError, match=f"^{field}: "):
        replace(batch, **change).check()


def test_slots_in_steps_change_nothing_but_their_number(jets: PackedJets) -> None:
    batch = PaddedJets.of(jets.slice(0, 9))
    stepped = batch.in_steps()
    slots = batch.particles.shape[1]
    assert stepped.particles.shape[1] % SLOT_STEP == 0
    assert 0 <= stepped.particles.shape[1] - slots < SLOT_STEP
    np.testing.assert_array_equal(stepped.particles[:, :slots], batch.particles)
    assert not stepped.particles[:, slots:].any()
    stepped.check()
    few = [batch for _, batch in padded_batches(jets.slice(0, 5))]
    assert [each.particles.shape[1] % SLOT_STEP for each in few] == [0] * len(few)
