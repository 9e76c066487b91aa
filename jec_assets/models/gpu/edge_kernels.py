"""The kernels of EdgeConv's layers on edges: gathering, normalization, ReLU, products and sums in one pass each.

Belongs here: what Triton compiles. Does not belong here: when it is launched, and why (`edges.py`).

y is a layer's input to its normalization, z = (y - mean) / sigma, o = scale y + shift, a = ReLU(o). A layer's `norm` is
its mean, 1 / sigma, scale and shift, (4, units). y is own + other where it is the `first` layer's, gathered anew every
time; otherwise it is stored, in rows of `width` numbers, those beyond `units` 0. Products take the stored type.

A program takes the edges of `tile` particles, `slots` places for each (a power of two, at least k), and `columns` units
at a time. Edge s of particle p is row p k + s of what is stored. All kernels but `settle` begin with the same five
arguments: own and other (particles, units), neighbors (particles, k), degrees (particles,), particles.
"""

from __future__ import annotations

import triton
import triton.language as tl

MEAN = tl.constexpr(0)
INVERSE_SIGMA = tl.constexpr(1)
SCALE = tl.constexpr(2)
SHIFT = tl.constexpr(3)


@triton.jit
def _places(number, degrees, particles, k: tl.constexpr, slots: tl.constexpr, tile: tl.constexpr):
    """Particle and row of each place of a tile, and whether there is such an edge."""
    place = tl.arange(0, slots * tile)
    particle = number * tile + place // slots
    degree = tl.load(degrees + particle, mask=particle < particles, other=0)
    return particle, particle.to(tl.int64) * k + place % slots, place % slots < degree


