"""Launching the kernels of `edge_kernels.py`: sizes, places for their results, and sums of what their programs leave.

Belongs here: one method a kernel. Does not belong here: their order (`edges.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
from torch import Tensor

from jec_assets.models.gpu import edge_kernels
from jec_assets.models.gpu.graph import SlotGraph

# Edges and units of one program: its tiles stay in registers, of which a thread gets so many that three programs fit a
# multiprocessor. With fewer programs there is too little to do while one waits for memory.
EDGES, COLUMNS = 64, 64
COMPILATION = {"num_warps": 4, "num_stages": 1, "maxnreg": 168}
# Programs that share a weight's gradient: two for each multiprocessor of the largest GPUs.
SHARES = 264
# Bytes of an access to memory: rows that are stored begin at its multiples. Wider ones make the tiles be rearranged.
ALIGNMENT = 8


@dataclass(frozen=True)
class LayerGradient:
    """What a layer's dL/dy follows from.

    y: what is stored of it, None for the first layer. above: dL/do, stored; of the `top` layer it is `per_edge`,
    (particles, units), where o is positive. sums: of dL/do and dL/do z over all processes' `edges`, float64 (2, units).
    """

    y: Tensor | None
    above: Tensor
    per_edge: Tensor
    norm: Tensor
    sums: Tensor
    edges: float
    top: bool


class EdgeKernels:
    """The kernels for one graph, and own and other, (particles, units)."""

    def __init__(self, graph: SlotGraph, own: Tensor, other: Tensor) -> None:
        self.graph = graph
        self._own, self._other = own.float().contiguous(), other.float().contiguous()
        self.particles, self.units = own.shape
        neighbors = graph.neighbors.shape[1]
        slots = triton.next_power_of_2(neighbors)
        tile = max(1, EDGES // slots)
        self._stored_type = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else torch.float32
        multiple = ALIGNMENT // self._stored_type.itemsize
        self._width = triton.cdiv(self.units, multiple) * multiple
        self._tiles, self._blocks = triton.cdiv(self.particles, tile), triton.cdiv(self.units, COLUMNS)
        self._inputs = (self._own, self._other, graph.neighbors, graph.degrees, self.particles)
        self._sizes = {
            "units": self.units,
            "width": self._width,
            "k": neighbors,
            "slots": slots,
            "tile": tile,
            "columns": COLUMNS,
            **COMPILATION,
        }
        # Three products of halves are as precise as one in single precision, and faster where matrices have units.
        self._precision = "tf32x3" if torch.get_float32_matmul_precision() == "highest" else "tf32"

    def per_particle(self) -> Tensor:
        """A place for (particles, units)."""
        return self._own.new_empty(self.particles, self.units)

    def per_tile(self) -> Tensor:
        """A place for two sums of each tile, float64 (tiles, 2, units)."""
        return self._own.new_empty(self._tiles, 2, self.units, dtype=torch.float64)

    def first_moments(self) -> Tensor:
        """Sums of the first layer's y and of its squares, (tiles, 2, units)."""
        sums = self.per_tile()
        edge_kernels.first_moments[self._tiles, self._blocks](*self._inputs, sums, **self._sizes)
        return sums

    def settle(
        self, sums: Tensor, edges: float, parameters: tuple[Tensor, Tensor], epsilon: float, moments: Tensor
    ) -> Tensor:
        """A layer's `norm` from its sums over all edges and gamma and beta; its moments too, into (2, units)."""
        norm = self._own.new_empty(4, self.units)
        columns = triton.next_power_of_2(self.units)
        edge_kernels.settle[1,](sums, edges, *parameters, epsilon, moments, norm, self.units, columns)
        return norm

    def climb(self, below: Tensor | None, norm: Tensor, weight: Tensor, sums: Tensor | None = None) -> Tensor:
        """A layer's y from the one below; if a place is given, its sums and those of its squares too."""
        y = self._per_edge()
        edge_kernels.climb[self._tiles, self._blocks](
            *self._inputs,
            *(self._or_any(below), norm, weight.contiguous(), y, self._or_any(sums)),
            first=below is None,
            training=sums is not None,
            precision=self._precision,
            **self._sizes,
        )
        return y

    def mean(self, y: Tensor | None, norm: Tensor, active: Tensor | None = None, along: Tensor | None = None) -> Tensor:
        """The mean of a over each particle's edges; where a place is given, the active ones and the sum of their z."""
        mean = self.per_particle()
        edge_kernels.mean_over_edges[self._tiles, self._blocks](
            *self._inputs,
            *(self._or_any(y), norm, mean, self._or_any(active), self._or_any(along)),
            first=y is None,
            training=active is not None,
            **self._sizes,
        )
        return mean

    def weight_gradient(self, layer: LayerGradient, below: Tensor | None, norm_below: Tensor) -> Tensor:
        """The derivative by the weight between two layers, (units, units)."""
        shares = min(SHARES, self._tiles)
        products = self._own.new_empty(shares, self.units, self.units)
        edge_kernels.weight_gradient[shares, self._blocks, self._blocks](
            *self._inputs,
            *self._step(layer),
            *(self._or_any(below), norm_below, products),
            top=layer.top,
            first=below is None,
            precision=self._precision,
            **self._sizes,
        )
        return products.sum(0)

    def descend(
        self, layer: LayerGradient, below: Tensor | None, norm_below: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """dL/do of the layer below, per edge, and the sums of it and of dL/do z, (2, units)."""
        gradient, sums = self._per_edge(), self.per_tile()
        edge_kernels.descend[self._tiles, self._blocks](
            *self._inputs,
            *self._step(layer),
            *(self._or_any(below), norm_below, weight.contiguous(), gradient, sums),
            top=layer.top,
            first=below is None,
            precision=self._precision,
            **self._sizes,
        )
        return gradient, sums.sum(0)

    def to_particles(self, layer: LayerGradient) -> tuple[Tensor, Tensor]:
        """The derivatives by own and other, (particles, units), from the first layer's."""
        atomic = not torch.are_deterministic_algorithms_enabled()
        own, other = self.per_particle(), torch.zeros_like(self._other)
        steps = other if atomic else other.new_zeros(self.graph.neighbors.numel(), self.units)
        edge_kernels.to_particles[self._tiles, self._blocks](
            *self._inputs, *self._step(layer), own, steps, top=layer.top, atomic=atomic, **self._sizes
        )
        if not atomic:
            other.index_put_((self.graph.neighbors.flatten(),), steps, accumulate=True)
        return own, other

    def _per_edge(self) -> Tensor:
        return self._own.new_empty(self.graph.neighbors.numel(), self._width, dtype=self._stored_type)

    def _or_any(self, tensor: Tensor | None) -> Tensor:
        """A tensor for an argument that the kernel leaves alone if there is none."""
        return self._own if tensor is None else tensor

    def _step(self, layer: LayerGradient) -> tuple[Tensor | float, ...]:
        y = self._or_any(layer.y)
        return (y, layer.above, layer.per_edge, layer.norm, layer.sums, max(layer.edges, 1.0))
