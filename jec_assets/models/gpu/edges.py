"""EdgeConv's layers on edges on a GPU, in training and in evaluation: the order of kernels, and what they pass on.

Belongs here: that order. Does not belong here: the kernels (`edge_kernels.py`, `launching.py`) and what is computed,
which `jec_assets.models.edges` says; `jec_assets.models.edge_training` has the same for a CPU, with the sources.

A GPU, too, waits for its memory rather than for its products. So every pass over the edges does all that can be done in
it, and only y of the second layer on is kept per edge: in autocast's type where a network computes under autocast, else
in single precision, with products as `torch.set_float32_matmul_precision` says. The rest is a number per particle.

Which edge adds to a neighbor's gradient first is open, unless torch is to be deterministic: then torch adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jec_assets.models.edge_training import EdgeGradients, EdgeLayers
from jec_assets.models.gpu.launching import EdgeKernels, LayerGradient
from jec_assets.models.group import Moments, size, sum_over_processes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.models.gpu.graph import SlotGraph


def edge_mean_in_evaluation(
    graph: SlotGraph, own: Tensor, other: Tensor, folded: Sequence[tuple[Tensor, Tensor]]
) -> Tensor:
    """See `jec_assets.models.edges.edge_mean_in_evaluation`."""
    kernels = EdgeKernels(graph, own, other)
    # Normalization that leaves y as it is: the first layer has its own folded in.
    identity = torch.tensor([[0.0], [1.0], [1.0], [0.0]], device=own.device).repeat(1, kernels.units)
    stored, norm = None, identity
    for weight, bias in folded:
        stored = kernels.climb(stored, norm, weight)
        norm = torch.cat([identity[:-1], bias.unsqueeze(0)])
    return kernels.mean(stored, norm)


class SlotEdgeTraining:
    """As `jec_assets.models.edge_training.EdgeTraining`: `forward` once, then `backward` at most once."""

    def __init__(self, graph: SlotGraph, own: Tensor, other: Tensor, layers: EdgeLayers) -> None:
        self._kernels = EdgeKernels(graph, own, other)
        self._layers = layers
        self._top = len(layers.gammas) - 1
        self._edges = float(graph.edges)
        if size() > 1:
            self._edges = float(sum_over_processes(own.new_tensor(graph.edges, dtype=torch.float64)))
        self._norms: list[Tensor] = []
        self._stored: list[Tensor] = []
        self._active, self._along = self._kernels.per_particle(), self._kernels.per_particle()

    def forward(self) -> tuple[Tensor, Moments]:
        """The mean over each particle's edges, (particles, units); each layer's moments of y, (layers, units)."""
        moments = self._active.new_empty(self._top + 1, 2, self._kernels.units)
        for layer, parameters in enumerate(zip(self._layers.gammas, self._layers.betas, strict=True)):
            sums = sum_over_processes(self._climb(layer).sum(0))
            norm = self._kernels.settle(sums, max(self._edges, 1.0), parameters, self._layers.epsilon, moments[layer])
            self._norms.append(norm)
        mean = self._kernels.mean(self._y(self._top), self._norms[-1], self._active, self._along)
        return mean, Moments(self._edges, moments[:, 0], moments[:, 1])

    def backward(self, gradient: Tensor) -> EdgeGradients:
        """From the gradient of the mean, (particles, units). RuntimeError the second time, as y is gone."""
        if not self._norms:
            raise RuntimeError("layers on edges can be differentiated once: compute the network's output again")
        kernels, norms = self._kernels, self._norms
        per_edge = gradient / kernels.graph.degrees.clamp(min=1).unsqueeze(1)
        sums = [torch.stack([(per_edge * self._active).sum(0), (per_edge * self._along).sum(0)]).double()]
        weights: list[Tensor] = []
        above = per_edge
        for layer in range(self._top, 0, -1):
            gradient_of_layer = self._gradient(layer, above, per_edge, sums[-1])
            below = (self._y(layer - 1), norms[layer - 1])
            weights.append(kernels.weight_gradient(gradient_of_layer, *below))
            above, own_sums = kernels.descend(gradient_of_layer, *below, self._layers.weights[layer - 1])
            sums.append(own_sums)
        own, other = kernels.to_particles(self._gradient(0, above, per_edge, sums[-1]))
        betas, gammas = torch.stack(sums[::-1]).to(own.dtype).unbind(1)
        self._norms.clear()
        self._stored.clear()
        return EdgeGradients(own, other, gammas.unbind(), betas.unbind(), tuple(weights[::-1]))

    def _y(self, layer: int) -> Tensor | None:
        return self._stored[layer - 1] if layer else None

    def _gradient(self, layer: int, above: Tensor, per_edge: Tensor, own_sums: Tensor) -> LayerGradient:
        sums, top = sum_over_processes(own_sums), layer == self._top
        return LayerGradient(self._y(layer), above, per_edge, self._norms[layer], sums, self._edges, top)

    def _climb(self, layer: int) -> Tensor:
        """Compute a layer's y; its sums and those of its squares, (tiles, 2, units)."""
        if layer == 0:
            return self._kernels.first_moments()
        sums = self._kernels.per_tile()
        weight = self._layers.weights[layer - 1]
        self._stored.append(self._kernels.climb(self._y(layer - 1), self._norms[-1], weight, sums))
        return sums
