"""All numbers of 1.42 million jets with 30 resamplings: `python benchmarks/evaluation.py [JETS [FAMILIES]]`.

Synthetic jets with the spectrum and flavors of a QCD sample, the standard correction and two networks (at most four),
on one thread: losses, flavor dependence with its noise floor, resolution in all intervals, bins and flavors, corrected
for shrinkage, median response in bins of pT_gen; the headline numbers with event weights, too. A line for each with its
seconds; ends with `evaluation_seconds SECONDS` and `evaluation_peak_gigabytes GB`. Seconds are those of the processor:
on a busy machine, the clock's are more.
"""

from __future__ import annotations

import resource
import sys
import time
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from jec_assets.evaluation.bins import ALL_FLAVORS, FLAVORS, REGIONS, of_flavor
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import STANDARD, CalibratedJets
from jec_assets.evaluation.loss import compare_losses
from jec_assets.evaluation.response.flavor import flavor_dependence
from jec_assets.evaluation.response.resolution import BINS, INTERVALS, PUBLISHED_INTERVALS, resolution
from jec_assets.evaluation.response.shrinkage import corrected_resolution
from jec_assets.evaluation.responses import median_response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FAMILIES = ("pfn", "particle_net", "particle_transformer", "pfn_committee")


def synthetic_jets(jets: int, families: int) -> pl.DataFrame:
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
            **{
                f"log_factor_{family}": (0.3 + 0.02 * place) * target
                for place, family in enumerate(FAMILIES[:families])
            },
        }
    )


def main(jets: int, families: int) -> None:
    """Evaluate and print."""
    unweighted = CalibratedJets.from_table(synthetic_jets(jets, families))
    started = time.process_time()
    with told("resamples"):
        draws = Resampling(30, seed=1).draws(unweighted.event)
    with told("resolution in bins, and per flavor"):
        resolution(unweighted, draws, BINS)
        corrected_resolution(unweighted, draws, BINS)
        resolution(unweighted, draws, (*PUBLISHED_INTERVALS, *BINS), tuple(FLAVORS))
    with told("median response in bins, all flavors and each"):
        response_in_bins(unweighted, draws)
    for name, table in (("alike", unweighted), ("by event weight", unweighted.weighted_by_event())):
        with told(f"headline numbers, jets counting {name}"):
            compare_losses(table.target, table.log_factors, (STANDARD,), draws, table.weight)
            flavor_dependence(table, draws, seed=1)
            resolution(table, draws, INTERVALS)
            corrected_resolution(table, draws, INTERVALS)
    print(f"evaluation_seconds {time.process_time() - started:.1f}")
    print(f"evaluation_peak_gigabytes {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f}")


def response_in_bins(jets: CalibratedJets, draws: NDArray[np.integer]) -> None:
    """Median response of each correction in the bins of Figure 10, per flavor and overall."""
    flavors = [of_flavor(jets.flavor, name) for name in (ALL_FLAVORS, *FLAVORS)]
    responses = [jets.responses(correction) for correction in jets.corrections]
    for region, interval in product(REGIONS, BINS):
        selected = region.contains(jets.abs_gen_eta) & interval.contains(jets.gen_pt)
        for found in flavors:
            rows = np.flatnonzero(selected & found)
            drawn = draws[:, rows]
            for values in responses:
                median_response(values[rows], drawn)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Print how long it took."""
    started = time.process_time()
    yield
    print(f"{what}: {time.process_time() - started:.1f} s")


if __name__ == "__main__":
    arguments = dict(zip(("jets", "families"), map(int, sys.argv[1:]), strict=False))
    main(**{"jets": 1_420_000, "families": 2} | arguments)
