from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.training.faults import TooFewJetsError
from jec_assets.training.loader import ShuffledBatches, batch_bounds, shuffled_order, to_batch
from jec_assets_tests.training.samples import learnable_jets

CPU = torch.device("cpu")


@given(jets=st.integers(2, 3000), batch_size=st.integers(2, 700))
def test_batches_lose_no_jet_and_are_never_of_one_jet(jets: int, batch_size: int) -> None:
    sizes = np.diff(batch_bounds(jets, batch_size))
    assert sizes.sum() == jets
    assert sizes.min() >= 2
    assert sizes.max() - sizes.min() <= 1
    assert sizes.max() <= max(batch_size, 3)


def test_one_jet_is_too_few() -> None:
    with pytest.raises(TooFewJetsError, match="at least two jets, got 1"):
        batch_bounds(1, 128)


@given(jets=st.integers(1, 500), seed=st.integers(0, 2**31), epoch=st.integers(1, 100))
def test_the_order_is_a_permutation_of_seed_and_epoch_alone(jets: int, seed: int, epoch: int) -> None:
    order = shuffled_order(jets, seed, epoch)
    assert np.array_equal(np.sort(order), np.arange(jets))
    assert np.array_equal(order, shuffled_order(jets, seed, epoch))


def test_seeds_and_epochs_give_other_orders() -> None:
    orders = [shuffled_order(1000, seed, epoch) for seed in (0, 1) for epoch in (1, 2)]
    assert len({order.tobytes() for order in orders}) == 4


def test_an_epoch_holds_every_jet_with_its_own_particles() -> None:
    jets = learnable_jets(101)
    batches = ShuffledBatches(jets, batch_size=16, seed=5, device=CPU)
    seen = list(batches.epoch(3))
    assert len(seen) == len(batches) == 7
    order = shuffled_order(101, seed=5, epoch=3)
    assert np.array_equal(torch.cat([batch.target for batch in seen]).numpy(), jets.target[order])
    assert np.array_equal(torch.cat([batch.jets for batch in seen]).numpy(), jets.jets[order])
    assert np.array_equal(torch.cat([batch.particles for batch in seen]).numpy(), jets.take(order).particles)
    assert all(batch.offsets[0] == 0 and batch.offsets[-1] == len(batch.particles) for batch in seen)
    assert sum(len(batch) for batch in seen) == 101


def test_an_epoch_can_be_repeated_without_those_before_it() -> None:
    batches = ShuffledBatches(learnable_jets(40), batch_size=8, seed=1, device=CPU)
    first = [batch.target for batch in batches.epoch(2)]
    assert all(torch.equal(*pair) for pair in zip(first, (batch.target for batch in batches.epoch(2)), strict=True))


def test_tensors_on_the_cpu_share_the_arrays_memory() -> None:
    jets = learnable_jets(5)
    batch = to_batch(jets, CPU)
    assert batch.particles.data_ptr() == jets.particles.ctypes.data
    assert batch.offsets.dtype == torch.int64
    assert batch.particles.dtype == batch.jets.dtype == batch.target.dtype == torch.float32


def test_batches_of_read_only_jets_are_writable() -> None:
    jets = learnable_jets(9)
    for array in (jets.particles, jets.offsets, jets.jets, jets.target):
        array.flags.writeable = False  # as memory-mapped files are; torch warns of such arrays
    assert sum(len(batch) for batch in ShuffledBatches(jets, 4, 0, CPU).epoch(1)) == 9
