"""Jets of a detector whose response and offset are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jec_assets.correction import MatchedJets

OFFSET = 0.45  # GeV per GeV of rho and unit of area
RESOLUTION = 0.08


def true_response(gen_pt: NDArray[np.float64], eta: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rises slowly with pT, drops in the endcap."""
    return (0.80 + 0.03 * np.log10(gen_pt)) * np.where(np.abs(eta) < 1.3, 1.0, 0.9)


def toy_matched_jets(count: int, seed: int = 0, falls_with: float = 0.0) -> MatchedJets:
    """Matched jets, pT from 20 GeV to 3 TeV; their number falls with a power of pT per interval of log pT."""
    rng = np.random.default_rng(seed)
    quantile = rng.uniform(0, 1, count)
    gen_pt = 20 * 150**quantile
    if falls_with:
        gen_pt = 20 * (1 - quantile * (1 - 150**-falls_with)) ** (-1 / falls_with)
    eta = rng.uniform(-3.5, 3.5, count)
    rho, area = rng.uniform(2, 25, count), rng.normal(0.5, 0.03, count)
    smear = 1 + RESOLUTION * rng.standard_normal(count)
    raw_pt = gen_pt * true_response(gen_pt, eta) * smear + OFFSET * rho * area
    return MatchedJets(raw_pt, eta, rho, area, gen_pt, rng.uniform(0, 0.25, count))
