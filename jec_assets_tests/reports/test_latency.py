from __future__ import annotations

import json

import polars as pl
import pytest

from jec_assets.reports.latency import latency_report
from jec_assets.reports.report import Report, ReportError, Table
from jec_assets_tests.plots.latencies import latency_table, level_table, load_table, served_level_table

FEW = pl.when(pl.col("batch_size") == 1024)


def row(table: Table, *labels: str) -> dict[str, str]:
    (found,) = [cells for cells in table.rows if cells[: len(labels)] == labels]
    return dict(zip(table.columns, found, strict=True))


@pytest.fixture(scope="module")
def report() -> Report:
    return latency_report(latency_table(), level_table(), load_table(), served_level_table())


def test_every_way_has_rows(report: Report):
    extremes, table, *_ = report.tables
    assert [cells[2] for cells in extremes.rows] == ["2", "1024"] * 6
    assert [cells[0] for cells in extremes.rows] == ["PFN"] * 6 + ["ParticleNet"] * 6
    assert len(table.rows) == 18
    assert row(table, "PFN", "HTTP", "1024")["Jets per second"] == "30,368"
    assert row(table, "PFN", "HTTP", "1024")["Of in process"] == "1.06"
    alone = row(table, "PFN", "in process", "1024")
    assert (alone["Overhead [ms]"], alone["Queue [ms]"], alone["Of in process"]) == ("–", "–", "–")


def test_the_summary_has_http_and_the_knee(report: Report):
    assert (
        "PFN, HTTP: 30,368 jets per second at 1024 jets a request, in 1.06 times what that takes without a server"
        in report.summary
    )
    assert report.summary.endswith(
        "that the server keeps up with: PFN 3,200 per second; ParticleNet no rate that was tried."
    )


def test_numbers_have_all_that_was_measured(report: Report):
    numbers = report.numbers["latency"]
    headline = numbers["headline"]["pfn"]["http"]
    assert headline["smallest_batch_size"] == 2
    assert headline["smallest_batch_round_trip_ms"] == pytest.approx(3.06)
    assert len(numbers["measurements"]) == 18
    assert (len(numbers["levels"]), len(numbers["load"])) == (4, 8)
    assert len(numbers["served_levels"]) == 36
    json.dumps(report.numbers, allow_nan=False)


def test_levels_and_loads_have_tables(report: Report):
    levels, served, loads = report.tables[2:]
    assert len(served.rows) == 36
    assert row(served, "PFN", "basic", "HTTP", "1024")["Jets per second"] == "30,368"
    assert row(levels, "PFN", "64", "disabled")["Of level all"] == "1.50"
    assert row(levels, "PFN", "64", "disabled")["Largest difference"] == "5.0e-08"
    assert [cells[-1] for cells in loads.rows].count("knee") == 1
    knee = row(loads, "PFN", "at random", "100", "3,200")
    assert (knee["median [ms]"], knee["Waiting"]) == ("3", "2")
    dead = row(loads, "ParticleNet", "clients", "1")
    assert (dead["Failed"], dead["Mean [ms]"], dead["Answered per second"]) == ("50", "–", "0")


def test_figures_of_what_was_answered(report: Report):
    assert [figure.name for figure in report.figures][-1] == "load_pfn"
    assert "The server keeps up with 3,200 per second." in report.figures[-1].alt
    assert "in process" in report.figures[0].alt


def test_what_was_not_measured_is_left_out():
    report = latency_report(latency_table(), level_table().clear(), load_table().clear(), served_level_table().clear())
    assert len(report.tables) == 2
    assert len(report.figures) == 4
    measured = latency_table().with_columns(
        FEW.then(7).otherwise(1000).alias("repetitions"),
        *(FEW.then(None).otherwise(column).alias(column) for column in ("round_trip_p50_ms", "round_trip_p95_ms")),
    )
    report = latency_report(measured, level_table().clear(), load_table().clear(), served_level_table().clear())
    assert report.summary.endswith("Each batch size was measured with 7 to 1,000 requests.")
    cells = row(report.tables[1], "PFN", "HTTP", "1024")
    assert (cells["Repetitions"], cells["median [ms]"], cells["95 % [ms]"]) == ("7", "–", "–")
    assert cells["Round trip, mean [ms]"] != "–"


def test_latencies_that_were_not_measured():
    with pytest.raises(ReportError, match="has no compute_ms"):
        latency_report(latency_table().drop("compute_ms"), level_table(), load_table(), served_level_table())
    with pytest.raises(ReportError, match="has no rows"):
        latency_report(latency_table().clear(), level_table(), load_table(), served_level_table())
