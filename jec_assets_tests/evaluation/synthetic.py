"""Jets as the evaluation sees them, drawn from a seeded model that is simple enough to know what must come out."""

from __future__ import annotations

import numpy as np
import polars as pl

FLAVOR_CODES = np.array([2, 1, 3, 4, 5, 21, 0], np.int32)
FLAVOR_SHARES = np.array([0.16, 0.12, 0.1, 0.1, 0.08, 0.43, 0.01])
FLAVOR_SHIFT = {2: 0.02, 1: 0.015, 3: 0.01, 4: 0.0, 5: -0.01, 21: -0.02, 0: 0.0}


def calibrated_table(jets: int = 4000, seed: int = 1) -> pl.DataFrame:
    """Two jets an event. The standard response has a shift per flavor and a width that falls with pT.

    The PFN removes half of the shift and a tenth of the fluctuation, ParticleNet all of the shift and a fifth.
    """
    random = np.random.default_rng(seed)
    gen_pt = np.exp(random.uniform(np.log(22), np.log(3000), jets))
    flavor = random.choice(FLAVOR_CODES, jets, p=FLAVOR_SHARES)
    shift = np.array([FLAVOR_SHIFT[int(code)] for code in flavor])
    noise = random.normal(0, 0.05 + 0.8 / np.sqrt(gen_pt), jets)
    log_response = shift + noise
    return pl.DataFrame(
        {
            "jetPt": (gen_pt * np.exp(log_response)).astype(np.float32),
            "jetEta": random.uniform(-2.5, 2.5, jets).astype(np.float32),
            "genJetPt": gen_pt.astype(np.float32),
            "genJetEta": random.uniform(-2.5, 2.5, jets).astype(np.float32),
            "flavor": flavor,
            "target": (-log_response).astype(np.float32),
            "event_hash": (np.arange(jets) // 2).astype(np.uint64) * np.uint64(2654435761),
            "rhoAll": random.normal(20, 6, jets).astype(np.float32),
            "Pileup_nPU": random.poisson(23, jets).astype(np.int32),
            "eventWeight": (gen_pt / 30) ** -3,
            "constituents": random.integers(2, 80, jets).astype(np.int32),
            "log_factor_pfn": (-0.5 * shift - 0.1 * noise).astype(np.float32),
            "log_factor_particle_net": (-shift - 0.2 * noise).astype(np.float32),
        }
    ).with_columns((0.8 * pl.col("Pileup_nPU")).floor().cast(pl.Int32).alias("PV_npvsGood"))
