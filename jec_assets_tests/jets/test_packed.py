"""Packed jets: taking, slicing, joining and padding keep every particle with its jet."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.jets.packed import PackedJets, joined


def packed(counts: list[int]) -> PackedJets:
    jet = np.repeat(np.arange(len(counts)), counts).astype(np.float32)
    particles = np.stack([jet, np.arange(len(jet), dtype=np.float32)], axis=1)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    numbers = np.arange(len(counts), dtype=np.float32)
    return PackedJets(particles, offsets, numbers[:, None])


COUNTS = st.lists(st.integers(1, 6), min_size=1, max_size=20)


@given(COUNTS, st.data())
def test_take_gathers_each_jet_with_its_particles(counts: list[int], data: st.DataObject) -> None:
    jets = packed(counts)
    indices = np.array(data.draw(st.lists(st.integers(0, len(counts) - 1), min_size=1, max_size=30)))
    taken = jets.take(indices)
    for place, index in enumerate(indices):
        expected = jets.particles[jets.offsets[index] : jets.offsets[index + 1]]
        np.testing.assert_array_equal(taken.particles[taken.offsets[place] : taken.offsets[place + 1]], expected)
    np.testing.assert_array_equal(taken.jets[:, 0], indices)


@given(COUNTS, st.integers(1, 5))
def test_slices_joined_are_the_whole(counts: list[int], step: int) -> None:
    jets = packed(counts)
    whole = joined([jets.slice(start, start + step) for start in range(0, len(jets), step)])
    np.testing.assert_array_equal(whole.particles, jets.particles)
    np.testing.assert_array_equal(whole.offsets, jets.offsets)
    np.testing.assert_array_equal(whole.jets, jets.jets)


@given(COUNTS)
def test_padding_holds_the_particles_and_zeros(counts: list[int]) -> None:
    jets = packed(counts)
    dense = jets.padded()
    assert dense.shape == (len(counts), max(counts), 2)
    for number, count in enumerate(counts):
        start = jets.offsets[number]
        np.testing.assert_array_equal(dense[number, :count], jets.particles[start : start + count])
        assert not dense[number, count:].any()
