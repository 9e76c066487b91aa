"""A standard correction that is given as a file.

Belongs here: reading a correctionlib file that `export.py` wrote, and what every correction is to whoever applies it.
Does not belong here: our tables (`standard.py`) and writing the file (`export.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from jec_assets.correction.errors import CorrectionError
from jec_assets.correction.export import COMPOUND

if TYPE_CHECKING:
    from pathlib import Path

    from correctionlib.highlevel import CompoundCorrection
    from numpy.typing import ArrayLike, NDArray


class AppliedCorrection(Protocol):
    """Whatever gives each jet its factor."""

    def factor(self, raw_pt: ArrayLike, eta: ArrayLike, rho: ArrayLike, area: ArrayLike) -> NDArray[np.float64]:
        """What to multiply each jet's raw four-momentum with, float64 (jets,); raw_pt in GeV."""
        ...


@dataclass(frozen=True)
class CorrectionFile:
    """A correctionlib file with the compound correction `L1L2L3` of (JetPt, JetEta, Rho, JetA), by its text."""

    content: str

    @classmethod
    def read(cls, path: Path) -> CorrectionFile:
        """Read and try it; CorrectionError where it is missing or isn't such a file."""
        try:
            file = cls(path.read_text())
            file.factor([50.0], [0.0], [20.0], [0.5])
        except (OSError, ValueError, RuntimeError, IndexError, KeyError) as fault:
            raise CorrectionError(
                f"{path} is no standard correction ({fault}): give the standard_correction_*.json of a simulated "
                "sample, or what `jec correction` wrote"
            ) from fault
        return file

    def factor(self, raw_pt: ArrayLike, eta: ArrayLike, rho: ArrayLike, area: ArrayLike) -> NDArray[np.float64]:
        """See `AppliedCorrection.factor`; NaN where an input is no finite number, or the momentum is not positive."""
        inputs = np.stack([np.asarray(each, np.float64) for each in (raw_pt, eta, rho, area)])
        usable = np.isfinite(inputs).all(axis=0) & (inputs[0] > 0)
        factors = np.full(len(usable), np.nan)
        factors[usable] = self._compound.evaluate(*inputs[:, usable])
        return factors

    @cached_property
    def _compound(self) -> CompoundCorrection:
        import correctionlib

        return correctionlib.CorrectionSet.from_string(self.content).compound[COMPOUND]

    def __reduce__(self) -> tuple[type[CorrectionFile], tuple[str]]:
        """Travel to other processes as text: correctionlib's objects cannot."""
        return CorrectionFile, (self.content,)
