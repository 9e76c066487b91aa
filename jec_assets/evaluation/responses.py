"""Response: corrected over true transverse momentum.

Belongs here: the response of a jet and the median response of a group of jets. Does not belong here: which groups
and what else is asked of them (`response/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bootstrap import quantiles
from jec_assets.evaluation.number import Number

if TYPE_CHECKING:
    from numpy.typing import NDArray


def calibrated_pt(jet_pt: NDArray[np.floating], log_factor: NDArray[np.floating]) -> NDArray[np.float64]:
    """pT_corr = exp(log_factor) * jetPt (the paper, Section 3.2), GeV; all (jets,)."""
    return np.asarray(np.exp(np.asarray(log_factor, np.float64)) * np.asarray(jet_pt, np.float64))


def response(
    jet_pt: NDArray[np.floating], log_factor: NDArray[np.floating], gen_pt: NDArray[np.floating]
) -> NDArray[np.float64]:
    """R = pT_corr / pT_gen; all (jets,), pT in GeV."""
    return calibrated_pt(jet_pt, log_factor) / np.asarray(gen_pt, np.float64)


def median_response(
    responses: NDArray[np.float64], draws: NDArray[np.integer], weight: NDArray[np.float64] | None = None
) -> Number:
    """Median of responses (jets,) with its bootstrap uncertainty from draws (1 + resamples, jets); weight: (jets,)."""
    return Number.of(quantiles(responses, draws, (0.5,), weight)[:, 0], len(responses))
