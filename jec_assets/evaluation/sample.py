"""What statistics of the response need of some jets: responses, resamples, weights.

Belongs here: picking jets out of all of these alike. Does not belong here: which jets (`bins.py`) and the statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bootstrap import effective_number, quantiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from jec_assets.evaluation.calibrated_jets import CalibratedJets


@dataclass(frozen=True)
class Sample:
    """Some jets. responses: of each correction, (jets,); gen_pt (jets,), GeV; draws (1 + resamples, jets);
    weight (jets,), or None where jets count alike.
    """

    responses: dict[str, NDArray[np.float64]]
    gen_pt: NDArray[np.float64]
    draws: NDArray[np.integer]
    weight: NDArray[np.float64] | None

    @classmethod
    def of(cls, jets: CalibratedJets, draws: NDArray[np.integer]) -> Sample:
        """All jets under all corrections; draws are (1 + resamples, jets)."""
        responses = {correction: jets.responses(correction) for correction in jets.corrections}
        return cls(responses, jets.gen_pt, draws, jets.weight)

    def __len__(self) -> int:
        return len(self.gen_pt)

    def pick(self, rows: NDArray[np.intp]) -> Sample:
        """The jets of these rows, in this order."""
        return Sample(
            {correction: values[rows] for correction, values in self.responses.items()},
            self.gen_pt[rows],
            np.take(self.draws.T, rows, axis=0).T,
            None if self.weight is None else self.weight[rows],
        )

    def between(self, start: int, stop: int) -> Sample:
        """The jets from row `start` to the one before `stop`, without a copy."""
        return Sample(
            {correction: values[start:stop] for correction, values in self.responses.items()},
            self.gen_pt[start:stop],
            self.draws[:, start:stop],
            None if self.weight is None else self.weight[start:stop],
        )

    @property
    def effective_jets(self) -> float:
        """Effective number of jets."""
        return effective_number(len(self), self.weight)

    def quantiles(self, correction: str, probabilities: Sequence[float]) -> NDArray[np.float64]:
        """Quantiles of a correction's responses in each resample, (1 + resamples, probabilities)."""
        return quantiles(self.responses[correction], self.draws, probabilities, self.weight)
