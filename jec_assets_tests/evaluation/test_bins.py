from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from jec_assets.evaluation.bins import FLAVORS, GEN_PT_INTERVALS, INCLUSIVE, REGIONS, RESOLUTION_EDGES, bins_between


def test_intervals_are_half_open():
    barrel, endcap = REGIONS
    values = np.array([0.0, 1.2999, 1.3, 2.4999, 2.5])
    assert barrel.contains(values).tolist() == [True, True, False, False, False]
    assert endcap.contains(values).tolist() == [False, False, True, True, False]


def test_every_jet_above_30_gev_is_in_exactly_one_interval():
    values = np.array([29.99, 30.0, 99.99, 100.0, 300.0, 999.0, 1000.0, 6500.0])
    hits = np.sum([interval.contains(values) for interval in GEN_PT_INTERVALS], axis=0)
    assert hits.tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
    assert INCLUSIVE.contains(values).tolist() == [False] + 7 * [True]


def test_bins_of_figure_10():
    bins = bins_between(RESOLUTION_EDGES)
    assert len(bins) == 19
    assert (bins[0].low, bins[-1].high) == (20.0, pytest.approx(3000.0))
    assert bins[0].name == "20-26"
    assert all(left.high == right.low for left, right in pairwise(bins))


def test_flavors_are_those_of_equation_2():
    assert list(FLAVORS.items()) == [("u", 2), ("d", 1), ("s", 3), ("c", 4), ("b", 5), ("g", 21)]
