"""Training EdgeConv's layers on edges: batch normalization by the batch's own edges, forward and backward, by hand.

Belongs here: the one computation that dominates ParticleNet's training, and why it is written as it is. Does not belong
here: what it computes, which `edges.py` says, and evaluation, which is plain there.

Edges are many more than particles, so the time goes into moving numbers rather than into matrix products. Five things
keep it low; none changes a result beyond rounding.

- A chunk of edges that fits a core's cache goes through all operations of a layer before the next chunk does.
- With s = |gamma| / sigma and m = mean - beta / s, BN and ReLU together are s max(y, m) - s m. The factor goes into the
  next layer's weights and the constant drops out of the next normalization: one operation instead of three. A negative
  gamma is a negative row of the layer's own weights.
- Sums of squares are taken of y shifted close to its mean, where they don't cancel.
- y_1 is gathered anew where it is needed; of other layers y is kept, and what follows from y is computed again.
- The gradient of every layer is written over the top layer's y.

The batch is that of all processes that train together, and so are its moments: each adds the sums over its own edges,
one exchange a layer forward and one backward. A process without edges takes part like any other.

Derivatives of BN as in S. Ioffe, C. Szegedy, "Batch normalization", arXiv:1502.03167, Section 3: with
o = gamma z + beta, z = (y - mean) / sigma and averages over edges, dL/dy = s (dL/do - <dL/do> - z <dL/do z>).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jec_assets.models.group import Moments, joined_moments, size, sum_over_processes
from jec_assets.models.segments import plain_segment_sum

if TYPE_CHECKING:
    from jec_assets.models.neighbors import Edges, Graph

# Keeps s from being 0: with gamma = 0, BN is beta to the last digit, and m is finite.
SMALLEST_SCALE = 1e-20


@dataclass(frozen=True)
class EdgeLayers:
    """Parameters of the layers on edges: gammas and betas (units,) of each, weights (units, units) of the second on."""

    gammas: tuple[Tensor, ...]
    betas: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]
    epsilon: float


@dataclass(frozen=True)
class EdgeGradients:
    """Derivatives by what `EdgeTraining` was made from, of the same shapes."""

    own: Tensor
    other: Tensor
    gammas: tuple[Tensor, ...]
    betas: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]


class _Sums:
    """Sums over edges of some rows and of their products with others; double precision across parts."""

    def __init__(self, like: Tensor) -> None:
        self.rows = torch.zeros(like.shape[1], dtype=torch.float64, device=like.device)
        self.products = torch.zeros_like(self.rows)

    def add(self, rows: Tensor, others: Tensor, spare: Tensor) -> None:
        """Take in a part; `spare` is overwritten."""
        self.rows += rows.sum(0)
        self.products += torch.mul(rows, others, out=spare).sum(0)

    def moments(self, edges: int) -> Moments:
        """Of rows that were multiplied by themselves; 0 without edges."""
        mean = self.rows / max(edges, 1)
        return Moments(edges, mean, (self.products / max(edges, 1) - mean * mean).clamp(min=0))


@dataclass(frozen=True)
class _NormGradient:
    """Derivatives by gamma and beta of this process's part; dL/dy is s (dL/do + slope y + offset)."""

    gamma: Tensor
    beta: Tensor
    slope: Tensor
    offset: Tensor


class _Norm:
    """BN and ReLU of one layer; `settle` gives it its moments.

    Every y here is shifted by what is the same for all edges, and negated where gamma is negative.
    """

    mean: Tensor
    inverse_sigma: Tensor
    scale: Tensor
    threshold: Tensor

    def __init__(self, gamma: Tensor, beta: Tensor) -> None:
        self.gamma, self.beta = gamma, beta
        self.sign = torch.where(gamma < 0, -1.0, 1.0).to(gamma.dtype)

    def settle(self, mean: Tensor, variance: Tensor, epsilon: float) -> None:
        """Set the moments of y."""
        self.mean = mean.to(self.gamma.dtype)
        self.inverse_sigma = (variance.to(self.gamma.dtype) + epsilon).rsqrt()
        self.scale = (self.gamma.abs() * self.inverse_sigma).clamp(min=SMALLEST_SCALE)
        self.threshold = self.mean - self.beta / self.scale

    def gradient(self, sums: _Sums, edges: float) -> _NormGradient:
        """From this process's sums of dL/do and of dL/do y, and the number of edges of all."""
        along = self.inverse_sigma * (sums.products - self.mean * sums.rows)
        own = torch.stack([sums.rows, along])
        total, along = sum_over_processes(own).to(self.mean.dtype)
        own_total, own_along = own.to(self.mean.dtype)
        slope = -self.inverse_sigma * along / max(edges, 1)
        offset = -total / max(edges, 1) - self.mean * slope
        return _NormGradient(self.sign * own_along, own_total, slope, offset)


