"""The order of an epoch: a permutation in bounded memory, the same however it is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.training.faults import TooFewJetsError
from jec_assets.training.order import BLOCK_JETS, EpochOrder, batch_bounds


@given(jets=st.integers(2, 3000), batch_size=st.integers(1, 700), processes=st.integers(1, 5))
def test_batches_lose_no_jet_and_are_never_of_one_jet(jets: int, batch_size: int, processes: int) -> None:
    least = max(2, processes)
    if jets < least:
        return
    sizes = np.diff(batch_bounds(jets, batch_size, processes))
    assert sizes.sum() == jets
    assert sizes.min() >= least
    assert sizes.max() - sizes.min() <= 1
    assert sizes.max() <= max(batch_size, 2 * least - 1)


def test_one_jet_is_too_few() -> None:
    with pytest.raises(TooFewJetsError, match="at least two jets, got 1"):
        batch_bounds(1, 128)
    with pytest.raises(TooFewJetsError, match="at least 4 jets, one for each of 4 processes, got 3"):
        batch_bounds(3, 128, processes=4)


@given(
    jets=st.integers(0, 5000), window_blocks=st.integers(1, 30), seed=st.integers(0, 2**40), epoch=st.integers(1, 100)
)
def test_windows_are_a_permutation_of_seed_and_epoch_alone(
    jets: int, window_blocks: int, seed: int, epoch: int
) -> None:
    def whole() -> np.ndarray:
        order = EpochOrder(jets, window_blocks, seed, epoch)
        assert len(order) == jets
        return np.concatenate([order.window(number) for number in range(order.windows)])

    assert np.array_equal(np.sort(whole()), np.arange(jets))
    assert np.array_equal(whole(), whole())


def test_a_window_is_made_of_its_blocks_and_no_larger_than_allowed() -> None:
    order = EpochOrder(20 * BLOCK_JETS - 7, window_blocks=6, seed=1, epoch=1)
    assert order.windows == 4
    for number in range(4):
        blocks = order.blocks(number)
        assert len(blocks) == 5
        assert set(order.window(number) // BLOCK_JETS * BLOCK_JETS) == set(blocks)


def test_seeds_and_epochs_give_other_orders() -> None:
    orders = [EpochOrder(1000, 2, seed, epoch).window(0) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len({order.tobytes() for order in orders}) == 6


def test_a_data_set_of_one_window_is_shuffled_as_a_whole() -> None:
    # Any two jets may be neighbors: places of jets far apart are as near as those of jets close together.
    order = EpochOrder(40_000, window_blocks=1000, seed=3, epoch=1).window(0)
    place = np.argsort(order)
    close, far = np.abs(place[1:] - place[:-1]), np.abs(place - np.roll(place, 20_000))
    assert abs(close.mean() - 40_000 / 3) < 300
    assert abs(far.mean() - 40_000 / 3) < 300


@given(first=st.integers(0, 45))
def test_an_epoch_can_be_resumed_at_any_batch(first: int) -> None:
    order = EpochOrder(3000, window_blocks=3, seed=8, epoch=2, sampling=np.linspace(0, 1, 3000))
    bounds = batch_bounds(len(order), len(order) // 44)
    assert len(bounds) - 1 == 45
    whole = list(order.batches(bounds))
    resumed = list(order.batches(bounds, first))
    assert len(resumed) == 45 - first
    for (window, jets), (same_window, same_jets) in zip(whole[first:], resumed, strict=True):
        assert window == same_window
        assert np.array_equal(jets, same_jets)


def test_batches_are_the_windows_one_after_another() -> None:
    order = EpochOrder(2000, window_blocks=2, seed=0, epoch=1)
    bounds = batch_bounds(2000, 300)
    together = np.concatenate([jets for _, jets in order.batches(bounds)])
    assert np.array_equal(together, np.concatenate([order.window(number) for number in range(order.windows)]))
    assert [window for window, _ in order.batches(bounds)] == [0, 1, 1, 2, 2, 3, 3]


def test_sampling_draws_with_the_given_probability_anew_each_epoch() -> None:
    probability = np.where(np.arange(60_000) % 3 == 0, 0.2, 0.7)
    drawn = []
    for epoch in (1, 2):
        order = EpochOrder(60_000, window_blocks=50, seed=4, epoch=epoch, sampling=probability)
        jets = np.concatenate([order.window(number) for number in range(order.windows)])
        assert len(jets) == len(order) == len(set(jets.tolist()))
        for value in (0.2, 0.7):
            mean = np.mean(np.isin(np.flatnonzero(probability == value), jets))
            assert mean == pytest.approx(value, abs=4 * 0.5 / np.sqrt(20_000))
        drawn.append(set(jets.tolist()))
    # Draws of two epochs are independent: common jets are as many as the product of probabilities says.
    assert len(drawn[0] & drawn[1]) == pytest.approx(np.sum(probability**2), rel=0.03)


def test_nothing_is_drawn_with_probability_0_and_everything_with_1() -> None:
    order = EpochOrder(1000, 1, seed=0, epoch=1, sampling=(np.arange(1000) < 400).astype(np.float32))
    jets = np.concatenate([order.window(number) for number in range(order.windows)])
    assert np.array_equal(np.sort(jets), np.arange(400))
