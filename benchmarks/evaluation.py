"""Flavor dependence and resolution of 1.42 million jets with 30 resamplings: `python benchmarks/evaluation.py [JETS]`.

Synthetic jets with the spectrum and flavors of a QCD sample, the standard correction and two networks, all regions,
intervals and flavors, on one thread. Ends with `evaluation_seconds SECONDS` and `evaluation_peak_gigabytes GB`.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import polars as pl

from jec_assets.evaluation import flavor, resolution
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets


def synthetic_jets(jets: int) -> pl.DataFrame:
    """A table as `calibrated_test_jets` has it, three jets an event."""
    random = np.random.default_rng(1)
    gen_pt = 20 * np.exp(random.exponential(1.0, jets)).clip(max=100)
    jet_pt = gen_pt * random.normal(1.0, 0.12, jets).clip(0.3, 2.0)
    target = np.log(gen_pt / jet_pt)
    return pl.DataFrame(
        {
            "jetPt": jet_pt,
            "jetEta": random.uniform(-2.5, 2.5, jets),
            "genJetPt": gen_pt,
            "genJetEta": random.uniform(-2.5, 2.5, jets),
            "flavor": random.choice([1, 2, 3, 4, 5, 21], jets, p=[0.13, 0.13, 0.06, 0.1, 0.04, 0.54]).astype(np.int32),
            "target": target,
            "event_hash": np.arange(jets, dtype=np.uint64) // 3,
            "rhoAll": random.normal(20, 6, jets),
            "Pileup_nPU": random.poisson(23, jets),
            "eventWeight": (gen_pt / 20) ** -3,
            "constituents": random.integers(2, 80, jets),
            "log_factor_pfn": 0.3 * target,
            "log_factor_particle_net": 0.32 * target,
        }
    )


def main(jets: int) -> None:
    """Evaluate and print."""
    table = CalibratedJets.from_table(synthetic_jets(jets))
    started = time.perf_counter()
    draws = Resampling(30, seed=1).draws(table.event)
    dependence = flavor.flavor_dependence(table, draws)
    intervals = (*resolution.INTERVALS, *resolution.BINS)
    resolutions = resolution.resolution(table, draws, intervals)
    seconds = time.perf_counter() - started
    print(f"{jets} jets: {len(dependence)} flavor dependences, {len(resolutions)} resolutions")
    print(f"evaluation_seconds {seconds:.1f}")
    print(f"evaluation_peak_gigabytes {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_420_000)
