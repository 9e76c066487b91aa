"""Padded jets in the form that is exported: real particles as rows, and back.

Belongs here: how a dense array with any number of particles a jet becomes rows without padding, in operations that ONNX
has. Does not belong here: training and evaluation, which never see padding (`neighbors.py` has their form).

Only real particles become rows, so a batch costs what its particles cost, however far it is padded, and what padding
holds is never read. One more row of zeros, the last, stands for every neighbor that a particle lacks.
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
    """

    def __init__(self, particles: Tensor, particle_count: Tensor, neighbors: int = 0) -> None:
        given = particles.shape[1]
        slots = torch.arange(torch.sym_max(given, neighbors), device=particles.device)  # type: ignore[no-untyped-call]
        self._neighbors = neighbors
        self._count = particle_count.clamp(0, given)
        real = slots < self._count
        self._real = real.unsqueeze(2)
        self._jets, taken = real.nonzero().unbind(1)
        self._taken = self._jets * given + taken
        self._first = self._count.cumsum(0) - self._count
        # A slot without particle is a copy of its jet's first, which leaves the jet's center amid its particles.
        self._rows = self._first + slots * real
        self._slots = slots

    def rows_of(self, particles: Tensor) -> Tensor:
        """(jets, slots, features) to (particles + 1, features)."""
        rows = particles.flatten(0, 1).index_select(0, self._taken)
        return torch.cat([rows, rows.new_zeros(1, rows.shape[1])])

    def spread(self, values: Tensor) -> Tensor:
        """Each jet's values for each of its particles: (jets, columns) to (particles + 1, columns)."""
        rows = values.index_select(0, self._jets)
        return torch.cat([rows, rows.new_zeros(1, rows.shape[1])])

    def sum(self, rows: Tensor) -> Tensor:
        """Over each jet's particles: (particles + 1, features) to (jets, features); 0 for a jet without."""
        return torch.where(self._real, self._padded(rows), 0.0).sum(dim=1)

    def mean(self, rows: Tensor) -> Tensor:
        """As `sum`, divided by the number of particles; 0 for a jet without."""
        return self.sum(rows) / self._count.clamp(min=1)

    def neighbors_of_points(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Nearest neighbors in a plane, (particles + 1, 2); see `neighbors_of_features`."""
        return self._nearest(points, squared_distances_in_plane)

    def neighbors_of_features(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of the nearest neighbors, int64 (particles + 1, k), and the share of each in a mean over them.

        rows: (particles + 1, dimensions). ONNX's TopK breaks ties as `neighbors.py` does; torch's own leaves them open.
        """
        return self._nearest(rows, squared_distances)

    def _nearest(self, rows: Tensor, distances: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        itself = torch.where(self._slots == self._slots.unsqueeze(1), torch.inf, 0.0)
        between = distances(self._padded(rows), self._real) + itself
        slots = between.topk(self._neighbors, largest=False).indices
        exist = torch.arange(self._neighbors, device=rows.device) < self._count - 1
        share = exist / exist.sum(dim=1, keepdim=True).clamp(min=1)
        last = self._count.sum()
        nearest = torch.where(exist.unsqueeze(1), slots + self._first.unsqueeze(1), last)
        nearest = nearest[self._real.squeeze(2)]
        return (
            torch.cat([nearest, last.expand(1, self._neighbors)]),
            torch.cat([share.index_select(0, self._jets), share.new_zeros(1, self._neighbors)]),
        )

    def _padded(self, rows: Tensor) -> Tensor:
        """(particles + 1, features) to (jets, slots, features)."""
        return rows.index_select(0, self._rows.flatten()).reshape(*self._rows.shape, rows.shape[1])
