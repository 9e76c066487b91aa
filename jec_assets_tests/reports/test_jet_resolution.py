from __future__ import annotations

import json

import polars as pl
import pytest

from jec_assets.reports.jet_resolution import jet_resolution_report
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.reports.conftest import RESAMPLING


def predicted(jets: int) -> pl.DataFrame:
    return (
        calibrated_table(4000)
        .head(jets)
        .with_columns(quantile_16_pfn=pl.col("log_factor_pfn") - 0.1, quantile_84_pfn=pl.col("log_factor_pfn") + 0.1)
    )


def test_pulls_coverage_and_resolution():
    report = jet_resolution_report(predicted(4000), RESAMPLING)
    assert [each.title for each in report.tables] == [
        "Pulls",
        "Coverage of the predicted 68 % interval",
        "Coverage per flavor [%]",
        "Predicted and measured resolution",
    ]
    assert report.tables[2].columns[3:] == ("u", "d", "s", "c", "b", "g")
    assert [figure.name for figure in report.figures] == ["pulls", "coverage", "classes"]
    numbers = json.loads(json.dumps(report.numbers, allow_nan=False))["jet_resolution"]
    width = numbers["pulls"]["pfn"]["core_width"]["value"]
    assert f"core width {width:.3f}" in report.summary
    assert numbers["coverage"]["pfn"]["barrel"]["100-150"]["all"]["n"] > 50


def test_without_quantiles_it_says_how_to_have_them():
    report = jet_resolution_report(calibrated_table(50), RESAMPLING)
    assert "JEC_LOSS=quantile" in report.summary
    assert report.tables == report.figures == ()
    assert report.numbers == {"jet_resolution": {}}


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_are_told(jets: int):
    report = jet_resolution_report(predicted(jets), RESAMPLING)
    cells = [cell for each in report.tables for cells in each.rows for cell in cells]
    assert not any("nan" in cell.lower() for cell in cells)
    assert any(note in cell for cell in cells for note in ("no jets", "n = 1"))
    json.dumps(report.numbers, allow_nan=False)
