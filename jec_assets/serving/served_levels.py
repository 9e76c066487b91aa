"""How long a served answer takes at each graph level.

Belongs here: serving a model at one level after the other, beside what is served. Does not belong here: the
measurement (`latency.py`) and the levels against each other without a server (`level_latency.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.deployment import try_out, withdraw_candidate
from jec_assets.serving.graph_levels import LEVELS
from jec_assets.serving.latency import SCHEMA as LATENCY_SCHEMA
from jec_assets.serving.latency import measure
from jec_assets.serving.runtime import CPU, inference_session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.latency import LatencyPlan
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.repository import ModelRepository

SCHEMA = {"family": pl.String, "level": pl.String, **LATENCY_SCHEMA}


def measure_served_levels(
    endpoint: Endpoint,
    repository: ModelRepository,
    models: Sequence[PublishedModel],
    jets: PackedJets,
    plan: LatencyPlan,
    progress: Callable[[str], None],
) -> pl.DataFrame:
    """What `latency.measure` finds of each model at each level, with the columns of SCHEMA.

    A model is served at a level as a candidate is, in a roll-out's place: what is tried meanwhile is not. The same
    level in this process stands beside it. Raises what `deployment.try_out` does.
    """
    tables = [pl.DataFrame(schema=SCHEMA)]
    usual = InstanceSettings()
    for model in models:
        onnx = repository.onnx(model)
        for level in LEVELS:
            try:
                name = try_out(endpoint, repository, model, replace(usual, graph_level=level))
                session = inference_session(onnx, usual.threads, CPU, level)
                found = measure(endpoint, {name: session}, jets, plan, progress)
            finally:
                withdraw_candidate(endpoint, repository, model.family, model.version)
            labels = pl.lit(model.family).alias("family"), pl.lit(level).alias("level")
            tables.append(found.with_columns(labels).select(*SCHEMA))
    return pl.concat(tables)
