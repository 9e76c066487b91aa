"""Which particles are neighbors: the k nearest others of the same jet, for every real particle of a batch.

Belongs here: the choice between a CPU's graphs and a GPU's; for a CPU the arrangement of a batch by multiplicity, the
search for neighbors, the graph as a flat list of edges. Does not belong here: graphs on a GPU (`gpu/`) and what is
computed on the graph (`edges.py`).

A particle has an edge from each neighbor: k of them, fewer in a jet of k particles or less, none in a jet of one. Of
particles at the same distance the one that comes first in the jet is nearer, so that a graph depends on its jet alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from jec_assets.models.gpu.arrangement import SlotArrangement

# Jets of up to this times as many particles are searched together: little padding, and few groups.
SLOTS_RATIO = 1.2
# Pairs of slots that are searched at once: keeps the search in a core's cache, and bounds memory.
GROUP_PAIRS = 1 << 18
# The last bits of a double, which number the slots of a jet; the rest tells distances apart to 1e-11 of themselves.
SLOT_BITS = (1 << 16) - 1
# Numbers in one chunk of edges, (edges, units): the few arrays in use at once fit a core's cache.
CHUNK_NUMBERS = 1 << 17


@dataclass(frozen=True)
class Chunk:
    """Consecutive particles and all their edges, as slices of rows per particle and of rows per edge."""

    particles: slice
    edges: slice


@dataclass(frozen=True)
class Edges:
    """The edges of a batch as far as the multiplicities fix them, sorted by the particle that receives.

    receivers: int64 (edges,); offsets: int64 (particles + 1,), particle i receives edges offsets[i]:offsets[i + 1];
    chunks: all edges in order, each chunk the edges of whole jets.
    """

    receivers: Tensor
    offsets: Tensor
    chunks: tuple[Chunk, ...]

    def __len__(self) -> int:
        return len(self.receivers)

    def offsets_within(self, chunk: Chunk) -> Tensor:
        """Offsets of a chunk's edges, int64 (particles of the chunk + 1,), counted from the chunk's first."""
        offsets: Tensor = self.offsets[chunk.particles.start : chunk.particles.stop + 1] - chunk.edges.start
        return offsets


@dataclass(frozen=True)
class Graph:
    """Edge e goes from particle neighbors[e] to particle edges.receivers[e]; neighbors: int64 (edges,)."""

    edges: Edges
    neighbors: Tensor


@dataclass(frozen=True)
class _Group:
    """Jets of like multiplicity as a dense block, so that distances are matrix products.

    first_rows: int64 (jets, 1, 1), row of each jet's first particle; rows: int64 (jets, slots), a slot without particle
    repeats the jet's last; real: bool (jets, slots, 1), which have a particle; found: int64, which of
    (jets, slots, neighbors), flattened, are edges.
    """

    first_rows: Tensor
    rows: Tensor
    real: Tensor
    neighbors: int
    found: Tensor


def arrangement_of(offsets: Tensor, neighbors: int, units: int) -> Arrangement | SlotArrangement:
    """The arrangement of a batch for graphs of k = `neighbors` and blocks of so many units, by the device it is on.

    offsets: int64 (jets + 1,).
    """
    if offsets.device.type == "cuda":
        from jec_assets.models.gpu.arrangement import SlotArrangement

        return SlotArrangement(offsets, neighbors)
    return Arrangement(offsets, neighbors, units)


class Arrangement:
    """A batch of packed jets in the order of multiplicity, prepared for graphs of k = `neighbors`.

    particles: int64 (particles,), the packed batch's rows in arranged order; offsets: int64 (jets + 1,) of the arranged
    jets; positions: int64 (jets,), where among the arranged jets each jet of the batch stands.
    """

    def __init__(self, offsets: Tensor, neighbors: int, units: int) -> None:
        starts = offsets.cpu().numpy()
        counts = np.diff(starts)
        order = np.argsort(counts, kind="stable")
        counts = counts[order]
        arranged = np.concatenate([[0], np.cumsum(counts)])
        rows = np.arange(arranged[-1]) + np.repeat(starts[:-1][order] - arranged[:-1], counts)
        device = offsets.device
        self.particles = torch.from_numpy(rows).to(device)
        self.offsets = torch.from_numpy(arranged).to(device)
        self.positions = torch.from_numpy(np.argsort(order)).to(device)
        degrees = np.repeat(np.minimum(counts - 1, neighbors), counts)
        self.edges = _edges(arranged, degrees, units, device)
        self._groups = tuple(
            _group(arranged[first:last], counts[first:last], slots, device, neighbors)
            for first, last, slots in _groups(counts, neighbors + 1)
        )

    def arrange(self, particles: Tensor) -> Tensor:
        """Rows of the packed batch in arranged order, (particles, columns)."""
        return particles.index_select(0, self.particles)

    def restore(self, jets: Tensor) -> Tensor:
        """Rows of arranged jets in the order of the batch, (jets, columns)."""
        return jets.index_select(0, self.positions)

    def graph_of_points(self, points: Tensor) -> Graph:
        """Nearest neighbors in a plane: (particles, 2) in arranged order."""
        return self._graph(points, squared_distances_in_plane)

    def graph_of_features(self, features: Tensor) -> Graph:
        """Nearest neighbors in a space of many dimensions: (particles, dimensions) in arranged order."""
        return self._graph(features, squared_distances)

    @torch.no_grad()
    def _graph(self, positions: Tensor, distances: Callable[[Tensor, Tensor], Tensor]) -> Graph:
        found = [_nearest(group, distances(positions[group.rows], group.real)) for group in self._groups]
        return Graph(self.edges, torch.cat(found) if found else self.edges.receivers)


def squared_distances_in_plane(points: Tensor, real: Tensor) -> Tensor:
    """From each slot to each, (jets, slots, 2) to (jets, slots, slots), infinite to slots that aren't `real`.

    real: bool (jets, slots, 1). Computed from differences, so that equal distances are equal numbers.
    """
    x, y = torch.where(real, points, torch.inf).unbind(2)
    from_x, from_y = points.unsqueeze(3).unbind(2)
    across, along = from_x - x.unsqueeze(1), from_y - y.unsqueeze(1)
    return across * across + along * along


def squared_distances(features: Tensor, real: Tensor) -> Tensor:
    """The same in many dimensions, (jets, slots, dimensions), as a matrix product in double precision.

    |a - b|^2 = |a|^2 + |b|^2 - 2 ab cancels for neighbors. In single precision, what is left is so coarse that another
    order of summation chooses another neighbor, once in thousands of jets, and moves the output by 1e-5.
    """
    features = features.double()
    centered = torch.where(real, features - features.mean(dim=1, keepdim=True), 0.0)
    squares = (centered * centered).sum(dim=2, keepdim=True)
    ones = torch.ones_like(squares)
    to = torch.cat([centered, torch.where(real, squares, torch.inf), ones], dim=2)
    return torch.bmm(torch.cat([-2 * centered, ones, squares], dim=2), to.transpose(1, 2))


def _nearest(group: _Group, distances: Tensor) -> Tensor:
    """Rows of the neighbors of a group's particles, int64 (edges,)."""
    # The bits of positive numbers, taken as integers, are ordered as the numbers are. With the slot for the last bits,
    # they are ordered by distance, then by slot, and no two are equal.
    slots = torch.arange(distances.shape[2], device=distances.device)
    keys = distances.clamp_(min=0).double().view(torch.int64).bitwise_and_(~SLOT_BITS).bitwise_or_(slots)
    keys.diagonal(dim1=1, dim2=2).fill_(torch.iinfo(torch.int64).max)
    nearest = keys.topk(group.neighbors, largest=False).values
    return (nearest.bitwise_and_(SLOT_BITS) + group.first_rows).flatten().index_select(0, group.found)


