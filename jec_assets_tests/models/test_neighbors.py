"""The graphs: nearest neighbors by brute force, whatever the batch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.models import neighbors as neighbors_module
from jec_assets.models.neighbors import Arrangement
from jec_assets.models.slots import Slots

COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=8)


def by_brute_force(positions: np.ndarray, offsets: np.ndarray, neighbors: int) -> list[list[int]]:
    """Rows of each particle's neighbors, nearest first, of equals the first first."""
    found = []
    for start, stop in pairwise(offsets.tolist()):
        for particle in range(start, stop):
            squares = ((positions[start:stop] - positions[particle]) ** 2).sum(axis=1)
            others = [start + other for other in np.argsort(squares, kind="stable") if start + other != particle]
            found.append(others[:neighbors])
    return found


def by_arrangement(positions: np.ndarray, offsets: np.ndarray, neighbors: int) -> list[list[int]]:
    """The same from an arrangement, in rows of the packed batch."""
    arrangement = Arrangement(torch.from_numpy(offsets), neighbors, 8)
    search = arrangement.graph_of_points if positions.shape[1] == 2 else arrangement.graph_of_features
    graph = search(torch.from_numpy(positions)[arrangement.particles])
    found: list[list[int]] = [[] for _ in positions]
    rows = arrangement.particles.tolist()
    for receiver, neighbor in zip(graph.edges.receivers.tolist(), graph.neighbors.tolist(), strict=True):
        found[rows[receiver]].append(rows[neighbor])
    return found


def some_positions(counts: list[int], dimensions: int, seed: int, *, grid: bool) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    random = np.random.default_rng(seed)
    positions = random.normal(size=(offsets[-1], dimensions))
    return (np.round(positions) if grid else positions).astype(np.float32), offsets


@settings(deadline=None, max_examples=40)
@given(COUNTS, st.sampled_from([1, 4, 16]), st.integers(0, 99))
def test_the_nearest_others_with_ties_in_order(counts: list[int], neighbors: int, seed: int) -> None:
    # On a grid there are equal distances everywhere.
    positions, offsets = some_positions(counts, 2, seed, grid=True)
    assert by_arrangement(positions, offsets, neighbors) == by_brute_force(positions, offsets, neighbors)


@settings(deadline=None, max_examples=20)
@given(COUNTS, st.integers(0, 99))
def test_the_nearest_others_in_many_dimensions(counts: list[int], seed: int) -> None:
    positions, offsets = some_positions(counts, 20, seed, grid=False)
    assert by_arrangement(positions, offsets, 5) == by_brute_force(positions.astype(np.float64), offsets, 5)


def test_close_neighbors_far_from_the_origin_are_told_apart() -> None:
    positions, offsets = some_positions([25, 12], 20, 1, grid=False)
    positions = (100 + 0.01 * positions).astype(np.float32)
    assert by_arrangement(positions, offsets, 4) == by_brute_force(positions.astype(np.float64), offsets, 4)


@pytest.mark.parametrize("pairs", [1, 2000])
def test_groups_of_any_size_find_the_same(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    positions, offsets = some_positions([40, 3, 22, 22, 23, 1, 60], 2, 0, grid=False)
    expected = by_arrangement(positions, offsets, 8)
    monkeypatch.setattr(neighbors_module, "GROUP_PAIRS", pairs)
    assert by_arrangement(positions, offsets, 8) == expected


def test_padded_jets_find_the_same() -> None:
    counts, neighbors = [6, 1, 30, 3], 4
    positions, offsets = some_positions(counts, 20, 7, grid=False)
    dense = torch.full((4, 35, 20), torch.nan)
    for jet, (start, stop) in enumerate(pairwise(offsets.tolist())):
        dense[jet, : stop - start] = torch.from_numpy(positions[start:stop])
    slots = Slots(dense, torch.tensor(counts)[:, None], neighbors)
    found, share = slots.neighbors_of_features(slots.rows())
    expected = by_brute_force(positions.astype(np.float64), offsets, neighbors)
    for jet, (start, stop) in enumerate(pairwise(offsets.tolist())):
        exist = min(neighbors, counts[jet] - 1)
        in_jet = [[start + row - 35 * jet for row in rows[:exist]] for rows in found[jet, : stop - start].tolist()]
        assert in_jet == expected[start:stop]
        shares = [1 / max(1, exist)] * exist + [0] * (neighbors - exist)
        assert share[jet].flatten().tolist() == pytest.approx(shares)
    assert found.min() >= 0
    assert found.max() < 4 * 35


def test_an_arrangement_is_a_permutation_by_multiplicity() -> None:
    counts = [5, 1, 9, 5]
    arrangement = Arrangement(torch.tensor([0, *counts]).cumsum(0), 4, 8)
    assert arrangement.offsets.diff().tolist() == sorted(counts)
    assert arrangement.offsets.diff()[arrangement.positions].tolist() == counts
    assert sorted(arrangement.particles.tolist()) == list(range(sum(counts)))


def test_chunks_hold_whole_jets_and_all_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors_module, "CHUNK_NUMBERS", 400)
    arrangement = Arrangement(torch.tensor([0, 1, 12, 3, 8, 30, 7, 1, 2]).cumsum(0), 4, 8)
    starts = {chunk.particles.start for chunk in arrangement.edges.chunks}
    assert starts <= set(arrangement.offsets.tolist())
    assert len(starts) > 1
    covered = [edge for chunk in arrangement.edges.chunks for edge in range(chunk.edges.start, chunk.edges.stop)]
    assert covered == list(range(len(arrangement.edges)))
