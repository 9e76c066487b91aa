from __future__ import annotations

import json

import polars as pl
import pytest

from jec_assets.reports.report import Report, ReportFigure, Table
from jec_assets.reports.response import response_report
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.reports.conftest import RESAMPLING


def table(report: Report, title: str) -> Table:
    (found,) = (each for each in report.tables if each.title == title)
    return found


@pytest.fixture
def nothing_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn, but not turned into bytes, which takes most of a report's time."""
    monkeypatch.setattr(ReportFigure, "of", lambda _, name, title, alt: ReportFigure(name, title, alt, b"svg", b"png"))


@pytest.fixture(scope="module")
def report() -> Report:
    return response_report(calibrated_table(6000), calibrated_table(5000, seed=2), RESAMPLING)


def test_the_verdict_on_each_family_with_and_without_residual_correction(report: Report):
    rows = table(report, "Closure gate").rows
    assert [cells[:2] for cells in rows] == [
        ("PFN", "none"),
        ("PFN", "with"),
        ("ParticleNet", "none"),
        ("ParticleNet", "with"),
    ]
    closures = report.numbers["response"]["closure"]
    for cells, side in zip(rows[:2], ("alone", "with_residual"), strict=True):
        counts = [closures[side][name]["pfn"] for name in ("outcome", "judged", "failing", "too_few_jets")]
        assert list(cells[2:6]) == [str(each) for each in counts]
        assert float(cells[7].split("\N{NO-BREAK SPACE}")[0]) == pytest.approx(
            closures[side]["loss"]["pfn"]["value"], abs=1e-4
        )
    assert "PFN" in report.summary
    assert report.summary.endswith(".")


def test_failing_bins_are_listed_with_their_numbers(nothing_rendered: None):
    biased = calibrated_table(6000).with_columns(log_factor_pfn=pl.col("log_factor_pfn") + 0.1)
    report = response_report(biased, calibrated_table(6000, seed=2), RESAMPLING)
    failing = table(report, "Bins that fail to close")
    alone = [cells for cells in failing.rows if cells[:2] == ("PFN", "none")]
    bins = report.numbers["response"]["closure"]["alone"]["bins"]["pfn"]
    failed = [
        leaf for binned in bins.values() for region in binned.values() for leaf in region.values() if leaf["failed"]
    ]
    assert len(alone) == len(failed) > 20
    assert f"PFN fails to close in {len(failed)} of" in report.summary


def test_beside_the_expectation_stands_how_far_the_median_is_from_1(report: Report):
    bins = table(report, "Closure in all bins")
    columns = [bins.columns.index(name) for name in ("Median of pT,gen / pT,cal", "Median - 1 [%]")]
    told = [[cells[column].replace("\N{MINUS SIGN}", "-") for column in columns] for cells in bins.rows]
    assert {deviation for median, deviation in told if "±" not in median} == {"–"}
    for median, deviation in told:
        if "±" in median:
            assert float(deviation) == pytest.approx(100 * (float(median.split("\N{NO-BREAK SPACE}")[0]) - 1), abs=0.51)


def test_biased_bins_are_marked(report: Report):
    rows = table(report, "Median response against pT,gen").rows
    marked = {cells[0] for cells in rows if "(selection-biased)" in cells[3]}
    assert marked == {"20–25", "25–30", "30–35", "35–40", "40–50"}


def test_figures_and_numbers(report: Report):
    names = [figure.name for figure in report.figures]
    assert names[:3] == ["closure", "closure_with_residual", "closure_generated"]
    assert {"median_rho", "flavors_pileup", "map", "tails_barrel", "tails_endcap"} <= set(names)
    assert len(set(names)) == len(names)
    numbers = json.loads(json.dumps(report.numbers, allow_nan=False))["response"]
    assert numbers["median"]["pfn"]["gen_pt"]["g"]["100-140"]["value"] == pytest.approx(1, abs=0.05)
    assert numbers["tails"]["standard"]["barrel"]["50-100"]["below"]["n"] > 100


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_are_told(jets: int, nothing_rendered: None):
    few = response_report(calibrated_table(10).head(jets), calibrated_table(10).head(jets), RESAMPLING)
    assert few.summary == "There are too few test jets to judge a closure."
    cells = [cell for each in few.tables for cells in each.rows for cell in cells]
    assert not any("nan" in cell.lower() for cell in cells)
    assert "no jets" in cells
    json.dumps(few.numbers, allow_nan=False)


def test_without_networks_there_is_nothing_to_judge(nothing_rendered: None):
    alone = calibrated_table(300).drop("log_factor_pfn", "log_factor_particle_net")
    report = response_report(alone, alone, RESAMPLING)
    assert table(report, "Closure gate").rows == ()
    assert report.summary == "There are too few test jets to judge a closure."
