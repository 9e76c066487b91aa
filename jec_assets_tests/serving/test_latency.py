from __future__ import annotations

import polars as pl
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.latency import FEWEST, FEWEST_FOR_PERCENTILES, PERCENTILES, SCHEMA, LatencyPlan, measure
from jec_assets_tests.serving.conftest import Served

pytestmark = pytest.mark.needs("triton")


def test_every_cell_is_measured_as_planned(served: Served, jets: PackedJets) -> None:
    lines: list[str] = []
    plan = LatencyPlan(repetitions=FEWEST_FOR_PERCENTILES, seconds=None, batch_sizes=(2, 64))
    table = measure(served.endpoint, ["pfn"], jets, plan, lines.append)
    assert table.schema == pl.Schema(SCHEMA)
    assert table.select("protocol", "batch_size").rows() == [("http", 2), ("http", 64), ("grpc", 2), ("grpc", 64)]
    assert table["repetitions"].to_list() == [FEWEST_FOR_PERCENTILES] * 4
    assert len(lines) == 4
    assert lines[1].startswith("pfn http batch 64: ")
    assert table.null_count().sum_horizontal().item() == 0
    assert table.select(pl.col("compute_ms") > 0).to_series().all()
    overhead = table["round_trip_mean_ms"] - table["compute_ms"]
    assert table["overhead_ms"].to_list() == pytest.approx(overhead.to_list())
    assert table.select(pl.col("round_trip_p50_ms") <= pl.col("round_trip_p99_ms")).to_series().all()
    rate = table["batch_size"] / table["round_trip_mean_ms"] * 1e3
    assert table["jets_per_second"].to_list() == pytest.approx(rate.to_list())


def test_time_bounds_repetitions(served: Served, jets: PackedJets) -> None:
    plan = LatencyPlan(repetitions=1_000_000, seconds=0, batch_sizes=(2,))
    table = measure(served.endpoint, ["pfn"], jets, plan, lambda _: None)
    assert table["repetitions"].to_list() == [FEWEST] * 2


def test_few_requests_have_no_percentiles(served: Served, jets: PackedJets) -> None:
    plan = LatencyPlan(repetitions=FEWEST_FOR_PERCENTILES - 1, seconds=None, batch_sizes=(2,))
    table = measure(served.endpoint, ["pfn"], jets, plan, lambda _: None)
    percentiles = table.select(f"round_trip_p{each}_ms" for each in PERCENTILES)
    assert percentiles.null_count().row(0) == (2, 2, 2)
    assert table.drop(percentiles.columns).null_count().sum_horizontal().item() == 0
