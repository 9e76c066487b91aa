"""EdgeConv as a torch module: parameters, moments, and the parts that are computed per particle.

Y. Wang et al., "Dynamic graph CNN for learning on point clouds", arXiv:1801.07829, Section 3.2, with edge features
(x_i, x_j - x_i) and the mean over neighbors. Belongs here: one block. Does not belong here: what is computed on every
edge (`edges.py`), and how blocks become a network (`particle_net.py`).

The first layer is linear in (x_i, x_j - x_i), so it is (W1 - W2) x_i + W2 x_j: computed per particle, not per edge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn
from torch.nn import functional

from jec_assets.models.edge_training import EdgeLayers
from jec_assets.models.edges import edge_mean_in_evaluation, edge_mean_in_training, edge_mean_of_slots
from jec_assets.models.row_norm import RowNorm, folded_linear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.models.gpu.graph import SlotGraph
    from jec_assets.models.neighbors import Graph


class EdgeConv(nn.Module):
    """One block: layers on every edge, their mean over a particle's neighbors, and a shortcut around them."""

    def __init__(self, width: int, units: int, layers: int) -> None:
        super().__init__()
        widths = (2 * width, *[units] * (layers - 1))
        linears = nn.ModuleList(nn.Linear(inputs, units, bias=False) for inputs in widths)
        self.linears = cast("Sequence[nn.Linear]", linears)
        self.norms = cast("Sequence[RowNorm]", nn.ModuleList(RowNorm(units) for _ in widths))
        self.shortcut = nn.Sequential()
        if width != units:
            self.shortcut = nn.Sequential(nn.Linear(width, units, bias=False), RowNorm(units))

    def forward(self, rows: Tensor, graph: Graph | SlotGraph) -> Tensor:
        """(particles, width) to (particles, units)."""
        if not self.training:
            own, other, folded = self._folded(rows)
            return self._joined(rows, edge_mean_in_evaluation(graph, own, other, folded))
        layers = EdgeLayers(
            tuple(norm.weight for norm in self.norms),
            tuple(norm.bias for norm in self.norms),
            tuple(linear.weight for linear in self.linears[1:]),
            self.norms[0].eps,
        )
        mean, moments = edge_mean_in_training(graph, *self._parts(rows), layers)
        for norm, batch_mean, batch_variance in zip(self.norms, moments.mean, moments.variance, strict=True):
            norm.track(batch_mean, batch_variance, moments.rows)
        return self._joined(rows, mean)

    def forward_slots(self, rows: Tensor, neighbors: Tensor, share: Tensor) -> Tensor:
        """The same in evaluation for a fixed number of neighbors: see `edge_mean_of_slots`."""
        width = rows.shape[1]
        own, difference = self.linears[0].weight[:, :width], self.linears[0].weight[:, width:]
        scale, shift = self.norms[0].folded()
        own_rows = functional.linear(rows, (own - difference) * scale.unsqueeze(1), shift)
        other_rows = functional.linear(rows, difference * scale.unsqueeze(1))
        layers = zip(self.linears[1:], self.norms[1:], strict=True)
        folded = [folded_linear(layer, after=norm) for layer, norm in layers]
        mean = edge_mean_of_slots(own_rows, other_rows, neighbors, share, folded)
        if len(self.shortcut):
            layer, norm = cast("tuple[nn.Linear, RowNorm]", self.shortcut)
            rows = functional.linear(rows, *folded_linear(layer, after=norm))
        return functional.relu(rows + mean)

    def _parts(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The first layer as what a particle gives to its own edges, and what to those it is a neighbor on."""
        own, difference = self.linears[0].weight.chunk(2, dim=1)
        return rows @ (own - difference).T, rows @ difference.T

    def _folded(self, rows: Tensor) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
        """The same with the first normalization folded in, and weight and bias of each further layer with its own."""
        own, other = self._parts(rows)
        (scale, shift), *rest = [norm.folded() for norm in self.norms]
        folded = [
            (linear.weight * factor.unsqueeze(1), summand)
            for linear, (factor, summand) in zip(self.linears[1:], rest, strict=True)
        ]
        return own * scale + shift, other * scale, folded

    def _joined(self, rows: Tensor, mean: Tensor) -> Tensor:
        return functional.relu(self.shortcut(rows) + mean)