def _groups(counts: NDArray[np.int64], slots: int) -> Iterator[tuple[int, int, int]]:
    """First and last jet (half-open) and slots of groups of jets, of rising multiplicities from two particles on."""
    first = int(np.searchsorted(counts, 2))
    while first < len(counts):
        while slots < counts[first]:
            slots = int(slots * SLOTS_RATIO) + 1
        last = int(np.searchsorted(counts, slots, side="right"))
        size = max(1, GROUP_PAIRS // slots**2)
        yield from ((start, min(start + size, last), slots) for start in range(first, last, size))
        first = last


def _group(
    starts: NDArray[np.int64], counts: NDArray[np.int64], slots: int, device: torch.device, neighbors: int
) -> _Group:
    slot = np.arange(slots)
    real = slot < counts[:, None]
    rows = starts[:, None] + np.minimum(slot, counts[:, None] - 1)
    found = real[:, :, None] & (np.arange(neighbors) < counts[:, None, None] - 1)
    return _Group(
        torch.from_numpy(starts[:, None, None]).to(device),
        torch.from_numpy(rows).to(device),
        torch.from_numpy(real[:, :, None]).to(device),
        neighbors,
        torch.from_numpy(np.flatnonzero(found)).to(device),
    )


def _edges(jets: NDArray[np.int64], degrees: NDArray[np.int64], units: int, device: torch.device) -> Edges:
    """Edges of particles of these degrees; `jets`: offsets of jets."""
    offsets = np.concatenate([[0], np.cumsum(degrees)])
    # Each core has a cache to stay in.
    size = CHUNK_NUMBERS * torch.get_num_threads() // units + 1
    cuts = np.searchsorted(offsets[jets], np.arange(size, offsets[-1], size))
    bounds = np.unique(np.concatenate([[0], jets[cuts], [len(degrees)]])).tolist()
    chunks = tuple(
        Chunk(slice(first, last), slice(int(offsets[first]), int(offsets[last]))) for first, last in pairwise(bounds)
    )
    receivers = np.repeat(np.arange(len(degrees)), degrees)
    return Edges(torch.from_numpy(receivers).to(device), torch.from_numpy(offsets).to(device), chunks)
