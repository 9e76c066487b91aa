"""Are features in the units that networks were trained in?

Belongs here: what no jet of a collider can have on average, and so tells of other units. Does not belong here: values
that are not finite (`tensors.py`) and jets unlike those of the training (`jec_assets.jets.training_range`).
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets

# Median of the absolute value: the least and the most that is possible, and how to get there.
LOG_PT = (log(1.0), log(7000.0), "pT must be in GeV: half of the LHC's energy is 7,000")
MAX_MEDIAN = {"eta": (10.0, "pseudorapidity has no unit"), "phi": (2 * np.pi, "angles must be in radians")}


class UnitsError(ValueError):
    """Features that are in other units than GeV and radians."""


def check_units(jets: PackedJets, jet_features: Sequence[str]) -> None:
    """UnitsError where jets as a whole are impossible; single odd ones are none of its business, nor is NaN."""
    columns = {name: jets.jets[:, place] for place, name in enumerate(jet_features)}
    if len(jets) == 0:
        return
    if "log_pt" in columns:
        least, most, remedy = LOG_PT
        typical = float(np.median(columns["log_pt"]))
        if typical < least or typical > most:
            side = "more" if typical > most else "less"
            raise UnitsError(f"half of the jets have a pT of {np.exp(typical):,.3g} or {side}: {remedy}")
    for name, (most, remedy) in MAX_MEDIAN.items():
        if name in columns and (typical := _typical(columns[name])) > most:
            raise UnitsError(f"half of the jets have |{name}| of {typical:,.3g} or more: {remedy}")


def _typical(values: NDArray[np.float32]) -> float:
    return float(np.median(np.abs(values)))
