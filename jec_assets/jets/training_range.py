"""Where a network has seen jets: outside, its correction is a guess.

Belongs here: the range, as recorded with a model, and which jets lie outside. Does not belong here: what is done about
them, which is to flag them (`jec_assets.reports`, `jec_assets.serving`): none is ever left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TrainingRange:
    """The smallest and the largest value among the training jets, both included.

    pt: jetPt, GeV; abs_eta: |jetEta|; constituents: particles of the jet that the network sees
    """

    pt: tuple[float, float]
    abs_eta: tuple[float, float]
    constituents: tuple[int, int]

    @classmethod
    def of(cls, training: pl.DataFrame) -> TrainingRange:
        """From the table of the training jets, at least one: columns jetPt (GeV), jetEta, constituents."""
        abs_eta = training["jetEta"].abs()
        pt, constituents = training["jetPt"], training["constituents"]
        return cls(
            (float(pt.min()), float(pt.max())),  # type: ignore[arg-type]
            (float(abs_eta.min()), float(abs_eta.max())),  # type: ignore[arg-type]
            (int(constituents.min()), int(constituents.max())),  # type: ignore[arg-type]
        )

    def outside(
        self, pt: NDArray[np.floating], eta: NDArray[np.floating], constituents: NDArray[np.integer]
    ) -> NDArray[np.bool_]:
        """Which jets lie outside in any of the three, bool (jets,); pt: jetPt, GeV. NaN lies outside."""
        inside = np.ones(len(pt), np.bool_)
        for values, (low, high) in ((pt, self.pt), (np.abs(eta), self.abs_eta), (constituents, self.constituents)):
            inside &= (values >= low) & (values <= high)
        return ~inside
