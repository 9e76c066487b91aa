from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.evaluation.bins import Interval
from jec_assets.evaluation.grouping import intervals_between
from jec_assets.evaluation.number import Number
from jec_assets.plots.binned import draw_in_bins, frame_bins, in_percent, panels_of, position, shade_biased
from jec_assets.plots.style import new_figure
from jec_assets_tests.plots.figures import points, texts

BINS = intervals_between((20, 50, 100, inf))
NUMBERS = (Number(1.1, 0.1, 90), Number(1.2, 0.1, 70), Number(1.3, 0.4, 49))
BINNED = list(zip(BINS, NUMBERS, strict=True))


def test_points_stand_in_their_bins_side_by_side_and_those_of_few_jets_are_left_out():
    axes = new_figure().subplots()
    drawn = draw_in_bins(axes, {"standard": BINNED, "pfn": BINNED}, logarithmic=True)
    assert drawn == [*NUMBERS[:2], *NUMBERS[:2]]
    found = points(axes)
    assert list(found) == ["Standard correction", "PFN"]
    for one, other, interval in zip(found["Standard correction"], found["PFN"], BINS, strict=False):
        assert interval.low < one[0] < other[0] < interval.high
        assert one[1] == other[1]


def test_positions():
    assert position(Interval("", 10, 1000), 0.5, logarithmic=True) == pytest.approx(100)
    assert position(Interval("", 0, 5), 0.5, logarithmic=False) == 2.5
    assert position(Interval("", 50, inf), 1, logarithmic=False) == pytest.approx(60)


@given(st.floats(1, 1e4), st.floats(1.01, 100), st.floats(0, 1), st.booleans())
def test_a_point_stands_within_its_bin(low: float, width: float, share: float, logarithmic: bool):
    interval = Interval("", low, low * width)
    at = position(interval, share, logarithmic)
    assert at == pytest.approx(min(max(at, interval.low), interval.high))
    assert position(interval, 0, logarithmic) == pytest.approx(interval.low)
    assert position(interval, 1, logarithmic) == pytest.approx(interval.high)


def test_the_axis_ends_behind_the_last_bin_with_enough_jets():
    axes = new_figure().subplots()
    frame_bins(axes, BINNED, logarithmic=False)
    assert axes.get_xlim() == (20, 100)
    frame_bins(axes, BINNED[2:], logarithmic=False)
    assert axes.get_xlim() == (100, 120)


def test_biased_bins_are_shaded_and_named():
    figure = new_figure()
    axes = figure.subplots()
    axes.set_xlim(20, 1000)
    shade_biased(axes)
    (span,) = axes.patches
    assert (span.get_x(), span.get_x() + span.get_width()) == (20, 50)
    assert axes.get_xlim() == (20, 1000)
    assert "selection-biased" in texts(figure)


def test_a_panel_that_is_left_over_is_not_drawn():
    figure = new_figure()
    panels = panels_of(figure, 3, "Momentum")
    assert len(panels) == 3
    assert figure.axes == panels
    assert [axes.get_xlabel() for axes in panels] == ["", "Momentum", "Momentum"]


def test_percent():
    assert in_percent(Number(0.5, 0.1, 3)) == Number(50.0, 10.0, 3)
    assert in_percent(Number(0.5, None, 1, "n = 1")) == Number(50.0, None, 1, "n = 1")
    assert in_percent(Number.missing(0, "no jets")) == Number.missing(0, "no jets")
