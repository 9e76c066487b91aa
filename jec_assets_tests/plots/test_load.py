from __future__ import annotations

import numpy as np

from jec_assets.plots.load import load
from jec_assets_tests.plots.figures import check_layout, legend
from jec_assets_tests.plots.latencies import load_table


def test_both_loops_and_the_knee_are_drawn():
    figure = load(load_table(), "pfn")
    (axes,) = figure.axes
    assert legend(figure) == [
        "at random, median",
        "at random, 95 %",
        "clients, median",
        "clients, 95 %",
        "knee, 3,200 per second",
    ]
    drawn = {str(line.get_label()): np.asarray(line.get_xydata()).tolist() for line in axes.lines}
    assert drawn["at random, median"] == [[800, 1.1], [2000, 1.5], [3200, 3.0], [4400, 90.0]]
    assert drawn["clients, 95 %"] == [[1000, 2], [4000, 8], [4200, 48]]
    assert [text.get_text() for text in axes.texts] == ["1", "16", "100", "PFN"]
    check_layout(figure)


def test_a_server_that_answers_nothing_leaves_an_empty_figure():
    figure = load(load_table(), "particle_net")
    assert all(len(line.get_xydata()) == 0 for line in figure.axes[0].lines)
