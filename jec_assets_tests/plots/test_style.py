from __future__ import annotations

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.evaluation.bins import GEN_PT_INTERVALS, REGIONS
from jec_assets.evaluation.number import Number
from jec_assets.models.families import FAMILIES, UnknownFamilyError
from jec_assets.plots.style import (
    appearance,
    cms_style,
    draw_numbers,
    ends,
    interval_text,
    legend_below,
    new_figure,
    readable_log_axis,
    region_text,
    room,
)
from jec_assets_tests.plots.figures import points


def test_every_correction_looks_different():
    looks = [appearance(name) for name in ("standard", "constant", "kinematics", *FAMILIES)]
    assert len({look.title for look in looks}) == len(looks)
    assert len({(look.color, look.marker) for look in looks}) == len(looks)
    assert appearance("particle_net").title == "ParticleNet"
    with pytest.raises(UnknownFamilyError, match="no family 'nothing'"):
        appearance("nothing")


def test_settings_of_matplotlib_stay_as_they_were():
    before = dict(mpl.rcParams)
    with cms_style():
        assert mpl.rcParams["xtick.direction"] == "in"
    assert dict(mpl.rcParams) == before


def test_regions_and_intervals_in_words():
    assert region_text(REGIONS[0]) == r"Barrel, $|\eta_\mathrm{gen}| < 1.3$"
    assert region_text(REGIONS[1]) == r"Endcap, $1.3 \leq |\eta_\mathrm{gen}| < 2.5$"
    assert interval_text(GEN_PT_INTERVALS[0]) == r"$30 \leq p_\mathrm{T,gen} < 100$ GeV"
    assert interval_text(GEN_PT_INTERVALS[-1]) == r"$p_\mathrm{T,gen} \geq 1000$ GeV"


def test_logarithmic_axes_are_labelled_with_plain_numbers():
    figure = new_figure()
    axes = figure.subplots()
    axes.set_xlim(20, 3000)
    readable_log_axis(axes, "x")
    axes.set_xlim(20, 3000)
    figure.draw_without_rendering()
    shown = [tick.label1.get_text() for tick in axes.xaxis.get_major_ticks() if 20 <= tick.get_loc() <= 3000]
    assert shown == ["20", "50", "100", "200", "500", "1000", "2000"]


def test_missing_numbers_are_left_out():
    axes = new_figure().subplots()
    numbers = [Number(1.0, 0.1, 9), Number(None, None, 0, "no jets"), Number(2.0, None, 1, "n = 1")]
    draw_numbers(axes, [0, 1, 2], numbers, appearance("pfn"))
    assert points(axes) == {"PFN": [(0, 1.0), (2, 2.0)]}
    assert ends(numbers) == pytest.approx([0.9, 1.1, 2.0, 2.0])


def test_room_holds_all_values_even_if_there_are_none_or_they_are_equal():
    low, high = room([1.0, 2.0], above=0.5)
    assert 0.5 < low < 1
    assert high == 2.5
    assert room([]) == (0, 1)
    for value in (0.0, 1.0, -3.0):
        low, high = room([value, value])
        assert low < value < high


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.floats(0, 1))
def test_room_holds_whatever_values_there_are(values: list[float], above: float):
    low, high = room(values, above)
    assert low <= min(values) <= max(values) <= high
    assert low < high


@pytest.mark.parametrize(("entries", "columns"), [(0, 1), (1, 1), (2, 2), (3, 3), (4, 2), (5, 3), (7, 3)])
def test_rows_of_a_legend_are_as_even_as_can_be(entries: int, columns: int):
    figure = new_figure()
    axes = figure.subplots()
    for entry in range(entries):
        axes.plot([0, 1], [0, entry], label=f"entry {entry}")
    legend_below(figure, axes, columns=3)
    assert figure.legends[0]._ncols == columns
