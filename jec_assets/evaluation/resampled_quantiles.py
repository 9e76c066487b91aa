"""Quantiles of all resamples of some jets at once.

Belongs here: finding the two jets between which a quantile of each resample lies, without writing resamples out. Does
not belong here: what a weighted quantile is and why resamples are drawn (`bootstrap.py`).

The jets are sorted once, for all resamples, and cut into blocks. What a block weighs in each resample is one product;
sums of these say in which block a quantile lies, and only that block is looked at jet by jet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 64  # jets: then looking for blocks and looking into them take about as long for a million jets


@dataclass(frozen=True)
class SortedJets:
    """Jets in the order of their values, in blocks filled up with jets that occur in no resample.

    values, weights: float64 (blocks, BLOCK); counts: how often each jet occurs, integers (blocks, BLOCK, rows);
    ends: float64 (1 + blocks, rows), what all jets before a block weigh in a resample, and all jets at the end
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    counts: NDArray[np.integer]
    ends: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64], weights: NDArray[np.float64], draws: NDArray[np.integer]) -> SortedJets:
        """Sort values and weights (jets,) and draws (rows, jets); jets without weight are left out."""
        order = np.argsort(values, kind="stable")
        if not weights.all():
            order = order[weights[order] > 0]
        blocks = -(-len(order) // BLOCK)
        counts = np.zeros((blocks * BLOCK, len(draws)), draws.dtype)
        np.take(draws.T, order, axis=0, out=counts[: len(order)], mode="clip")  # the default mode would copy
        counts = counts.reshape(blocks, BLOCK, len(draws))
        in_blocks = _in_blocks(weights[order])
        ends = np.zeros((1 + blocks, len(draws)))
        np.cumsum(np.einsum("bj,bjr->br", in_blocks, counts), axis=0, out=ends[1:])
        return cls(_in_blocks(values[order]), in_blocks, counts, ends)

    def quantiles(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """The quantiles of each resample, (rows, probabilities); NaN in one without jets."""
        result = np.full((len(self.ends.T), len(probabilities)), np.nan)
        rows = np.flatnonzero(self.ends[-1])
        if len(rows) == 0:
            return result
        start, stop = self._first_and_last_middle(rows)
        places = start[:, None] + probabilities * (stop - start)[:, None]
        repeated = np.repeat(rows, len(probabilities))
        result[rows] = self._at(repeated, places.ravel()).reshape(places.shape)
        return result

    def _first_and_last_middle(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where the middle of the first and of the last jet of these resamples lie, each (rows,)."""
        total = self.ends[-1, rows]
        first = np.count_nonzero(self.ends[1:, rows] <= 0, axis=0)
        last = np.count_nonzero(self.ends[1:, rows] < total, axis=0)
        in_first = np.argmax(self.counts[first, :, rows] > 0, axis=-1)
        in_last = BLOCK - 1 - np.argmax(self.counts[last, ::-1, rows] > 0, axis=-1)
        return self.weights[first, in_first] / 2, total - self.weights[last, in_last] / 2

    def _at(self, rows: NDArray[np.intp], places: NDArray[np.float64]) -> NDArray[np.float64]:
        """The value at a place in a resample: rows and places are (queries,), and so is the result.

        A place is what all jets before it weigh; it lies within the resample.
        """
        blocks, before = self._window(rows, places)
        counts = self.counts[blocks, :, rows[:, None]].astype(np.float64)
        counts[:, 1:][blocks[:, 1:] == blocks[:, :-1]] = 0  # a block that stands in for another one has been here
        values, weights, counts = (
            each.reshape(len(rows), -1) for each in (self.values[blocks], self.weights[blocks], counts)
        )
        ends = before[:, None] + np.cumsum(counts * weights, axis=-1)
        last_middles = np.where(counts > 0, ends - weights / 2, -np.inf)  # of the copies of a jet
        left, right = _neighbors(counts > 0, last_middles >= places[:, None])
        query = np.arange(len(rows))
        low = last_middles[query, left]
        high = ends[query, right] - (counts[query, right] - 0.5) * weights[query, right]
        share = np.divide(places - low, high - low, out=np.zeros(len(rows)), where=(high > low) & (left < right))
        below, above = values[query, left], values[query, right]
        return np.asarray(below + (above - below) * share.clip(0, 1))

    def _window(
        self, rows: NDArray[np.intp], places: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The block of each place between the nearest blocks with jets of the resample, and what lies before them.

        Blocks (queries, 3), their jets' weight before the first (queries,). Where there is no such block before or
        after, the block itself stands in its place.
        """
        ends = self.ends[1:, rows]
        block = np.minimum(np.count_nonzero(ends < places, axis=0), np.count_nonzero(ends < ends[-1], axis=0))
        behind, through = self.ends[block, rows], ends[block, np.arange(len(rows))]
        previous = np.where(behind > 0, np.count_nonzero(ends < behind, axis=0), block)
        following = np.where(through < ends[-1], np.count_nonzero(ends <= through, axis=0), block)
        return np.stack([previous, block, following], axis=-1), self.ends[previous, rows]


def _neighbors(present: NDArray[np.bool_], reached: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The last jet present before that place is reached, and the first at or after it; both (queries,).

    present, reached: (queries, jets). Where there is no such jet before (after), it is the first (last) one present.
    """
    positions = np.where(present, np.arange(present.shape[-1]), -1)
    right = np.where(reached.any(axis=-1), np.argmax(reached, axis=-1), positions.max(axis=-1))
    left = np.where(np.arange(present.shape[-1]) < right[:, None], positions, -1).max(axis=-1)
    return np.where(left < 0, right, left), right


def _in_blocks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.pad(values, (0, -len(values) % BLOCK)).reshape(-1, BLOCK)
