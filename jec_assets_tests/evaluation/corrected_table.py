"""Jets of a known detector as the comparison of standard corrections sees them, and a correction to compare."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from jec_assets.correction import Binning, derive
from jec_assets.jets.standard_correction import SourceCorrection, Use
from jec_assets_tests.correction.toy_response import toy_matched_jets

BINNING = Binning((0.0, 1.3, 2.5), (0.0, 1.3, 2.5), gen_pt_min=50.0, offset_gen_pt=(50.0, 120.0))


@cache
def found_correction(in_use: Use = "file") -> SourceCorrection:
    """Derived from 40,000 toy jets."""
    return SourceCorrection(in_use, derive(toy_matched_jets(40_000, seed=7), BINNING), 40_000, 3, ())


def corrected_table(jets: int = 6000, seed: int = 1, file_response: float = 1.02) -> pl.DataFrame:
    """Toy jets, two an event; the files' correction is the true one but for a factor."""
    toy = toy_matched_jets(jets, seed)
    random = np.random.default_rng(seed)
    spread = 1 + 0.08 * random.standard_normal(jets)
    return pl.DataFrame(
        {
            "jetPt": (toy.gen_pt * file_response * spread).astype(np.float32),
            "jetRawPt": toy.raw_pt.astype(np.float32),
            "jetEta": toy.eta.astype(np.float32),
            "jetArea": toy.area.astype(np.float32),
            "rhoAll": toy.rho.astype(np.float32),
            "genJetPt": toy.gen_pt.astype(np.float32),
            "genJetEta": np.clip(toy.eta, -2.49, 2.49).astype(np.float32),
            "event_hash": (np.arange(jets) // 2).astype(np.uint64) * np.uint64(2654435761),
        }
    )