@triton.jit
def _stored(stored, row, exists, column, width: tl.constexpr):
    """What is stored of some edges and columns, 0 outside."""
    inside = exists[:, None] & (column < width)[None, :]
    return tl.load(stored + row[:, None] * width + column[None, :], mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _store(stored, values, row, exists, column, width: tl.constexpr):
    inside = exists[:, None] & (column < width)[None, :]
    tl.store(stored + row[:, None] * width + column[None, :], values.to(stored.dtype.element_ty), mask=inside)


@triton.jit
def _inputs(
    own, other, neighbors, stored, particle, row, exists, column, first: tl.constexpr, units: tl.constexpr,
    width: tl.constexpr,
):  # fmt: skip
    """A layer's y of some edges and columns, 0 outside."""
    if first:
        inside = exists[:, None] & (column < units)[None, :]
        neighbor = tl.load(neighbors + row, mask=exists, other=0)
        y = tl.load(own + particle[:, None] * units + column[None, :], mask=inside, other=0.0)
        y += tl.load(other + neighbor[:, None] * units + column[None, :], mask=inside, other=0.0)
    else:
        y = _stored(stored, row, exists, column, width)
    return y


@triton.jit
def _constant(norm, index: tl.constexpr, column, units: tl.constexpr):
    return tl.load(norm + index * units + column, mask=column < units, other=0.0)[None, :]


@triton.jit
def _normalized(y, norm, column, units: tl.constexpr):
    return y * _constant(norm, SCALE, column, units) + _constant(norm, SHIFT, column, units)


@triton.jit
def _standardized(y, norm, column, units: tl.constexpr):
    return (y - _constant(norm, MEAN, column, units)) * _constant(norm, INVERSE_SIGMA, column, units)


@triton.jit
def _store_moments(y, exists, sums, number, column, units: tl.constexpr):
    """Sums of y and of y^2 that don't cancel: of what is left beside the tile's mean, joined in double precision."""
    count = tl.sum(exists.to(tl.float32), axis=0)
    mean = tl.sum(tl.where(exists[:, None], y, 0.0), axis=0) / tl.maximum(count, 1.0)
    rest = tl.where(exists[:, None], y - mean[None, :], 0.0)
    left, squares = tl.sum(rest, axis=0).to(tl.float64), tl.sum(rest * rest, axis=0).to(tl.float64)
    mean, count = mean.to(tl.float64), count.to(tl.float64)
    tl.store(sums + 2 * number * units + column, count * mean + left, mask=column < units)
    tl.store(sums + (2 * number + 1) * units + column, squares + mean * (2 * left + count * mean), mask=column < units)


@triton.jit(do_not_specialize=["particles"])
def first_moments(
    own, other, neighbors, degrees, particles, sums, units: tl.constexpr, width: tl.constexpr, k: tl.constexpr,
    slots: tl.constexpr, tile: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    """Sums of the first layer's y and of y^2, (tiles, 2, units)."""
    number = tl.program_id(0)
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    particle, row, exists = _places(number, degrees, particles, k, slots, tile)
    y = _inputs(own, other, neighbors, own, particle, row, exists, column, True, units, width)
    _store_moments(y, exists, sums, number, column, units)


@triton.jit
def settle(sums, edges, gamma, beta, epsilon, moments, norm, units: tl.constexpr, columns: tl.constexpr):
    """From sums of y and y^2 over all edges, (2, units), to mean and variance, (2, units), and to `norm`."""
    column = tl.arange(0, columns)
    inside = column < units
    mean = tl.load(sums + column, mask=inside, other=0.0) / edges
    variance = tl.maximum(tl.load(sums + units + column, mask=inside, other=0.0) / edges - mean * mean, 0.0)
    mean, variance = mean.to(tl.float32), variance.to(tl.float32)
    inverse_sigma = 1.0 / tl.sqrt(variance + epsilon)
    scale = tl.load(gamma + column, mask=inside, other=0.0) * inverse_sigma
    shift = tl.load(beta + column, mask=inside, other=0.0) - mean * scale
    tl.store(moments + column, mean, mask=inside)
    tl.store(moments + units + column, variance, mask=inside)
    tl.store(norm + MEAN * units + column, mean, mask=inside)
    tl.store(norm + INVERSE_SIGMA * units + column, inverse_sigma, mask=inside)
    tl.store(norm + SCALE * units + column, scale, mask=inside)
    tl.store(norm + SHIFT * units + column, shift, mask=inside)


@triton.jit(do_not_specialize=["particles"])
def climb(
    own, other, neighbors, degrees, particles, below, norm, weight, above, sums, first: tl.constexpr,
    training: tl.constexpr, precision: tl.constexpr, units: tl.constexpr, width: tl.constexpr, k: tl.constexpr,
    slots: tl.constexpr, tile: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    """A layer's y from the one below, `above`; in training also its sums and those of y^2, (tiles, 2, units)."""
    number = tl.program_id(0)
    target = tl.program_id(1) * columns + tl.arange(0, columns)
    particle, row, exists = _places(number, degrees, particles, k, slots, tile)
    operand = above.dtype.element_ty
    total = tl.zeros((slots * tile, columns), tl.float32)
    for start in range(0, units, columns):
        column = start + tl.arange(0, columns)
        y = _inputs(own, other, neighbors, below, particle, row, exists, column, first, units, width)
        active = tl.maximum(_normalized(y, norm, column, units), 0.0)
        inside = (column < units)[:, None] & (target < units)[None, :]
        factor = tl.load(weight + target[None, :] * units + column[:, None], mask=inside, other=0.0)
        total = tl.dot(active.to(operand), factor.to(operand), total, input_precision=precision)
    _store(above, total, row, exists, target, width)
    if training:
        _store_moments(total, exists, sums, number, target, units)


@triton.jit(do_not_specialize=["particles"])
def mean_over_edges(
    own, other, neighbors, degrees, particles, stored, norm, mean, active, along, first: tl.constexpr,
    training: tl.constexpr, units: tl.constexpr, width: tl.constexpr, k: tl.constexpr, slots: tl.constexpr,
    tile: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    """The mean of a over each particle's edges; in training also how many are active, and the sum of their z."""
    number = tl.program_id(0)
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    particle, row, exists = _places(number, degrees, particles, k, slots, tile)
    y = _inputs(own, other, neighbors, stored, particle, row, exists, column, first, units, width)
    o = _normalized(y, norm, column, units)
    passes = exists[:, None] & (o > 0)
    receiver = number * tile + tl.arange(0, tile)
    degree = tl.maximum(tl.load(degrees + receiver, mask=receiver < particles, other=1), 1).to(tl.float32)
    place = receiver[:, None] * units + column[None, :]
    inside = (receiver < particles)[:, None] & (column < units)[None, :]
    total = tl.sum(tl.reshape(tl.where(passes, o, 0.0), (tile, slots, columns)), axis=1)
    tl.store(mean + place, total / degree[:, None], mask=inside)
    if training:
        total = tl.sum(tl.reshape(passes.to(tl.float32), (tile, slots, columns)), axis=1)
        tl.store(active + place, total, mask=inside)
        z = tl.where(passes, _standardized(y, norm, column, units), 0.0)
        tl.store(along + place, tl.sum(tl.reshape(z, (tile, slots, columns)), axis=1), mask=inside)


@triton.jit
def _step(
    y, gradient, per_edge, norm, sums, edges, particle, row, exists, column, top: tl.constexpr, units: tl.constexpr,
    width: tl.constexpr,
):  # fmt: skip
    """dL/dy = scale (dL/do - <dL/do> - z <dL/do z>), 0 outside; `sums`: of dL/do and dL/do z over all edges.

    The top layer's dL/do is the particle's, where o is positive; other layers' is stored.
    """
    inside = exists[:, None] & (column < units)[None, :]
    if top:
        above = tl.load(per_edge + particle[:, None] * units + column[None, :], mask=inside, other=0.0)
        above = tl.where(_normalized(y, norm, column, units) > 0, above, 0.0)
    else:
        above = _stored(gradient, row, exists, column, width)
    offset = (_constant(sums, 0, column, units) / edges).to(tl.float32)
    slope = (_constant(sums, 1, column, units) / edges).to(tl.float32)
    step = above - offset - _standardized(y, norm, column, units) * slope
    return tl.where(inside, step * _constant(norm, SCALE, column, units), 0.0)


@triton.jit(do_not_specialize=["particles"])
def weight_gradient(
    own, other, neighbors, degrees, particles, stored, gradient, per_edge, norm, sums, edges, below, norm_below,
    products, top: tl.constexpr, first: tl.constexpr, precision: tl.constexpr, units: tl.constexpr,
    width: tl.constexpr, k: tl.constexpr, slots: tl.constexpr, tile: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    """Sums of dL/dy times a of the layer below, (programs, units, units): each of every so many-th tile."""
    target = tl.program_id(1) * columns + tl.arange(0, columns)
    column = tl.program_id(2) * columns + tl.arange(0, columns)
    operand = stored.dtype.element_ty
    total = tl.zeros((columns, columns), tl.float32)
    for number in range(tl.program_id(0), tl.cdiv(particles, tile), tl.num_programs(0)):
        particle, row, exists = _places(number, degrees, particles, k, slots, tile)
        y = _stored(stored, row, exists, target, width)
        step = _step(y, gradient, per_edge, norm, sums, edges, particle, row, exists, target, top, units, width)
        y = _inputs(own, other, neighbors, below, particle, row, exists, column, first, units, width)
        active = tl.maximum(_normalized(y, norm_below, column, units), 0.0)
        total = tl.dot(tl.trans(step.to(operand)), active.to(operand), total, input_precision=precision)
    inside = (target < units)[:, None] & (column < units)[None, :]
    place = (tl.program_id(0) * units + target[:, None]) * units + column[None, :]
    tl.store(products + place, total, mask=inside)


@triton.jit(do_not_specialize=["particles"])
def descend(
    own, other, neighbors, degrees, particles, stored, gradient, per_edge, norm, sums, edges, below, norm_below, weight,
    gradient_below, sums_below, top: tl.constexpr, first: tl.constexpr, precision: tl.constexpr, units: tl.constexpr,
    width: tl.constexpr, k: tl.constexpr, slots: tl.constexpr, tile: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    """dL/do of the layer below, and its sums and those of dL/do z, (tiles, 2, units)."""
    number = tl.program_id(0)
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    particle, row, exists = _places(number, degrees, particles, k, slots, tile)
    operand = stored.dtype.element_ty
    total = tl.zeros((slots * tile, columns), tl.float32)
    for start in range(0, units, columns):
        target = start + tl.arange(0, columns)
        y = _stored(stored, row, exists, target, width)
        step = _step(y, gradient, per_edge, norm, sums, edges, particle, row, exists, target, top, units, width)
        inside = (target < units)[:, None] & (column < units)[None, :]
        factor = tl.load(weight + target[:, None] * units + column[None, :], mask=inside, other=0.0)
        total = tl.dot(step.to(operand), factor.to(operand), total, input_precision=precision)
    y = _inputs(own, other, neighbors, below, particle, row, exists, column, first, units, width)
    total = tl.where(exists[:, None] & (_normalized(y, norm_below, column, units) > 0), total, 0.0)
    _store(gradient_below, total, row, exists, column, width)
    along = tl.sum(total * _standardized(y, norm_below, column, units), axis=0)
    tl.store(sums_below + 2 * number * units + column, tl.sum(total, axis=0).to(tl.float64), mask=column < units)
    tl.store(sums_below + (2 * number + 1) * units + column, along.to(tl.float64), mask=column < units)


@triton.jit(do_not_specialize=["particles"])
def to_particles(
    own, other, neighbors, degrees, particles, stored, gradient, per_edge, norm, sums, edges, own_gradient,
    other_gradient, top: tl.constexpr, atomic: tl.constexpr, units: tl.constexpr, width: tl.constexpr,
    k: tl.constexpr, slots: tl.constexpr, tile: tl.constexpr, columns: tl.constexpr,
):  # fmt: skip
    """From the first layer's dL/dy to own and other.

    other_gradient: (particles, units) of zeros to add to; if not `atomic`, (particles k, units) to store dL/dy in.
    """
    number = tl.program_id(0)
    column = tl.program_id(1) * columns + tl.arange(0, columns)
    particle, row, exists = _places(number, degrees, particles, k, slots, tile)
    y = _inputs(own, other, neighbors, stored, particle, row, exists, column, True, units, width)
    step = _step(y, gradient, per_edge, norm, sums, edges, particle, row, exists, column, top, units, width)
    if atomic:
        neighbor = tl.load(neighbors + row, mask=exists, other=0)
        inside = exists[:, None] & (column < units)[None, :]
        tl.atomic_add(other_gradient + neighbor[:, None] * units + column[None, :], step, mask=inside, sem="relaxed")
    else:
        _store(other_gradient, step, row, exists, column, units)
    receiver = number * tile + tl.arange(0, tile)
    inside = (receiver < particles)[:, None] & (column < units)[None, :]
    total = tl.sum(tl.reshape(step, (tile, slots, columns)), axis=1)
    tl.store(own_gradient + receiver[:, None] * units + column[None, :], total, mask=inside)
