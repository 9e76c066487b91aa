"""Figure of the losses of baselines and networks side by side.

Belongs here: losses on the test jets. Does not belong here: losses in training (`search.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.plots.style import INK, appearance, cms_style, label, minus, new_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from jec_assets.evaluation.loss import CorrectionLoss


def loss_bars(losses: Sequence[CorrectionLoss]) -> Figure:
    """A bar per correction, from 0, with bootstrap error bars and its change from the standard correction."""
    present = [each for each in losses if each.loss.value is not None]
    with cms_style():
        figure = new_figure(height=1.4 + 0.55 * max(len(present), 2))
        axes = figure.subplots()
        for place, each in enumerate(present):
            value, error = each.loss.value or 0.0, each.loss.uncertainty or 0.0
            look = appearance(each.correction)
            axes.barh(place, value, height=0.62, color=look.color)
            axes.errorbar(value, place, xerr=error, color=INK, capsize=3)
            axes.text(value + error, place, f"  {value:.4f}{_change(each)}", va="center", fontsize=13)
        axes.set_yticks(range(len(present)), [appearance(each.correction).title for each in present])
        axes.invert_yaxis()
        axes.tick_params(axis="y", which="both", length=0)
        axes.set_xlim(0, 1.55 * max((each.loss.value or 0.0 for each in present), default=1.0) or 1.0)
        axes.set_xlabel("Loss on the test jets (change from the standard correction)")
        label(axes)
    return figure


def _change(each: CorrectionLoss) -> str:
    below = each.below[STANDARD].value
    if each.correction == STANDARD or below is None:
        return ""
    return minus(f"  ({-100 * below:+.1f} %)")
