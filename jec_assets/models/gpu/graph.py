"""A graph as a GPU's kernels take it: a fixed number of slots for the neighbors of each particle.

Belongs here: the form. Does not belong here: how it is found (`arrangement.py`), and what is computed on it
(`edges.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class SlotGraph:
    """Particle i receives an edge from particle neighbors[i, s] for each s < degrees[i].

    neighbors: int64 (particles, k), 0 beyond the degree; degrees: int32 (particles,); edges: how many in all.
    """

    neighbors: Tensor
    degrees: Tensor
    edges: int
