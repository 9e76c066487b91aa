"""The kernel that searches nearest neighbors: a block of a jet's particles against all of them, chosen in registers.

Belongs here: what Triton compiles. Does not belong here: when it is launched (`arrangement.py`).
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["particles", "dimensions"])
def nearest(
    positions, offsets, neighbors, degrees, particles, dimensions, k: tl.constexpr, receivers: tl.constexpr,
    slots: tl.constexpr,
):  # fmt: skip
    """Rows of the k nearest others of each particle, nearest first, of equals the first first; and how many there are.

    positions: (dimensions, particles); offsets: (jets + 1,); neighbors: (particles, k); degrees: (particles,).
    Programs: (jets, blocks of `receivers` particles); no jet has more particles than `slots`. Where a particle has
    fewer than k neighbors, what is missing is left unwritten. Squares are summed in the order of dimensions: launched
    without fused multiply-adds, distances in a plane are the same numbers as on a CPU.
    """
    first = tl.load(offsets + tl.program_id(0))
    count = (tl.load(offsets + tl.program_id(0) + 1) - first).to(tl.int32)
    begin = tl.program_id(1) * receivers
    if begin < count:
        receiver = begin + tl.arange(0, receivers)
        slot = tl.arange(0, slots)
        squares = tl.zeros((receivers, slots), tl.float32)
        dimension = positions + first
        for _ in range(dimensions):
            to = tl.load(dimension + receiver, mask=receiver < count, other=0.0)
            of = tl.load(dimension + slot, mask=slot < count, other=0.0)
            difference = to[:, None] - of[None, :]
            squares += difference * difference
            dimension += particles
        # The bits of positive numbers, taken as integers, are ordered as the numbers are: with the slot behind them,
        # no two are equal.
        last = (1 << 62) + tl.zeros((receivers, slots), tl.int64)
        keys = (squares.to(tl.int32, bitcast=True).to(tl.int64) << 16) | slot[None, :]
        keys = tl.where((slot < count)[None, :] & (slot[None, :] != receiver[:, None]), keys, last)
        degree = tl.minimum(count - 1, k)
        row = first + receiver
        tl.store(degrees + row, tl.zeros((receivers,), tl.int32) + degree, mask=receiver < count)
        for rank in range(degree):
            least = tl.min(keys, axis=1)
            tl.store(neighbors + row * k + rank, first + (least & 0xFFFF), mask=receiver < count)
            keys = tl.where(keys == least[:, None], last, keys)
