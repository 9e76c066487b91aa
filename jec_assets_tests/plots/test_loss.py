from __future__ import annotations

import numpy as np
import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.loss import compare_losses
from jec_assets.plots.loss import loss_bars
from jec_assets_tests.plots.figures import check_layout, texts


def test_a_bar_for_each_correction_from_0():
    target = np.array([0.1, -0.1, 0.3, 0.2])
    factors = {"standard": np.zeros(4), "kinematics": np.full(4, 0.2), "pfn": 0.5 * target}
    draws = Resampling(5).draws(np.arange(4, dtype=np.uint64))
    figure = loss_bars(compare_losses(target, factors, ("standard",), draws))
    (axes,) = figure.axes
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert [left for left, _ in bars] == [0, 0, 0]
    assert [width for _, width in bars] == pytest.approx([0.175, 0.125, 0.0875])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["Standard correction", "Kinematics only", "PFN"]
    assert any("(−50.0 %)" in text for text in texts(figure))
    assert axes.get_xlim()[0] == 0
    check_layout(figure)


def test_no_jets_draw_no_bar():
    nothing = np.zeros(0)
    draws = Resampling(5).draws(nothing.astype(np.uint64))
    figure = loss_bars(compare_losses(nothing, {"standard": nothing}, ("standard",), draws))
    assert not figure.axes[0].patches
    check_layout(figure)
