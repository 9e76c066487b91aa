"""Padded jets in the form that is exported: real particles as rows, and back.

Belongs here: how a dense array with any number of particles a jet becomes rows without padding, in operations that ONNX
has. Does not belong here: training and evaluation, which never see padding (`neighbors.py` has their form).

Only real particles become rows, so a batch costs what its particles cost, however far it is padded, and what padding
holds is never read. One more row of zeros, the last, stands for every neighbor that a particle lacks.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jec_assets.models.network import real_slots


class Slots:
    """The slots of padded particles (jets, slots, features), the first `particle_count`, int64 (jets, 1), real."""

    def __init__(self, particles: Tensor, particle_count: Tensor) -> None:
        slots = particles.shape[1]
        self._count = particle_count.clamp(0, slots)
        self._real = real_slots(particles, self._count)
        self._taken = self._real.flatten().nonzero().squeeze(1)
        self._jets = self._taken // slots
        self._first = self._count.cumsum(0) - self._count
        # A slot without particle is a copy of its jet's first, which keeps the center of the jet's points among them.
        self._rows = self._first + torch.arange(slots, device=particles.device) * self._real.squeeze(2)

    def rows_of(self, values: Tensor) -> Tensor:
        """(jets, slots, features) to (particles + 1, features)."""
        return _with_last(values.flatten(0, 1)[self._taken], 0.0)

    def padded(self, rows: Tensor) -> Tensor:
        """(particles + 1, features) to (jets, slots, features)."""
        return rows[self._rows]

    def mean(self, rows: Tensor) -> Tensor:
        """Over each jet's particles: (particles + 1, features) to (jets, features); 0 for a jet without."""
        return torch.where(self._real, self.padded(rows), 0.0).sum(dim=1) / self._count.clamp(min=1)

    def neighbors(self, distances: Tensor, neighbors: int) -> tuple[Tensor, Tensor]:
        """Rows of the nearest neighbors, int64 (particles + 1, k), and the share of each in a mean over them.

        distances: (jets, slots, slots). Ties are broken as in `neighbors.py`: so does ONNX's TopK.
        """
        slots = torch.arange(distances.shape[1], device=distances.device)
        no_neighbor = ~self._real.transpose(1, 2) | (slots == slots.unsqueeze(1))
        # k more columns, so that there are k to take however few slots there are.
        columns = nn.functional.pad(distances.masked_fill(no_neighbor, torch.inf), (0, neighbors), value=torch.inf)
        nearest = columns.topk(neighbors, largest=False).indices + self._first.unsqueeze(1)
        exist = torch.arange(neighbors, device=distances.device) < self._count - 1
        share = exist / exist.sum(dim=1, keepdim=True).clamp(min=1)
        rows = torch.where(exist.unsqueeze(1), nearest, self._count.sum())
        return _with_last(rows.flatten(0, 1)[self._taken], self._count.sum()), _with_last(share[self._jets], 0.0)


def _with_last(rows: Tensor, value: float | Tensor) -> Tensor:
    return torch.cat([rows, torch.zeros_like(rows[:1]) + value])
