from __future__ import annotations

import json

import polars as pl
import pytest

from jec_assets.evaluation.bins import FLAVORS
from jec_assets.reports.generator import DIFFERENCE, generator_report
from jec_assets.reports.report import Report
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.reports.conftest import RESAMPLING
from jec_assets_tests.reports.test_builders import row


@pytest.fixture(scope="module")
def report() -> Report:
    return generator_report(calibrated_table(4000), calibrated_table(3000, seed=2), RESAMPLING)


def test_a_row_for_each_region_interval_and_correction(report: Report):
    shifts, added, jets = report.tables
    assert (len(shifts.rows), len(added.rows), len(jets.rows)) == (2 * 5 * 3, 2 * 5 * 2, 2 * 5 * 2)
    numbers = report.numbers["generator"]
    cells = row(shifts, "barrel", "30–100", "ParticleNet")
    value = numbers["shift"]["particle_net"]["barrel"]["30-100"]["uds-g"]["value"]
    assert float(cells[DIFFERENCE].split(" ±")[0].replace("\N{MINUS SIGN}", "-")) == pytest.approx(
        100 * value, abs=0.06
    )
    sides = (numbers[side]["standard"]["endcap"][">30"]["g"]["value"] for side in ("alternative", "nominal"))
    assert numbers["shift"]["standard"]["endcap"][">30"]["g"]["value"] == pytest.approx(next(sides) - next(sides))


def test_jets_of_both_generators_are_counted(report: Report):
    jets = report.tables[2]
    inclusive = "≥\N{NO-BREAK SPACE}30"
    for generator, table in (("nominal", calibrated_table(4000)), ("alternative", calibrated_table(3000, seed=2))):
        counted = sum(
            int(row(jets, region, inclusive, generator)["g"].replace(",", "")) for region in ("barrel", "endcap")
        )
        assert counted == len(table.filter(pl.col("flavor") == FLAVORS["g"], pl.col("genJetPt") >= 30))
    assert report.summary.startswith("4,000 test jets of the nominal generator, 3,000 jets of the alternative one.")


def test_figures_and_json(report: Report):
    assert [figure.name for figure in report.figures] == [
        "barrel_inclusive",
        "endcap_inclusive",
        "barrel_intervals",
        "endcap_intervals",
    ]
    assert all(f"Shift of {DIFFERENCE}: " in figure.alt for figure in report.figures)
    assert "standard" not in report.numbers["generator"]["added"]
    json.dumps(report.numbers, allow_nan=False)


@pytest.mark.parametrize(("jets", "note"), [(0, "no jets"), (1, "n = 1")])
def test_hardly_any_jets_are_told_not_a_crash(jets: int, note: str):
    table = calibrated_table(100).filter((pl.col("flavor") != 0) & (pl.col("genJetPt") >= 30)).head(jets)
    report = generator_report(table, table, RESAMPLING)
    cells = [cell for each in report.tables for cells in each.rows for cell in cells]
    assert any(note in cell for cell in cells)
    assert not any("nan" in cell.lower() or "none" in cell.lower() for cell in cells)
    json.dumps(report.numbers, allow_nan=False)
