from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from jec_assets.evaluation.number import Number
from jec_assets.reports import published
from jec_assets.reports.comparison import comparison_report
from jec_assets.reports.flavor import flavor_report
from jec_assets.reports.loss import loss_report
from jec_assets.reports.report import Report, ReportError
from jec_assets.reports.resolution import resolution_report
from jec_assets.reports.text import number_text
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.reports.conftest import RESAMPLING


@pytest.fixture(scope="module")
def comparison(reports: dict[str, Report]) -> Report:
    return comparison_report(reports)


def cells_of(comparison: Report, *labels: str) -> dict[str, str]:
    (table,) = comparison.tables
    (found,) = (row for row in table.rows if row[:3] == labels)
    return dict(zip(table.columns, found, strict=True))


def test_one_table_has_every_quantity_in_every_region_and_interval(comparison: Report):
    (table,) = comparison.tables
    assert table.columns[3:] == ("PFN", "Published PFN", "ParticleNet", "Published ParticleNet")
    counted = Counter(row[0] for row in table.rows)
    assert counted == {"Loss [10⁻²]": 11, "Gain [%]": 11, "α [%]": 10, "β [%]": 10}
    assert len({row[:3] for row in table.rows}) == 42


def test_cells_say_what_the_other_reports_say(comparison: Report, reports: dict[str, Report]):
    beta = reports["resolution"].numbers["resolution"]["intervals"]["beta"]["pfn"]
    for region, intervals in beta.items():
        for name, text in {"30-100": "30–100", ">1000": "≥\N{NO-BREAK SPACE}1000"}.items():
            cell = cells_of(comparison, "β [%]", region, text)["PFN"]
            assert cell == number_text(Number.from_json(intervals[name]), 100)
    loss = cells_of(comparison, "Loss [10⁻²]", "all", "all")["ParticleNet"]
    assert float(loss.split()[0]) == pytest.approx(100 * reports["loss"].numbers["loss"]["particle_net"], abs=0.01)


def test_published_numbers_stand_beside_and_are_marked(comparison: Report):
    assert cells_of(comparison, "Loss [10⁻²]", "all", "all")["Published PFN"] == "8.768"
    assert cells_of(comparison, "Gain [%]", "all", "all")["Published ParticleNet"] == "7.79"
    assert cells_of(comparison, "α [%]", "endcap", "30–100")["Published ParticleNet"] == "17.97"
    assert cells_of(comparison, "β [%]", "barrel", "≥\N{NO-BREAK SPACE}1000")["Published PFN"] == "7.95"
    assert cells_of(comparison, "β [%]", "barrel", "≥\N{NO-BREAK SPACE}30")["Published PFN"] == "–"
    assert published.NOT_COMPARABLE in comparison.summary
    assert published.NOTE in comparison.tables[0].notes


def test_numbers(comparison: Report, reports: dict[str, Report]):
    numbers = json.loads(json.dumps(comparison.numbers, allow_nan=False))["comparison"]
    assert numbers["pfn"]["loss"]["all"]["value"] == reports["loss"].numbers["loss"]["pfn"]
    assert numbers["pfn"]["gain"]["all"]["published"] == 0.0752
    assert numbers["particle_net"]["alpha"]["barrel"]["100-300"]["published"] == 0.2452
    assert numbers["particle_net"]["beta"]["endcap"][">30"]["published"] is None


def test_families_of_our_own_have_columns_but_nothing_published():
    table = calibrated_table(400).rename({"log_factor_pfn": "log_factor_pfn_committee"})
    reports = (
        loss_report(table, calibrated_table(100), RESAMPLING),
        flavor_report(table, RESAMPLING),
        resolution_report(table, RESAMPLING),
    )
    (made,) = comparison_report({each.name: each for each in reports}).tables
    assert set(made.columns[3:]) == {"PFN committee", "ParticleNet", "Published ParticleNet"}


def test_a_missing_report_and_one_without_its_numbers_are_named(reports: dict[str, Report]):
    with pytest.raises(ReportError, match="no report 'flavor'"):
        comparison_report({name: each for name, each in reports.items() if name != "flavor"})
    bare = replace(reports["resolution"], numbers={"resolution": {}})
    with pytest.raises(
        ReportError, match=r"'resolution' has no numbers at resolution/intervals/beta/pfn/barrel/30-100"
    ):
        comparison_report({**reports, "resolution": bare})


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_are_told_not_a_crash(jets: int):
    table = calibrated_table(10).head(jets)
    made = comparison_report(
        {
            "loss": loss_report(table, calibrated_table(50), RESAMPLING),
            "flavor": flavor_report(table, RESAMPLING),
            "resolution": resolution_report(table, RESAMPLING),
        }
    )
    cells = [cell for row in made.tables[0].rows for cell in row]
    assert any("no jets" in cell or "n = 1" in cell for cell in cells)
    assert not any("nan" in cell.lower() or "none" in cell.lower() for cell in cells)
    json.dumps(made.numbers, allow_nan=False)
