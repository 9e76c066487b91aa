"""Graphs on a GPU are those that brute force finds, ties in order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jec_assets.models.gpu.graph import SlotGraph
from jec_assets.models.neighbors import arrangement_of
from jec_assets_tests.models.test_neighbors import by_brute_force, some_positions

pytestmark = pytest.mark.needs("cuda")

COUNTS = [1, 2, 3, 9, 17, 64, 0, 130, 5, 1, 33]


def found(positions: np.ndarray, offsets: np.ndarray, neighbors: int) -> list[list[int]]:
    arrangement = arrangement_of(torch.from_numpy(offsets).cuda(), neighbors, 8)
    search = arrangement.graph_of_points if positions.shape[1] == 2 else arrangement.graph_of_features
    graph = search(torch.from_numpy(positions).cuda())
    assert isinstance(graph, SlotGraph)
    assert graph.edges == int(graph.degrees.sum())
    rows = zip(graph.neighbors.tolist(), graph.degrees.tolist(), strict=True)
    return [row[:degree] for row, degree in rows]


@pytest.mark.parametrize("neighbors", [1, 5, 16])
@pytest.mark.parametrize("dimensions", [2, 50])
def test_the_nearest_others_with_ties_in_order(neighbors: int, dimensions: int) -> None:
    # On a grid there are equal distances everywhere.
    positions, offsets = some_positions(COUNTS, dimensions, seed=neighbors, grid=True)
    assert found(positions, offsets, neighbors) == by_brute_force(positions, offsets, neighbors)


def test_points_are_told_apart_as_on_a_cpu() -> None:
    """Distances in a plane are the same bits on both devices, so that nearly equal ones have the same order."""
    random = np.random.default_rng(0)
    offsets = np.array([0, 500, 1000])
    positions = (random.integers(0, 40, (1000, 2)) * 0.0871).astype(np.float32)
    on_cpu = arrangement_of(torch.from_numpy(offsets), 16, 8)
    graph = on_cpu.graph_of_points(on_cpu.arrange(torch.from_numpy(positions)))
    on_gpu = [neighbor for row in found(positions, offsets, 16) for neighbor in row]
    assert on_gpu == graph.neighbors.tolist()
