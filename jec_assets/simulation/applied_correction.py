"""The standard correction that a sample's jets get: derived for the sample, or given as a file.

Belongs here: what jets need of either, the file that is shipped beside them, and reading a given one. Does not belong
here: deriving (`campaign.py` calls `jec_assets.correction`).

Comparing generators needs jets that differ in nothing but the generator: a sample of another tune is then simulated
with the file that the nominal sample ships.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from jec_assets.simulation.errors import InvalidPlanError

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
class ShippedCorrection:
    """A correction with its file: `name` and `content` (correctionlib JSON), and `digest`, equal for equal factors.

    jets: how many it was derived from; None where it was given.
    """

    correction: AppliedCorrection
    name: str
    content: str
    digest: str
    jets: int | None


@dataclass(frozen=True)
class CorrectionFile:
    """A correctionlib file with the compound correction `L1L2L3` of (JetPt, JetEta, Rho, JetA), by its text."""

    content: str

    @classmethod
    def read(cls, path: Path) -> CorrectionFile:
        """Read and try it; InvalidPlanError where it is missing or isn't such a file."""
        try:
            file = cls(path.read_text())
            file.factor([50.0], [0.0], [20.0], [0.5])
        except (OSError, ValueError, RuntimeError, IndexError, KeyError) as fault:
            raise InvalidPlanError(
                f"{path} is no standard correction ({fault}): give the standard_correction_*.json that a simulated "
                "sample holds"
            ) from fault
        return file

    def factor(self, raw_pt: ArrayLike, eta: ArrayLike, rho: ArrayLike, area: ArrayLike) -> NDArray[np.float64]:
        """See `AppliedCorrection.factor`."""
        inputs = (np.asarray(each, np.float64) for each in (raw_pt, eta, rho, area))
        return np.asarray(self._compound.evaluate(*inputs), np.float64)

    @cached_property
    def _compound(self) -> CompoundCorrection:
        import correctionlib

        return correctionlib.CorrectionSet.from_string(self.content).compound["L1L2L3"]

    def __reduce__(self) -> tuple[type[CorrectionFile], tuple[str]]:
        """Travel to other processes as text: correctionlib's objects cannot."""
        return CorrectionFile, (self.content,)
