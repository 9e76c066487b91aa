"""Are features in the units that networks were trained in?

Belongs here: what no jet of a collider can have on average, and so tells of other units. Does not belong here: values
that are not finite (`tensors.py`) and jets unlike those of the training (`jec_assets.jets.training_range`).
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets

    Columns = Mapping[str, NDArray[np.float32]]

# Median of the value or of its absolute: what is impossible, and how to get there.
LOG_PT = (log(1.0), log(7000.0), "pT must be in GeV: half of the LHC's energy is 7,000")
MAX_MEDIAN = {"eta": (10.0, "pseudorapidity has no unit"), "phi": (2 * np.pi, "angles must be in radians")}
# Of particles, relative to their jet: no jet is wider than this.
MAX_DISTANCE = 2.0
ENOUGH = 4096  # rows: the medians of all would take a tenth of a small network's time
DISTANCES = {
    "delta_eta": "pseudorapidity has no unit",
    "delta_phi": "angles must be in radians",
    "delta_r": "angles must be in radians",
}
SHARE, MAX_SHARE = "log_relative_pt", log(10.0)  # a particle may have all of its jet's pT, and a little more


class UnitsError(ValueError):
    """Features that are in other units than GeV and radians."""


def check_units(jets: PackedJets, jet_features: Sequence[str], particle_features: Sequence[str] = ()) -> None:
    """UnitsError where most jets are impossible; single odd ones are none of its business, nor is NaN.

    jet_features, particle_features: names, in the order of the arrays' last axes.
    """
    if len(jets):
        some = _evenly(jets.jets)
        _check_jets({name: some[:, place] for place, name in enumerate(jet_features)})
    if len(jets.particles):
        some = _evenly(jets.particles)
        _check_particles({name: some[:, place] for place, name in enumerate(particle_features)})


def _evenly(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows from the first to the last, at most ENOUGH: what is wrong with units is wrong with all."""
    return rows[:: -(-len(rows) // ENOUGH)]


def _check_jets(columns: Columns) -> None:
    if "log_pt" in columns:
        least, most, remedy = LOG_PT
        typical = float(np.median(columns["log_pt"]))
        if typical < least or typical > most:
            side = "more" if typical > most else "less"
            raise UnitsError(f"half of the jets have a pT of {np.exp(typical):,.3g} or {side}: {remedy}")
    for name, (most, remedy) in MAX_MEDIAN.items():
        if name in columns and (typical := _typical(columns[name])) > most:
            raise UnitsError(f"half of the jets have |{name}| of {typical:,.3g} or more: {remedy}")


def _check_particles(columns: Columns) -> None:
    if SHARE in columns and (typical := float(np.median(columns[SHARE]))) > MAX_SHARE:
        raise UnitsError(
            f"half of the particles have {np.exp(typical):,.3g} times the pT of their jet or more: both must be in GeV"
        )
    for name, remedy in DISTANCES.items():
        if name in columns and (typical := _typical(columns[name])) > MAX_DISTANCE:
            raise UnitsError(f"half of the particles have |{name}| of {typical:,.3g} or more from their jet: {remedy}")


def _typical(values: NDArray[np.float32]) -> float:
    return float(np.median(np.abs(values)))
