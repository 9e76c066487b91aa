"""Padded jets in the form that is exported: dense blocks, with padding that never enters an output.

Belongs here: which slots of a dense block have a particle, sums over these, and their nearest neighbors, in operations
that ONNX has. Does not belong here: training and evaluation, which never see padding (`neighbors.py` has their form),
and keeping blocks small and evenly filled, which what is exported does for itself (`jec_assets.serving.graph_chunks`).

Slots without a particle hold zeros, whatever was given there, and are computed like others. Only sums and neighbors
leave them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jec_assets.models.neighbors import squared_distances, squared_distances_in_plane

if TYPE_CHECKING:
    from collections.abc import Callable


class Slots:
    """The slots of padded particles (jets, slots, features), the first `particle_count`, int64 (jets, 1), real.

    `neighbors`: how many slots there are at least, so that as many can be chosen from; 0 where no graph is wanted.
    real: bool (jets, slots, 1), which slots have a particle.
    """

    def __init__(self, particles: Tensor, particle_count: Tensor, neighbors: int = 0) -> None:
        given, count = particles.shape[1], particle_count
        if neighbors:
            count = count.clamp(max=given)
            slots = torch.arange(torch.sym_max(given, neighbors), device=particles.device)  # type: ignore[no-untyped-call]
            particles = particles.index_select(1, slots.clamp(max=given - 1))
        else:
            slots = torch.arange(given, device=particles.device)
        self.real = (slots < count).unsqueeze(2)
        self._jets, self._slots, self._neighbors = particles.shape[0], particles.shape[1], neighbors
        self._dense = torch.where(self.real, particles, 0.0)
        self._count, self._numbers = count, slots

    def rows(self) -> Tensor:
        """The particles as rows (jets x slots, features), zeros where there is none."""
        return self._dense.flatten(0, 1)

    def spread(self, values: Tensor) -> Tensor:
        """Each jet's values for each of its slots: (jets, columns) to (jets x slots, columns)."""
        return values.unsqueeze(1).expand(-1, self._slots, -1).flatten(0, 1)

    def sum(self, rows: Tensor) -> Tensor:
        """Over each jet's particles: (jets x slots, columns) to (jets, columns); 0 for a jet without."""
        return torch.bmm(self.real.to(rows.dtype).transpose(1, 2), self.dense(rows)).squeeze(1)

    def mean(self, rows: Tensor) -> Tensor:
        """As `sum`, divided by the number of particles; 0 for a jet without."""
        return self.sum(rows) / self._count.clamp(min=1)

    def dense(self, rows: Tensor) -> Tensor:
        """(jets x slots, columns) to (jets, slots, columns)."""
        return rows.reshape(self._jets, self._slots, rows.shape[1])

    def neighbors_of_points(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Nearest neighbors in a plane, (jets x slots, 2); see `neighbors_of_features`."""
        return self._nearest(points, squared_distances_in_plane)

    def neighbors_of_features(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of the nearest neighbors, int64 (jets, slots, k), and the share of each in a mean, (jets, 1, 1, k).

        rows: (jets x slots, dimensions). The share is 0 where a neighbor does not exist. ONNX's TopK breaks ties as
        `neighbors.py` does; torch's own leaves them open.
        """
        return self._nearest(rows, squared_distances)

    def _nearest(self, rows: Tensor, distances: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        between = distances(self.dense(rows), self.real)
        itself = torch.where(self._numbers == self._numbers.unsqueeze(1), torch.inf, 0.0).to(between.dtype)
        nearest = (between + itself).topk(self._neighbors, largest=False).indices
        exist = torch.arange(self._neighbors, device=rows.device) < self._count - 1
        share = exist / exist.sum(dim=1, keepdim=True).clamp(min=1)
        first = self._slots * torch.arange(self._jets, device=rows.device)
        return nearest + first.reshape(-1, 1, 1), share.reshape(-1, 1, 1, self._neighbors)
