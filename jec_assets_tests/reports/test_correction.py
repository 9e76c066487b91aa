"""The correction report says which correction is used, what ours was derived from, and what both are worth."""

from __future__ import annotations

import dataclasses
import json

import polars as pl
import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.reports.correction import correction_report
from jec_assets.reports.report import Report
from jec_assets_tests.evaluation.corrected_table import corrected_table, found_correction

RESAMPLING = Resampling(5, 1)


@pytest.fixture(scope="module")
def report() -> Report:
    return correction_report(corrected_table(), found_correction(), RESAMPLING)


def test_the_summary_says_what_is_used_and_from_where_on_ours_holds(report: Report) -> None:
    assert (report.name, report.title) == ("correction", "Standard correction")
    assert "jetPt of the files is used" in report.summary
    assert "40,000 jets of training events with pT,gen from 50 GeV and held constant below" in report.summary
    measured = report.numbers["standard_correction"]["results"]["regions"]["0-1.3"]["file"]["median"]["value"]
    assert f"barrel: in the files {measured:.4f}"[:-1] in report.summary
    assert "residual correction" in report.summary


def test_both_corrections_have_a_row_in_every_bin(report: Report) -> None:
    closures = [table for table in report.tables if table.title.startswith("Closure")]
    assert len(closures) == 5
    for table in closures:
        assert [row[1] for row in table.rows] == ["In the files", "Derived here"] * (len(table.rows) // 2)
        assert all(row[-1] == "–" for row in table.rows[::2])
    regions = closures[0].rows
    assert [row[0] for row in regions] == ["0–1.3"] * 2 + ["1.3–2.5"] * 2


def test_levels_are_told_with_where_they_are_held_constant(report: Report) -> None:
    correction = found_correction().derived
    assert correction is not None
    (offset,) = (table for table in report.tables if table.title == "Derived here: L1")
    assert [row[1] for row in offset.rows] == [f"{slope:.4f}" for slope in correction.offset_slopes]
    (levels,) = (table for table in report.tables if "held constant" in table.title)
    for row, curve in zip(levels.rows, correction.response, strict=True):
        assert row[1] == f"{curve.pts[0]:.0f}–{curve.pts[-1]:.0f}"
        assert row[2] == f"{curve.factors[0]:.4f}"
        assert 0 < float(row[5]) < 20
    numbers = report.numbers["standard_correction"]
    assert numbers["derived"]["valid_from_gen_pt"] == 50
    assert 0 < numbers["derived"]["test_jets_beyond"] < numbers["derived"]["test_jets"]
    assert numbers["results"]["regions"]["0-1.3"]["file"]["median"]["value"] == pytest.approx(1.02, abs=0.01)
    json.dumps(report.numbers, allow_nan=False)


def test_figures_show_closure_and_levels(report: Report) -> None:
    names = [figure.name for figure in report.figures]
    assert names == ["barrel", "endcap", "abs_gen_eta", "rho", "response_factors", "offset_slopes"]
    assert all(figure.alt and figure.svg and figure.png for figure in report.figures)


def test_jets_that_come_uncorrected_are_compared_with_what_they_were() -> None:
    table = corrected_table().with_columns(jetPt=pl.col("jetRawPt"))
    found = dataclasses.replace(found_correction("derived"), errors=("a.root: it is damaged",))
    report = correction_report(table, found, RESAMPLING)
    assert "jetPt is made of jetRawPt by the correction derived here" in report.summary
    assert "1 files could not be read" not in report.summary
    assert "1 file could not be read" in report.summary
    assert {row[1] for row in report.tables[0].rows} == {"Uncorrected", "Derived here"}


def test_too_few_jets_to_derive_ours_leave_the_files_alone() -> None:
    found = dataclasses.replace(found_correction(), derived=None, jets=0, why_none="there are 3 jets")
    report = correction_report(corrected_table(), found, RESAMPLING)
    assert "None could be derived to compare it with: there are 3 jets." in report.summary
    assert all("Derived" not in cell for table in report.tables for row in table.rows for cell in row)
    assert "derived" not in report.numbers["standard_correction"]


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_test_jets_are_no_fault(jets: int) -> None:
    report = correction_report(corrected_table().head(jets), found_correction(), RESAMPLING)
    assert "no jets" in {cell for table in report.tables for row in table.rows for cell in row}
    json.dumps(report.numbers, allow_nan=False)
