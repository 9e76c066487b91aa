"""Jets in many bins at once: their numbers and their rows.

Belongs here: finding the jets of all bins of a quantity by one sort, in place of a look at all jets for each bin. Does
not belong here: the paper's groups (`bins.py`) and what is computed from the jets of a bin.
"""

from __future__ import annotations

from itertools import pairwise
from math import isinf
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bins import ALL_FLAVORS, FLAVORS, REGIONS, Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

OUTSIDE = -1
REGION_EDGES = (REGIONS[0].low, *(region.high for region in REGIONS))


def intervals_between(edges: Sequence[float]) -> tuple[Interval, ...]:
    """The intervals between consecutive rising edges, named `0.8-1.3`, and `>1000` where one has no end."""
    return tuple(
        Interval(f">{low:g}" if isinf(high) else f"{low:g}-{high:g}", float(low), float(high))
        for low, high in pairwise(edges)
    )


def bin_numbers(values: NDArray[np.floating], edges: Sequence[float]) -> NDArray[np.int64]:
    """The bin of each value, half-open, or OUTSIDE; same shape."""
    numbers = np.searchsorted(edges, values, side="right") - 1
    return np.where(numbers < len(edges) - 1, numbers, OUTSIDE)


def rows_of_bins(numbers: NDArray[np.int64], bins: int) -> list[NDArray[np.intp]]:
    """Which rows have each of the numbers 0 to bins - 1, rising; those with other numbers are in none."""
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(bins + 1))
    return [order[start:stop] for start, stop in pairwise(starts)]


def rows_of_cells(
    first: NDArray[np.int64], second: NDArray[np.int64], shape: tuple[int, int]
) -> list[list[NDArray[np.intp]]]:
    """Which rows have each pair of numbers: `[i][j]` those with first = i and second = j; shape: how many of both."""
    inside = (first != OUTSIDE) & (second != OUTSIDE)
    rows = rows_of_bins(np.where(inside, first * shape[1] + second, OUTSIDE), shape[0] * shape[1])
    return [rows[start : start + shape[1]] for start in range(0, len(rows), shape[1])]


def rows_of_flavors(flavor: NDArray[np.int32], rows: NDArray[np.intp]) -> dict[str, NDArray[np.intp]]:
    """All of these rows under ALL_FLAVORS, and those of each flavor under its name; flavor is (jets,)."""
    of_rows = flavor[rows]
    return {ALL_FLAVORS: rows, **{name: rows[of_rows == code] for name, code in FLAVORS.items()}}


def part(values: NDArray[np.float64] | None, rows: NDArray[np.intp]) -> NDArray[np.float64] | None:
    """These rows of something that may not be there, such as weights."""
    return None if values is None else values[rows]