@dataclass(frozen=True)
class _Part:
    """A chunk of edges with places to compute in, (edges of the chunk, units) each, which all parts share."""

    particles: slice
    edges: slice
    offsets: Tensor
    spare: Tensor
    gathered: Tensor
    above: Tensor
    step: Tensor


class EdgeTraining:
    """One pass over the edges of a batch: `forward` once, then `backward` at most once. Layers count from 0."""

    def __init__(self, graph: Graph, own: Tensor, other: Tensor, layers: EdgeLayers) -> None:
        self._graph, self._edges = graph, graph.edges
        self._epsilon = layers.epsilon
        self._all_edges = float(len(self._edges))
        self._norms = [_Norm(gamma, beta) for gamma, beta in zip(layers.gammas, layers.betas, strict=True)]
        self._top = len(self._norms) - 1
        self._weights = [
            weight * norm.sign.unsqueeze(1) for weight, norm in zip(layers.weights, self._norms[1:], strict=True)
        ]
        own, other = own * self._norms[0].sign, other * self._norms[0].sign
        self._own, self._other = own - own.mean(0), other - other.mean(0)
        self._first_shift = own.mean(0) + other.mean(0)
        self._stored: list[Tensor] = []
        self._spent = False
        self._degrees = self._edges.offsets.diff().unsqueeze(1).to(own.dtype)
        self._tops, self._active = torch.empty_like(self._own), torch.empty_like(self._own)
        self._parts = _parts(self._edges, self._own)

    def forward(self) -> tuple[Tensor, Moments]:
        """The mean over each particle's edges, (particles, units); each layer's moments of y, (layers, units)."""
        means, variances = [], []
        for layer, norm in enumerate(self._norms):
            sums, shift = self._climb(layer) if layer else (self._first_sums(), self._first_shift)
            mean, variance = self._settle(norm, sums, shift)
            means.append(norm.sign * mean)
            variances.append(variance)
        return self._mean_over_edges(), Moments(self._all_edges, torch.stack(means), torch.stack(variances))

    def backward(self, gradient: Tensor) -> EdgeGradients:
        """From the gradient of the mean, (particles, units). RuntimeError the second time, as it writes over y."""
        if self._spent:
            raise RuntimeError("layers on edges can be differentiated once: compute the network's output again")
        self._spent = True
        per_edge = gradient / self._degrees.clamp(min=1)
        sums = self._top_sums(per_edge)
        norms, weights = [], []
        for layer in range(self._top, 0, -1):
            norms.append(self._norms[layer].gradient(sums, self._all_edges))
            weight, sums = self._descend(layer, norms[-1], per_edge)
            weights.append(weight)
        norms.append(self._norms[0].gradient(sums, self._all_edges))
        own, other = self._to_particles(norms[-1], per_edge)
        norms.reverse()
        weights.reverse()
        self._stored.clear()
        return EdgeGradients(
            own, other, tuple(norm.gamma for norm in norms), tuple(norm.beta for norm in norms), tuple(weights)
        )

    def _settle(self, norm: _Norm, sums: _Sums, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Give a layer its moments of y, shifted as here; returns those of y without its shift."""
        moments = sums.moments(len(self._edges))
        if size() == 1:
            norm.settle(moments.mean, moments.variance, self._epsilon)
            return norm.mean + shift, moments.variance.to(shift.dtype)
        # Every process shifts by means of its own edges.
        joined = joined_moments(len(self._edges), moments.mean + shift, moments.variance)
        norm.settle(joined.mean - shift, joined.variance, self._epsilon)
        self._all_edges = joined.rows
        return joined.mean.to(shift.dtype), joined.variance.to(shift.dtype)

    def _rows(self, layer: int, part: _Part) -> Tensor:
        """A layer's y of a part; the first layer's lies in `gathered` and has used `spare`."""
        if layer:
            return self._stored[layer - 1][part.edges]
        torch.index_select(self._own, 0, self._edges.receivers[part.edges], out=part.gathered)
        neighbors = torch.index_select(self._other, 0, self._graph.neighbors[part.edges], out=part.spare)
        return part.gathered.add_(neighbors)

    def _first_sums(self) -> _Sums:
        """Sums of the first layer's y and of its squares."""
        sums = _Sums(self._own)
        for part in self._parts:
            rows = self._rows(0, part)
            sums.add(rows, rows, part.spare)
        return sums

    def _climb(self, layer: int) -> tuple[_Sums, Tensor]:
        """Compute a layer's y from the one below: sums of y and of its squares, and what y is shifted by."""
        below = self._norms[layer - 1]
        weight = self._weights[layer - 1]
        folded = (weight * below.scale).T
        stored = self._own.new_empty(len(self._edges), self._own.shape[1])
        sums = _Sums(stored)
        pivot = torch.zeros_like(below.scale)
        for part in self._parts:
            torch.maximum(self._rows(layer - 1, part), below.threshold, out=part.spare)
            rows = torch.mm(part.spare, folded, out=stored[part.edges])
            if part is self._parts[0] and len(rows):
                pivot = rows.mean(0)
            rows -= pivot
            sums.add(rows, rows, part.spare)
        self._stored.append(stored)
        return sums, pivot - weight @ (below.scale * below.threshold)

    def _mean_over_edges(self) -> Tensor:
        norm = self._norms[self._top]
        for part in self._parts:
            rows = self._rows(self._top, part)
            torch.maximum(rows, norm.threshold, out=part.spare)
            self._tops[part.particles] = plain_segment_sum(part.spare, part.offsets)
            torch.gt(rows, norm.threshold, out=part.spare)
            self._active[part.particles] = plain_segment_sum(part.spare, part.offsets)
        means = (self._tops / self._degrees.clamp(min=1) - norm.threshold) * norm.scale
        return torch.where(self._degrees > 0, means, 0.0)

    def _above(self, layer: int, rows: Tensor, part: _Part, per_edge: Tensor) -> Tensor:
        """dL/do of a part of a layer whose y is `rows`; uses `spare`, and `above` for the top layer's."""
        if layer < self._top:
            return self._stored[-1][part.edges]
        torch.index_select(per_edge, 0, self._edges.receivers[part.edges], out=part.above)
        return _through_relu(part.above, torch.sub(rows, self._norms[layer].threshold, out=part.spare))

    def _top_sums(self, per_edge: Tensor) -> _Sums:
        """Sums of the top layer's dL/do and of its product with y: where y is active, dL/do is the particle's."""
        inactive = (self._degrees - self._active) * self._norms[self._top].threshold
        # Where no edge is active the difference is 0, which a large threshold would drown in rounding.
        active_rows = torch.where(self._active > 0, self._tops - inactive, 0.0)
        sums = _Sums(per_edge)
        sums.rows += (per_edge * self._active).sum(0)
        sums.products += (per_edge * active_rows).sum(0)
        return sums

    def _step(self, layer: int, norm: _NormGradient, part: _Part, per_edge: Tensor) -> Tensor:
        """dL/dy / s of a part of a layer; lies in `step`."""
        rows = self._rows(layer, part)
        above = self._above(layer, rows, part, per_edge)
        return torch.addcmul(norm.offset, rows, norm.slope, out=part.step).add_(above)

    def _descend(self, layer: int, norm: _NormGradient, per_edge: Tensor) -> tuple[Tensor, _Sums]:
        """From a layer to the one below: the derivative by the weight between them, and sums of dL/do and dL/do y."""
        upper, lower = self._norms[layer], self._norms[layer - 1]
        folded = self._weights[layer - 1] * upper.scale.unsqueeze(1)
        products, sums = torch.zeros_like(folded), _Sums(folded)
        for part in self._parts:
            step = self._step(layer, norm, part, per_edge)
            rows = self._rows(layer - 1, part)
            active = torch.sub(rows, lower.threshold, out=part.spare)
            below = _through_relu(torch.mm(step, folded, out=self._stored[-1][part.edges]), active)
            products.addmm_(step.T, active.relu_())
            sums.add(below, rows, active)
        return products * lower.scale * (upper.scale * upper.sign).unsqueeze(1), sums

    def _to_particles(self, norm: _NormGradient, per_edge: Tensor) -> tuple[Tensor, Tensor]:
        """From the first layer to its two parts, (particles, units) each."""
        own, other = torch.empty_like(self._own), torch.zeros_like(self._other)
        for part in self._parts:
            step = self._step(0, norm, part, per_edge)
            own[part.particles] = plain_segment_sum(step, part.offsets)
            # A chunk holds whole jets, so its neighbors are its own particles.
            neighbors = self._graph.neighbors[part.edges] - part.particles.start
            other[part.particles].scatter_add_(0, neighbors.unsqueeze(1).expand_as(step), step)
        first = self._norms[0]
        scale = first.scale * first.sign
        return own * scale, other * scale


def _parts(edges: Edges, like: Tensor) -> list[_Part]:
    largest = max((chunk.edges.stop - chunk.edges.start for chunk in edges.chunks), default=0)
    blocks = [like.new_empty(largest, like.shape[1]) for _ in range(4)]
    parts = []
    for chunk in edges.chunks:
        size = chunk.edges.stop - chunk.edges.start
        places = (block[:size] for block in blocks)
        parts.append(_Part(chunk.particles, chunk.edges, edges.offsets_within(chunk), *places))
    return parts


def _through_relu(gradient: Tensor, activated: Tensor) -> Tensor:
    """The gradient where `activated` is positive, 0 elsewhere; in place."""
    masked: Tensor = torch.ops.aten.threshold_backward.grad_input(gradient, activated, 0, grad_input=gradient)
    return masked
