"""The sum over each jet's particles of a stack of linear layers and ReLUs, with its derivative by hand, for CPUs.

Belongs here: what a PFN computes per particle, and why it is written as it is. Does not belong here: what surrounds it
in the network (`pfn.py`).

The layers are narrow, so moving numbers costs as much as multiplying them. Three things keep that low; none changes a
result beyond rounding.

- A chunk of jets, small enough for a core's cache, goes through all layers and is summed before the next chunk does.
- Bias, ReLU and their derivatives are taken in place.
- Derivatives by weights are added up over chunks; those of a chunk's layers share two blocks of memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from jec_assets.models.segments import plain_segment_sum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.autograd.function import BackwardCFunction

    class _Context(BackwardCFunction):
        layers: int


# Numbers in a chunk of one layer, (particles, units): the few that are in use at once fit a core's cache.
CHUNK_NUMBERS = 1 << 17


def particle_sums(rows: Tensor, offsets: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> Tensor:
    """The sum over each jet's particles of the last layer's units, (jets, units); 0 for a jet without particles.

    rows: (particles, features); offsets: int64 (jets + 1,); weights: (outputs, inputs) of each layer, a ReLU follows on
    every one; biases: (outputs,). All on the CPU. The result can be differentiated once.
    """
    if torch.is_grad_enabled():
        sums: Tensor = _ParticleSums.apply(rows, offsets, *weights, *biases)  # type: ignore[no-untyped-call]
        return sums
    chunks = _chunks(offsets, len(weights[-1]))
    blocks = [rows.new_empty(_longest(chunks), len(weight)) for weight in weights]
    sums = rows.new_empty(len(offsets) - 1, len(weights[-1]))
    for chunk in chunks:
        places = [block[: len(chunk)] for block in blocks]
        _sum_chunk(chunk, rows, list(zip(weights, biases, places, strict=True)), sums)
    return sums


@dataclass(frozen=True)
class _Chunk:
    """Consecutive jets and their particles, as slices, with offsets that count from the chunk's first particle."""

    jets: slice
    particles: slice
    offsets: Tensor

    def __len__(self) -> int:
        return int(self.particles.stop - self.particles.start)


class _ParticleSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, rows: Tensor, offsets: Tensor, *parameters: Tensor) -> Tensor:
        ctx.layers = len(parameters) // 2
        weights, biases = parameters[: ctx.layers], parameters[ctx.layers :]
        results = [rows.new_empty(len(rows), len(weight)) for weight in weights]
        ctx.save_for_backward(offsets, *weights, rows, *results)
        sums = rows.new_empty(len(offsets) - 1, len(weights[-1]))
        for chunk in _chunks(offsets, len(weights[-1])):
            places = [result[chunk.particles] for result in results]
            _sum_chunk(chunk, rows, list(zip(weights, biases, places, strict=True)), sums)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
        offsets, weights = ctx.saved_tensors[0], ctx.saved_tensors[1 : ctx.layers + 1]
        values = ctx.saved_tensors[ctx.layers + 1 :]
        by_weights = [torch.zeros_like(weight) for weight in weights]
        by_biases = [weight.new_zeros(len(weight)) for weight in weights]
        by_rows = torch.empty_like(values[0]) if ctx.needs_input_grad[0] else None
        chunks = _chunks(offsets, len(weights[-1]))
        ones = gradient.new_ones(_longest(chunks))
        blocks = [ones.new_empty(len(ones), max(len(weight) for weight in weights)) for _ in range(2)]
        jets = torch.arange(len(gradient)).repeat_interleave(offsets.diff())
        for chunk in chunks:
            above = gradient.index_select(0, jets[chunk.particles])
            for layer in reversed(range(ctx.layers)):
                above = _through_relu(above, values[layer + 1][chunk.particles])
                by_weights[layer].addmm_(above.T, values[layer][chunk.particles])
                by_biases[layer].addmv_(above.T, ones[: len(chunk)])
                if layer:
                    place = blocks[layer % 2].flatten()[: len(chunk) * weights[layer].shape[1]]
                    above = torch.mm(above, weights[layer], out=place.view(len(chunk), weights[layer].shape[1]))
            if by_rows is not None:
                torch.mm(above, weights[0], out=by_rows[chunk.particles])
        return by_rows, None, *by_weights, *by_biases


def _sum_chunk(chunk: _Chunk, rows: Tensor, layers: list[tuple[Tensor, Tensor, Tensor]], sums: Tensor) -> None:
    """Compute a chunk's layers, each given as weight, bias and the place for its result, and its jets' sums."""
    values = rows[chunk.particles]
    for weight, bias, place in layers:
        values = torch.mm(values, weight.T, out=place).add_(bias).relu_()
    sums[chunk.jets] = plain_segment_sum(values, chunk.offsets)


def _chunks(offsets: Tensor, units: int) -> list[_Chunk]:
    starts = offsets.numpy()
    # Each core has a cache to stay in.
    size = CHUNK_NUMBERS * torch.get_num_threads() // units + 1
    cuts = np.searchsorted(starts, np.arange(size, starts[-1], size))
    bounds = np.unique(np.concatenate([[0], cuts, [len(starts) - 1]])).tolist()
    return [_chunk(offsets, first, last) for first, last in pairwise(bounds)]


def _chunk(offsets: Tensor, first: int, last: int) -> _Chunk:
    start, stop = int(offsets[first]), int(offsets[last])
    return _Chunk(slice(first, last), slice(start, stop), offsets[first : last + 1] - start)


def _longest(chunks: Sequence[_Chunk]) -> int:
    return max((len(chunk) for chunk in chunks), default=0)


def _through_relu(gradient: Tensor, activated: Tensor) -> Tensor:
    """The gradient where `activated` is positive, 0 elsewhere; in place."""
    masked: Tensor = torch.ops.aten.threshold_backward.grad_input(gradient, activated, 0, grad_input=gradient)
    return masked
