from __future__ import annotations

import numpy as np
import pytest

from jec_assets.evaluation.jets.distributions import Sample, distribution, feature_distributions
from jec_assets.plots.distributions import PANELS, in_figures, small_multiples
from jec_assets_tests.evaluation.synthetic_split import split_jets
from jec_assets_tests.plots.figures import check_layout, legend, texts


@pytest.mark.parametrize(("panels", "parts"), [(1, [1]), (8, [8]), (9, [6, 3]), (14, [8, 6]), (17, [6, 6, 5])])
def test_figures_hold_about_equally_many_panels(panels: int, parts: list[int]):
    each = distribution("x", "1", {"a": np.array([1.0])})
    assert [len(part) for part in in_figures([each] * panels)] == parts
    assert max(parts) <= PANELS


def test_a_panel_a_feature_and_a_line_a_flavor():
    found = feature_distributions(split_jets(), Sample()).of_jets
    figure = small_multiples(found)
    assert legend(figure) == ["u", "d", "s", "c", "b", "g"]
    for axes, each in zip(figure.axes, found, strict=True):
        drawn = {str(patch.get_label()): patch.get_data().values.tolist() for patch in axes.patches}
        assert drawn == {flavor: shares.tolist() for flavor, shares in each.shares.items()}
    assert {"Mass [GeV]", r"$\eta$", "Multiplicity", "Share per bin", "Simulation"} <= texts(figure)
    check_layout(figure)


def test_rare_levels_are_drawn_on_a_logarithmic_axis_and_a_group_without_jets_is_named():
    muons = np.zeros(1000)
    muons[0] = 1
    figure = small_multiples([distribution("is_muon", "1", {"g": muons, "b": np.array([])})])
    assert figure.axes[0].get_yscale() == "log"
    assert legend(figure) == ["g", "b (no jets)"]
    check_layout(figure)


def test_no_jets_at_all():
    figure = small_multiples([distribution("x", "1", {"g": np.array([])})])
    assert legend(figure) == ["g (no jets)"]
    check_layout(figure)
