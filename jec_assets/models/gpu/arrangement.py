"""Graphs on a GPU: the nearest neighbors of every particle of a batch, found by one kernel.

Belongs here: the batch as the search takes it, and launching it. Does not belong here: which neighbors are nearest
(`jec_assets.models.neighbors` says it) and what is computed on the edges (`edges.py`).
"""

from __future__ import annotations

import torch
import triton
from torch import Tensor

from jec_assets.models.gpu.graph import SlotGraph
from jec_assets.models.gpu.neighbor_kernel import nearest

# Pairs of particles that one program holds in registers.
PAIRS = 2048
# Fewer slots would not fill a program's threads.
FEWEST_SLOTS = 16


class SlotArrangement:
    """A batch of packed jets in the order it has, prepared for graphs of k = `neighbors`.

    offsets: int64 (jets + 1,). The longest jet and the number of edges are read from the GPU, once a batch: everything
    else is launched without waiting.
    """

    def __init__(self, offsets: Tensor, neighbors: int) -> None:
        counts = offsets.diff()
        edges = (counts * (counts - 1).clamp(0, neighbors)).sum()
        self.offsets, self._neighbors = offsets, neighbors
        self._longest, self._edges = torch.stack([counts.max(), edges]).tolist()

    def arrange(self, particles: Tensor) -> Tensor:
        """The rows themselves."""
        return particles

    def restore(self, jets: Tensor) -> Tensor:
        """The rows themselves."""
        return jets

    def graph_of_points(self, points: Tensor) -> SlotGraph:
        """Nearest neighbors in a plane: (particles, 2)."""
        return self._graph(points)

    def graph_of_features(self, features: Tensor) -> SlotGraph:
        """Nearest neighbors in a space of many dimensions: (particles, dimensions).

        Distances are sums of squared differences, which don't cancel: single precision is enough for them.
        """
        return self._graph(features)

    @torch.no_grad()
    def _graph(self, positions: Tensor) -> SlotGraph:
        particles, dimensions = positions.shape
        neighbors = self.offsets.new_zeros(particles, self._neighbors)
        degrees = torch.zeros(particles, dtype=torch.int32, device=positions.device)
        slots = max(FEWEST_SLOTS, triton.next_power_of_2(self._longest))
        receivers = max(1, PAIRS // slots)
        # Columns side by side: a program reads one dimension of many particles at a time.
        columns = positions.float().T.contiguous()
        grid = (len(self.offsets) - 1, triton.cdiv(self._longest, receivers))
        sizes = (particles, dimensions, self._neighbors, receivers, slots)
        nearest[grid](columns, self.offsets, neighbors, degrees, *sizes, enable_fp_fusion=False)
        return SlotGraph(neighbors, degrees, self._edges)
