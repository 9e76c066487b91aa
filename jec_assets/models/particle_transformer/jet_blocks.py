"""A batch of jets as dense blocks of like multiplicity, so that attention is a few products of matrices.

Belongs here: which particles and pairs a batch has, and the way from rows of them to blocks and back. Does not belong
here: what is computed of them.

Whatever is computed per particle or per pair is computed on rows, one for each that is real. Only attention needs the
particles of a jet side by side, (jets, slots): there a jet is padded to the slots of its block, and no particle attends
to a slot without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch.autograd.function import BackwardCFunction

    class _Context(BackwardCFunction):
        slots: int


# Jets of up to this times as many particles share a block: little padding, and few blocks.
SLOTS_RATIO = 1.2
# Pairs of slots in one block: bounds the memory of attention. On a CPU, and for each of its cores, so few that the
# logits of a block stay in the core's cache; an accelerator takes many at once.
BLOCK_PAIRS = 1 << 15
BLOCK_PAIRS_OF_ACCELERATOR = 1 << 22
# The logit of a slot without particle: its weight is 0 to the last digit, and a number where a jet has no particle.
NEVER = -1e9


class JetBlock:
    """Jets of like multiplicity; real: bool (jets, slots), which slots have a particle.

    Rows of particles are those of the block's jets one after another, rows of pairs those of (i, j) with j <= i:
    (0, 0), (1, 0), (1, 1), (2, 0) and so on, a jet's after another's.
    """

    def __init__(self, real: Tensor) -> None:
        self.real = real
        self._jets, self._slots = real.shape
        self._places = real.flatten().nonzero().squeeze(1)
        lower = (real.unsqueeze(2) & real.unsqueeze(1)).tril()
        self._pair_places = lower.flatten().nonzero().squeeze(1)
        self._mask = torch.where(real, 0.0, NEVER).unsqueeze(1)
        self._pairs = lower.nonzero()

    @property
    def particles(self) -> int:
        """How many there are."""
        return self._places.shape[0]

    @property
    def pair_count(self) -> int:
        """How many pairs there are."""
        return self._pairs.shape[0]

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Rows of the two particles of each pair, int64 (pairs,) each."""
        row = self.real.flatten().cumsum(0).reshape(self.real.shape) - 1
        jet, i, j = self._pairs.unbind(1)
        return row[jet, i], row[jet, j]

    def spread(self, rows: Tensor) -> Tensor:
        """Rows of particles (particles, width) to (jets, slots, width), 0 where there is no particle."""
        dense = rows.new_zeros(self._jets * self._slots, rows.shape[1])
        return dense.index_copy(0, self._places, rows).reshape(self._jets, self._slots, rows.shape[1])

    def collect(self, dense: Tensor) -> Tensor:
        """The inverse of `spread`."""
        collected: Tensor = _Collect.apply(dense.flatten(0, 1), self._places)  # type: ignore[no-untyped-call]
        return collected

    def bias(self, pairs: Tensor) -> Tensor:
        """Numbers per pair and head (heads, pairs) as summands of attention's logits, (heads, jets, slots, slots)."""
        dense = pairs.new_zeros(len(pairs), self._jets * self._slots**2).index_copy(1, self._pair_places, pairs)
        lower = dense.reshape(len(pairs), self._jets, self._slots, self._slots)
        return lower + lower.tril(-1).transpose(2, 3) + self._mask


class _Collect(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, rows: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.slots = rows.shape[0]
        return rows.index_select(0, places)

    @staticmethod
    def backward(ctx: _Context, gradient: Tensor) -> tuple[Tensor, None]:
        # No slot is collected twice, so nothing has to be added up.
        (places,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.slots, gradient.shape[1]).index_copy(0, places, gradient), None


class JetBlocks:
    """The blocks of a batch, in the order of its rows."""

    def __init__(self, reals: Sequence[Tensor]) -> None:
        """From `JetBlock.real` of each block."""
        self.blocks = tuple(map(JetBlock, reals))

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Rows of the two particles of each pair of the batch, int64 (pairs,) each."""
        firsts, seconds, start = [], [], 0
        for block in self.blocks:
            first, second = block.pairs()
            firsts.append(first + start)
            seconds.append(second + start)
            start = start + block.particles
        return torch.cat(firsts), torch.cat(seconds)

    def split(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Rows of particles (particles, width), those of each block."""
        return torch.split(rows, [block.particles for block in self.blocks])

    def biases(self, pairs: Tensor) -> list[Tensor]:
        """`JetBlock.bias` of each block, from (heads, pairs)."""
        parts = torch.split(pairs, [block.pair_count for block in self.blocks], dim=1)
        return [block.bias(part) for block, part in zip(self.blocks, parts, strict=True)]


class ArrangedJets:
    """A batch of packed jets in the order of multiplicity.

    particles: int64 (particles,), the packed batch's rows in arranged order; blocks: of the arranged jets; positions:
    int64 (jets,), where among the arranged jets each jet of the batch stands.
    """

    def __init__(self, offsets: Tensor) -> None:
        starts = offsets.cpu().numpy()
        counts = np.diff(starts)
        order = np.argsort(counts, kind="stable")
        counts = counts[order]
        shifts = starts[:-1][order] - (np.cumsum(counts) - counts)
        device = offsets.device
        limit = BLOCK_PAIRS * torch.get_num_threads() if device.type == "cpu" else BLOCK_PAIRS_OF_ACCELERATOR
        self.particles = torch.from_numpy(np.arange(counts.sum()) + np.repeat(shifts, counts)).to(device)
        self.positions = torch.from_numpy(np.argsort(order)).to(device)
        self.blocks = JetBlocks([torch.from_numpy(real).to(device) for real in _reals(counts, limit)])


def _reals(counts: NDArray[np.int64], limit: int) -> Iterator[NDArray[np.bool_]]:
    """`JetBlock.real` of blocks of jets of rising multiplicities, of at most so many pairs where a jet has no more."""
    first = 0
    while first < len(counts):
        wanted = int(np.searchsorted(counts, counts[first] * SLOTS_RATIO, side="right"))
        slots = counts[wanted - 1]
        last = min(wanted, first + max(1, limit // max(1, slots**2)))
        slots = counts[last - 1]
        yield np.arange(slots) < counts[first:last, None]
        first = last
