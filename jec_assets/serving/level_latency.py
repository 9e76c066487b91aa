"""How long ONNX Runtime takes for a model at each graph level.

Belongs here: timing the levels against each other, in this process. Does not belong here: the levels
(`graph_levels.py`) and servers (`latency.py`): a server computes with the same library, at the level that its
configuration names.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from jec_assets.serving.graph_levels import DEFAULT_LEVEL, LEVELS
from jec_assets.serving.latency import random_batches
from jec_assets.serving.runtime import CPU, inference_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.graph_levels import GraphLevel
    from jec_assets.serving.latency import LatencyPlan
    from jec_assets.serving.runtime import JetSession

SCHEMA = {
    "family": pl.String,
    "level": pl.String,
    "batch_size": pl.Int64,
    "repetitions": pl.Int64,
    "mean_ms": pl.Float64,
    "median_ms": pl.Float64,
    "times_default": pl.Float64,
    "jets_per_second": pl.Float64,
    "largest_difference": pl.Float64,
}


def measure_levels(
    models: Mapping[str, bytes], threads: int, jets: PackedJets, plan: LatencyPlan, progress: Callable[[str], None]
) -> pl.DataFrame:
    """One row per family, level and batch size, with the columns of SCHEMA, the levels in turn on the same jets.

    models: ONNX files by family. `times_default` is the median over rounds of the time over that at the default level,
    `largest_difference` the largest |prediction - that at the default level|. `progress` gets a line per family.
    """
    rows: list[dict[str, str | float]] = []
    for family, model in models.items():
        sessions = {level: inference_session(model, threads, CPU, level) for level in LEVELS}
        for size in plan.batch_sizes:
            rows += [{"family": family, "batch_size": size, **row} for row in _levels(sessions, jets, plan, size)]
        progress(f"{family}: {len(LEVELS)} graph levels at {len(plan.batch_sizes)} batch sizes")
    return pl.DataFrame(rows, SCHEMA, orient="row")


def _levels(
    sessions: Mapping[GraphLevel, JetSession], jets: PackedJets, plan: LatencyPlan, batch_size: int
) -> Iterator[dict[str, str | float]]:
    (batch,) = islice(random_batches(jets, batch_size, plan.seed), 1)
    answers = {level: session.log_factors(batch) for level, session in sessions.items()}
    times: dict[GraphLevel, list[float]] = {level: [] for level in sessions}
    for batch in plan.rounds(jets, batch_size):
        for level, session in sessions.items():
            start = time.perf_counter()
            session.log_factors(batch)
            times[level].append(time.perf_counter() - start)
    usual = np.array(times[DEFAULT_LEVEL])
    for level, taken in times.items():
        mean = float(np.mean(taken))
        yield {
            "level": level,
            "repetitions": len(taken),
            "mean_ms": 1e3 * mean,
            "median_ms": 1e3 * float(np.median(taken)),
            "times_default": float(np.median(np.array(taken) / usual)),
            "jets_per_second": batch_size / mean,
            "largest_difference": float(np.abs(answers[level] - answers[DEFAULT_LEVEL]).max()),
        }
