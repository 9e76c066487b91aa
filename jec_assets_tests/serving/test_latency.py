from __future__ import annotations

import polars as pl
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.candidate import candidate_of
from jec_assets.serving.endpoint import Endpoint
from jec_assets.serving.graph_levels import DEFAULT_LEVEL, LEVELS
from jec_assets.serving.instances import served_versions
from jec_assets.serving.latency import (
    FEWEST,
    FEWEST_FOR_PERCENTILES,
    IN_PROCESS,
    PERCENTILES,
    SCHEMA,
    WAYS,
    LatencyPlan,
    measure,
)
from jec_assets.serving.level_latency import SCHEMA as LEVEL_SCHEMA
from jec_assets.serving.level_latency import measure_levels
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.runtime import JetSession, inference_session
from jec_assets.serving.served import ENDPOINT_KEY, publish_endpoint
from jec_assets.serving.served_levels import SCHEMA as SERVED_LEVEL_SCHEMA
from jec_assets.serving.served_levels import measure_served_levels
from jec_assets_tests.serving.conftest import Served


@pytest.fixture(scope="module")
def sessions(pfn_onnx: bytes) -> dict[str, JetSession]:
    return {"pfn": inference_session(pfn_onnx, threads=1)}


@pytest.mark.needs("triton")
def test_every_cell_is_measured_as_planned(served: Served, sessions: dict[str, JetSession], jets: PackedJets) -> None:
    lines: list[str] = []
    plan = LatencyPlan(repetitions=FEWEST_FOR_PERCENTILES, seconds=None, batch_sizes=(2, 64))
    table = measure(served.endpoint, sessions, jets, plan, lines.append)
    assert table.schema == pl.Schema(SCHEMA)
    assert table.select("protocol", "batch_size").rows() == [(way, size) for way in WAYS for size in (2, 64)]
    assert table["repetitions"].to_list() == [FEWEST_FOR_PERCENTILES] * 6
    assert len(lines) == 2
    assert lines[1].startswith("pfn batch 64: http ")
    answered, alone = table.filter(pl.col("protocol") != IN_PROCESS), table.filter(pl.col("protocol") == IN_PROCESS)
    assert answered.null_count().sum_horizontal().item() == 0
    assert answered.select(pl.col("compute_ms") > 0).to_series().all()
    overhead = answered["round_trip_mean_ms"] - answered["compute_ms"]
    assert answered["overhead_ms"].to_list() == pytest.approx(overhead.to_list())
    assert answered.select(pl.col("times_in_process") > 0).to_series().all()
    assert alone["compute_ms"].to_list() == alone["round_trip_mean_ms"].to_list()
    assert alone.select("queue_ms", "overhead_ms", "times_in_process").null_count().row(0) == (2, 2, 2)
    assert table.select(pl.col("round_trip_p50_ms") <= pl.col("round_trip_p99_ms")).to_series().all()
    rate = table["batch_size"] / table["round_trip_mean_ms"] * 1e3
    assert table["jets_per_second"].to_list() == pytest.approx(rate.to_list())


@pytest.mark.needs("triton")
def test_time_bounds_repetitions(served: Served, sessions: dict[str, JetSession], jets: PackedJets) -> None:
    plan = LatencyPlan(repetitions=1_000_000, seconds=0, batch_sizes=(2,))
    table = measure(served.endpoint, sessions, jets, plan, lambda _: None)
    assert table["repetitions"].to_list() == [FEWEST] * 3


@pytest.mark.needs("triton")
def test_few_requests_have_no_percentiles(served: Served, sessions: dict[str, JetSession], jets: PackedJets) -> None:
    plan = LatencyPlan(repetitions=FEWEST_FOR_PERCENTILES - 1, seconds=None, batch_sizes=(2,))
    table = measure(served.endpoint, sessions, jets, plan, lambda _: None)
    percentiles = table.select(f"round_trip_p{each}_ms" for each in PERCENTILES)
    assert percentiles.null_count().row(0) == (3, 3, 3)


def test_the_server_computes_what_is_timed_in_this_process(jets: PackedJets) -> None:
    plan = LatencyPlan(repetitions=3, seconds=None)
    first, again = (list(plan.rounds(jets, 5)) for _ in range(2))
    assert [len(batch) for batch in first] == [5] * 3
    assert all((one.jets == other.jets).all() for one, other in zip(first, again, strict=True))
    assert (first[0].jets != first[1].jets).any()


def test_levels_are_timed_beside_the_default(pfn_onnx: bytes, jets: PackedJets) -> None:
    lines: list[str] = []
    plan = LatencyPlan(repetitions=3, seconds=None, batch_sizes=(1, 16))
    table = measure_levels({"pfn": pfn_onnx}, 1, jets, plan, lines.append)
    assert table.schema == pl.Schema(LEVEL_SCHEMA)
    assert table.select("batch_size", "level").rows() == [(size, level) for size in (1, 16) for level in LEVELS]
    assert table["repetitions"].to_list() == [3] * 2 * len(LEVELS)
    assert table.filter(pl.col("level") == DEFAULT_LEVEL)["times_default"].to_list() == [1, 1]
    assert table["largest_difference"].max() < 1e-5
    assert table["median_ms"].min() > 0
    assert lines == ["pfn: 4 graph levels at 2 batch sizes"]


@pytest.mark.needs("triton")
def test_every_level_is_served_and_measured_and_withdrawn(served: Served, jets: PackedJets) -> None:
    storage, lines, before = served.repository.storage, list[str](), served_versions(served.endpoint)
    publish_endpoint(storage, served.endpoint)
    try:
        plan = LatencyPlan(FEWEST, None, batch_sizes=(2,))
        table = measure_served_levels(served.endpoint, served.repository, [served.model], jets, plan, lines.append)
    finally:
        storage.remove(ENDPOINT_KEY)
    assert table.schema == pl.Schema(SERVED_LEVEL_SCHEMA)
    expected = [("pfn", level, way, 2, FEWEST) for level in LEVELS for way in WAYS]
    assert table.select("family", "level", "protocol", "batch_size", "repetitions").rows() == expected
    assert served_versions(served.endpoint) == before
    assert candidate_of(served.repository, "pfn") is None


def test_nothing_to_serve_is_an_empty_table(repository: ModelRepository, jets: PackedJets) -> None:
    nowhere = Endpoint("url", "127.0.0.1:1", "127.0.0.1:1")
    table = measure_served_levels(nowhere, repository, (), jets, LatencyPlan(FEWEST, None), lambda _: None)
    assert table.is_empty()
    assert table.schema == pl.Schema(SERVED_LEVEL_SCHEMA)
