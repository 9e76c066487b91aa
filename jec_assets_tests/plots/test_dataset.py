from __future__ import annotations

import pytest

from jec_assets.evaluation.jets.dataset import gen_kinematics_histogram, target_histogram, target_summary
from jec_assets.plots.dataset import gen_kinematics, target_distribution
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.plots.figures import check_layout, texts


@pytest.mark.parametrize("jets", [0, 1, 500])
def test_heat_map(jets: int):
    histogram = gen_kinematics_histogram(calibrated_table(500).head(jets))
    figure = gen_kinematics(histogram)
    axes, colorbar = figure.axes
    (mesh,) = axes.collections
    assert mesh.get_array().filled(0).sum() == jets
    assert mesh.get_array().count() == (histogram.values() > 0).sum()
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == r"$p_\mathrm{T,gen}$ [GeV]"
    assert axes.get_ylabel() == r"$|\eta_\mathrm{gen}|$"
    assert colorbar.get_ylabel() == "Jets per bin"
    assert "Simulation" in texts(figure)
    check_layout(figure)


@pytest.mark.parametrize("jets", [0, 1, 500])
def test_target(jets: int):
    table = calibrated_table(500).head(jets)
    figure = target_distribution(target_histogram(table), target_summary(table))
    (axes,) = figure.axes
    assert axes.get_xlim() == (-1, 1)
    assert axes.get_ylabel() == "Jets / 0.02"
    told = " ".join(texts(figure))
    assert ("Median" in told) == ("Quartiles" in told) == bool(jets)
    check_layout(figure)
