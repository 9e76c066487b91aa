"""The expensive part of EdgeConv, what happens on every edge of the graph: as it is asked for, in training and not.

Belongs here: the layers on edges and the mean over each particle's edges, in evaluation step by step, in training
handed to `edge_training.py`; on a GPU both are handed to `gpu/edges.py`. Does not belong here: which edges there are
(`neighbors.py`), and what happens per particle (`edge_conv.py`).

The computation is y_1 = own_i + other_j on the edge from neighbor j to particle i, a_l = ReLU(BN(y_l)),
y_(l+1) = W_(l+1) a_l, and the mean of the last a over each particle's edges, 0 where it has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from jec_assets.models.edge_training import EdgeLayers, EdgeTraining
from jec_assets.models.gpu.graph import SlotGraph
from jec_assets.models.group import Moments
from jec_assets.models.segments import segment_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.autograd.function import BackwardCFunction

    from jec_assets.models.gpu.edges import SlotEdgeTraining
    from jec_assets.models.neighbors import Graph

    class _Context(BackwardCFunction):
        computation: EdgeTraining | SlotEdgeTraining


class _EdgeMean(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: _Context, graph: Graph | SlotGraph, epsilon: float, own: Tensor, other: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, float]:
        count = (len(parameters) + 1) // 3
        gammas, betas, weights = parameters[:count], parameters[count : 2 * count], parameters[2 * count :]
        ctx.computation = _computation(graph, own, other, EdgeLayers(gammas, betas, weights, epsilon))
        mean, moments = ctx.computation.forward()
        ctx.mark_non_differentiable(moments.mean, moments.variance)
        return mean, moments.mean, moments.variance, moments.rows

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.computation.backward(gradient)
        return None, None, gradients.own, gradients.other, *gradients.gammas, *gradients.betas, *gradients.weights


def _computation(
    graph: Graph | SlotGraph, own: Tensor, other: Tensor, layers: EdgeLayers
) -> EdgeTraining | SlotEdgeTraining:
    if isinstance(graph, SlotGraph):
        from jec_assets.models.gpu.edges import SlotEdgeTraining

        return SlotEdgeTraining(graph, own, other, layers)
    return EdgeTraining(graph, own, other, layers)


def edge_mean_in_training(
    graph: Graph | SlotGraph, own: Tensor, other: Tensor, layers: EdgeLayers
) -> tuple[Tensor, Moments]:
    """The mean over each particle's edges, (particles, units), with BN by the batch's own moments, and those moments.

    own, other: (particles, units). The moments are those of each layer's y over the edges of the whole batch, of all
    processes that hold parts of it: mean and variance (layers, units). The result can be differentiated once.
    """
    parameters = (*layers.gammas, *layers.betas, *layers.weights)
    results = _EdgeMean.apply(graph, layers.epsilon, own, other, *parameters)  # type: ignore[no-untyped-call]
    mean, moment_means, moment_variances, edges = results
    return mean, Moments(edges, moment_means, moment_variances)


def edge_mean_in_evaluation(
    graph: Graph | SlotGraph, own: Tensor, other: Tensor, folded: Sequence[tuple[Tensor, Tensor]]
) -> Tensor:
    """The same with BN by fixed moments: folded into own and other, and into weight and bias of each further layer."""
    if isinstance(graph, SlotGraph):
        from jec_assets.models.gpu import edges as gpu

        return gpu.edge_mean_in_evaluation(graph, own, other, folded)
    edges, means = graph.edges, []
    for chunk in edges.chunks:
        rows = own.index_select(0, edges.receivers[chunk.edges])
        rows = rows.add_(other.index_select(0, graph.neighbors[chunk.edges])).relu_()
        for weight, bias in folded:
            rows = nn.functional.linear(rows, weight, bias).relu_()
        means.append(segment_mean(rows, edges.offsets_within(chunk)))
    return torch.cat(means)


def edge_mean_of_slots(
    own: Tensor, other: Tensor, neighbors: Tensor, share: Tensor, folded: Sequence[tuple[Tensor, Tensor | None]]
) -> Tensor:
    """As `edge_mean_in_evaluation`, with a fixed number of neighbors a particle, for export.

    neighbors: int64 (jets, slots, k), rows of own and other; share: (jets, 1, 1, k), 1 / (number of neighbors) for
    those that exist and 0 for others.
    """
    units, (jets, slots, k) = own.shape[1], neighbors.shape
    others = other.index_select(0, neighbors.flatten()).reshape(-1, k, units)
    rows = nn.functional.relu(own.unsqueeze(1) + others).reshape(-1, units)
    for weight, bias in folded:
        rows = nn.functional.relu(nn.functional.linear(rows, weight, bias))
    return torch.matmul(share, rows.reshape(jets, slots, k, units)).reshape(-1, units)
