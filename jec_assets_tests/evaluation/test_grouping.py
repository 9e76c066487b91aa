from __future__ import annotations

from math import inf

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jec_assets.evaluation.grouping import (
    OUTSIDE,
    bin_numbers,
    intervals_between,
    rows_of_bins,
    rows_of_cells,
    rows_of_flavors,
)

EDGES = (0.0, 0.8, 1.3, inf)


def test_intervals_carry_their_edges_as_names():
    assert [each.name for each in intervals_between(EDGES)] == ["0-0.8", "0.8-1.3", ">1.3"]


def test_bins_are_half_open_and_the_rest_is_outside():
    values = np.array([-0.1, 0.0, 0.79, 0.8, 1.3, 99.0, np.nan])
    np.testing.assert_array_equal(bin_numbers(values, EDGES), [OUTSIDE, 0, 0, 1, 2, 2, OUTSIDE])
    np.testing.assert_array_equal(bin_numbers(values, EDGES[:3]), [OUTSIDE, 0, 0, 1, OUTSIDE, OUTSIDE, OUTSIDE])


@settings(deadline=None)
@given(arrays(np.float64, st.integers(0, 60), elements=st.floats(-1, 3)))
def test_rows_are_those_that_masks_would_find(values: np.ndarray):
    intervals = intervals_between(EDGES)
    rows = rows_of_bins(bin_numbers(values, EDGES), len(intervals))
    for interval, found in zip(intervals, rows, strict=True):
        np.testing.assert_array_equal(found, np.flatnonzero(interval.contains(values)))


@settings(deadline=None)
@given(
    arrays(np.int64, 40, elements=st.integers(OUTSIDE, 2)),
    arrays(np.int64, 40, elements=st.integers(OUTSIDE, 1)),
)
def test_cells_are_pairs_of_numbers(first: np.ndarray, second: np.ndarray):
    cells = rows_of_cells(first, second, (3, 2))
    for i in range(3):
        for j in range(2):
            expected = np.flatnonzero((first == i) & (second == j))
            np.testing.assert_array_equal(cells[i][j], expected)


def test_flavors_of_some_rows():
    rows = rows_of_flavors(np.array([21, 2, 0, 21, 5]), np.array([0, 1, 2, 3]))
    assert {name: list(found) for name, found in rows.items() if len(found)} == {
        "all": [0, 1, 2, 3],
        "u": [1],
        "g": [0, 3],
    }
