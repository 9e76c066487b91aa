"""The order in which a training sees its jets, and where batches begin and end.

Belongs here: indices. Does not belong here: jets, tensors, memory (`loader.py`).

An epoch shuffles globally in bounded memory: blocks of consecutive jets are permuted over the whole data set, runs of
many blocks make a window, and the jets of a window are permuted. A data set that fits into one window is thereby
permuted as a whole; of a larger one, whose jets stand in random order (`jec_assets.jets.cache`), a window is a fair
sample. Everything depends on seed, epoch and window size alone, so that an epoch can be repeated, resumed at any step
or divided among processes without those that came before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.training.faults import TooFewJetsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# Consecutive jets that stay together until their window is permuted: half a megabyte of particles, so that reading a
# block from a disk costs its bytes and not its place.
BLOCK_JETS = 256


@dataclass(frozen=True)
class EpochOrder:
    """The order of one epoch's jets.

    jets: how many there are; window_blocks: how many blocks of them a window has at most
    sampling: (jets,), the probability with which each is drawn, anew each epoch; None draws every jet
    """

    jets: int
    window_blocks: int
    seed: int
    epoch: int
    sampling: NDArray[np.floating] | None = None

    def __len__(self) -> int:
        """How many jets are drawn."""
        return int(self._ends[-1])

    def blocks(self, window: int) -> NDArray[np.int64]:
        """Where the blocks of a window begin, sorted; int64 (blocks,). Each has BLOCK_JETS jets, the last one fewer."""
        bounds = self._window_bounds
        return BLOCK_JETS * np.sort(self._permuted_blocks[bounds[window] : bounds[window + 1]])

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return len(self._window_bounds) - 1

    def window(self, window: int) -> NDArray[np.int64]:
        """The jets of a window that are drawn, in the order in which they are seen; int64."""
        generator = self._generator(window)
        return generator.permutation(self._drawn(window, generator))

    def batches(self, bounds: NDArray[np.int64], first: int = 0) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """The batches from number `first` on, each with the last window that it has jets of.

        `bounds` as of `batch_bounds`; batches are consecutive, so that one may begin in a window and end in another.
        """
        window = int(np.searchsorted(self._ends, bounds[first], side="right"))
        if window == self.windows:
            return
        before = int(self._ends[window - 1]) if window else 0
        rest = self.window(window)[bounds[first] - before :]
        for size in np.diff(bounds[first:]).tolist():
            batch, rest = rest[:size], rest[size:]
            while len(batch) < size:
                window += 1
                rest = self.window(window)
                missing = size - len(batch)
                batch, rest = np.concatenate([batch, rest[:missing]]), rest[missing:]
            yield window, batch

    def _generator(self, window: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.epoch, window + 1])  # a last 0 would be the blocks' own

    def _drawn(self, window: int, generator: np.random.Generator) -> NDArray[np.int64]:
        jets = (self.blocks(window)[:, None] + np.arange(BLOCK_JETS)).ravel()
        jets = jets[: np.searchsorted(jets, self.jets)]
        if self.sampling is None:
            return jets
        drawn: NDArray[np.int64] = jets[generator.random(len(jets)) < self.sampling[jets]]
        return drawn

    @cached_property
    def _permuted_blocks(self) -> NDArray[np.int64]:
        return np.random.default_rng([self.seed, self.epoch]).permutation(-(-self.jets // BLOCK_JETS))

    @cached_property
    def _window_bounds(self) -> NDArray[np.int64]:
        """Windows as ranges of the permuted blocks, as equal as they can be."""
        blocks = len(self._permuted_blocks)
        windows = max(1, -(-blocks // self.window_blocks))
        return np.arange(windows + 1) * blocks // windows

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        """How many jets are drawn up to the end of each window."""
        return np.cumsum([len(self._drawn(number, self._generator(number))) for number in range(self.windows)])


def batch_bounds(jets: int, batch_size: int, processes: int = 1) -> NDArray[np.int64]:
    """Where batches begin and end: batch i is bounds[i] to bounds[i + 1] (half-open); int64 (batches + 1,).

    No jet is left out, and the sizes differ by one at most: a short last batch would weigh its jets more than others,
    and a batch of one jet with one particle has no variance for BatchNorm. So each batch has at most `batch_size`
    jets, but always at least two and one for each process, and the remainder that cannot make another such batch.

    Raises TooFewJetsError where there are not enough jets for one batch.
    """
    least = max(2, processes)
    if jets < least:
        raise TooFewJetsError(
            f"training needs at least {_number(least)} jets{_of(processes)}, got {jets}: "
            "add files, loosen the selection or draw more of them"
        )
    batches = min(-(-jets // batch_size), jets // least)
    return np.arange(batches + 1) * jets // batches


def _number(jets: int) -> str:
    return "two" if jets == 2 else str(jets)


def _of(processes: int) -> str:
    return f", one for each of {processes} processes" if processes > 2 else ""
