"""Jets and the standard correction: whether jets come with one, and applying ours to jets that don't.

Belongs here: both, on the columns of some jets. Does not belong here: deriving a correction (`standard_correction.py`)
and its mathematics (`jec_assets.correction`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.correction import AppliedCorrection
    from jec_assets.jets.features import Columns

# What `corrected` reads, and what it reads and writes.
RAW_BRANCHES = ("jetRawPt", "jetRawMass", "jetEta", "rhoAll", "jetArea")
CORRECTED_BRANCHES = (*RAW_BRANCHES, "jetPt", "jetMass")

# Relative: about a hundred times what a float32 can round, a thousandth of what a correction does.
ROUNDING = 1e-5


def comes_corrected(columns: Columns) -> NDArray[np.bool_]:
    """Whether jetPt is another number than jetRawPt, for the jets where both are positive numbers; (those jets,)."""
    raw, pt = (columns.scalars[name].astype(np.float64) for name in ("jetRawPt", "jetPt"))
    told = np.isfinite(raw) & np.isfinite(pt) & (raw > 0) & (pt > 0)
    return np.asarray(np.abs(pt[told] / raw[told] - 1) > ROUNDING)


def corrected(columns: Columns, correction: AppliedCorrection) -> Columns:
    """The same jets with jetPt and jetMass made of jetRawPt and jetRawMass, both by the same factor, as float32.

    Where a raw momentum is no positive number, the result is none either, and the selection rejects it.
    """
    scalars = columns.scalars
    inputs = (scalars[name] for name in ("jetRawPt", "jetEta", "rhoAll", "jetArea"))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = correction.factor(*inputs)
        pt, mass = (np.asarray(factor * scalars[name], np.float32) for name in ("jetRawPt", "jetRawMass"))
    return replace(columns, scalars={**scalars, "jetPt": pt, "jetMass": mass})
