"""Each report says what its numbers say, and says so where there are none."""

from __future__ import annotations

import json
from dataclasses import replace

import polars as pl
import pytest

from jec_assets.evaluation.jets.distributions import Sample
from jec_assets.evaluation.networks.search import NoTrialsError
from jec_assets.reports.complexity import complexity_report
from jec_assets.reports.dataset import dataset_report
from jec_assets.reports.flavor import flavor_report
from jec_assets.reports.loss import loss_report
from jec_assets.reports.report import Report, ReportError, Table
from jec_assets.reports.resolution import resolution_report
from jec_assets.reports.search import search_report
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.evaluation.synthetic_split import split_jets
from jec_assets_tests.reports.conftest import RESAMPLING, trials


def row(table: Table, *names: str) -> dict[str, str]:
    """The row with these first cells, by column; spaces that don't break are like others."""
    (found,) = (cells for cells in table.rows if cells[: len(names)] == names)
    return {column: cell.replace("\N{NO-BREAK SPACE}", " ") for column, cell in zip(table.columns, found, strict=True)}


def test_every_report_is_named_told_and_json(reports: dict[str, Report]):
    for name, report in reports.items():
        assert report.name == name
        assert report.title
        assert report.summary.endswith(".")
        assert report.tables
        json.dumps(report.numbers, allow_nan=False)
        assert len({figure.name for figure in report.figures}) == len(report.figures)
        assert all(figure.alt and figure.svg and figure.png for figure in report.figures)


def test_loss(reports: dict[str, Report]):
    report = reports["loss"]
    table, intervals, weighted, weighted_intervals = report.tables
    assert [cells[0] for cells in table.rows] == [
        "Standard correction",
        "Constant shift",
        "Kinematics only",
        "PFN",
        "ParticleNet",
    ]
    pfn = row(table, "PFN")
    losses = report.numbers["loss"]
    assert pfn["Loss"].startswith(f"{losses['pfn']:.4f}"[:5])
    below = 100 * (1 - losses["pfn"] / losses["kinematics"])
    assert float(pfn["Below kinematics [%]"].split(" ±")[0]) == pytest.approx(below, abs=0.1)
    assert (pfn["Published loss"], pfn["Published gain [%]"]) == ("0.08768", "7.52")
    assert row(table, "Standard correction")["Below standard [%]"] == "–"
    by_weight = report.numbers["loss_weighted"]
    assert by_weight["loss"]["pfn"]["value"] > losses["pfn"]  # low pT is measured worst
    assert row(weighted, "PFN")["Loss"].startswith(f"{by_weight['loss']['pfn']['value']:.2f}")
    labels = [cells[:3] for cells in intervals.rows]
    assert [cells[:3] for cells in weighted_intervals.rows] == labels
    by_interval = report.numbers["loss_weighted_by_interval"]
    cells = row(weighted_intervals, "barrel", "30–100", "PFN")
    assert cells["Loss"].startswith(f"{by_interval['pfn']['barrel']['30-100']['loss']['value']:.2f}")
    assert cells["Effective jets"] == f"{by_interval['effective_jets']['barrel']['30-100']:.0f}"
    assert int(cells["Effective jets"]) < int(row(intervals, "barrel", "30–100", "PFN")["Jets"])
    assert row(weighted, "PFN")["Effective jets"] == f"{by_weight['effective_jets']:.0f}"


def test_flavor(reports: dict[str, Report]):
    alphas, weighted, medians, jets = reports["flavor"].tables
    assert len(alphas.rows) == len(weighted.rows) == len(medians.rows) == 2 * 5 * 3
    cells = row(alphas, "barrel", "100–300", "ParticleNet")
    assert cells["Published α [%]"] == "24.52"
    assert cells["Jets"] == str(sum(int(each) for each in row(jets, "barrel", "100–300").values() if each.isdecimal()))
    assert "< 100 jets of" in row(alphas, "endcap", "≥\N{NO-BREAK SPACE}1000", "PFN")["α [%]"]
    inclusive = ("barrel", "≥\N{NO-BREAK SPACE}30")
    sae, floor = (row(alphas, *inclusive, "Standard correction")[each].split(" ")[0] for each in ("SAE", "Noise floor"))
    numbers = reports["flavor"].numbers["flavor"]
    assert float(sae) == pytest.approx(numbers["sae"]["standard"]["barrel"][">30"]["value"], abs=0.001)
    assert float(floor) == pytest.approx(numbers["noise_floor"]["standard"]["barrel"][">30"]["value"], abs=0.001)
    assert float(sae) > float(floor)
    assert "effective jets" in row(weighted, *inclusive, "PFN")["α [%]"]
    assert numbers["weighted"]["effective_jets"]["barrel"][">30"] < int(cells["Jets"])
    assert int(row(jets, *inclusive)["g"].replace(",", "")) > 500
    assert [figure.name for figure in reports["flavor"].figures] == [
        "barrel_inclusive",
        "endcap_inclusive",
        "barrel_intervals",
        "endcap_intervals",
    ]


def test_resolution(reports: dict[str, Report]):
    intervals, weighted, widths, improvements, bins = reports["resolution"].tables
    assert [len(each.rows) for each in (intervals, weighted, bins)] == [2 * 7 * 3, 2 * 7 * 3, 2 * 19 * 3]
    assert [len(each.rows) for each in (widths, improvements)] == [2 * 5 * 3, 2 * 5 * 2]
    assert row(intervals, "endcap", "300–1000", "PFN")["Published β [%]"] == "12.90"
    assert not any("Published" in column for each in (weighted, bins) for column in each.columns)
    biased = row(intervals, "barrel", "30–100", "PFN")
    assert [biased[each] for each in ("Slope", "β corrected [%]")] == ["biased < 50 GeV", "–"]
    numbers = reports["resolution"].numbers["resolution"]
    corrected = numbers["intervals"]["beta_corrected"]["particle_net"]["barrel"]["100-300"]["value"]
    cells = row(intervals, "barrel", "100–300", "ParticleNet")
    assert float(cells["β corrected [%]"].split(" ")[0]) == pytest.approx(100 * corrected, abs=0.5)
    assert numbers["bins"]["s"]["pfn"]["barrel"].keys() == numbers["flavor_bins"]["s"]["pfn"]["barrel"].keys()
    gluons = numbers["flavors"]["beta"]["particle_net"]["barrel"][">30"]["g"]
    told = row(improvements, "barrel", "≥\N{NO-BREAK SPACE}30", "ParticleNet")["g"].split(" ")[0]
    assert float(told) == pytest.approx(100 * gluons["value"], abs=0.5)
    assert (
        numbers["weighted"]["beta"]["pfn"]["barrel"][">30"]["n"]
        > numbers["weighted"]["effective_jets"]["barrel"][">30"]
    )
    assert [figure.name for figure in reports["resolution"].figures] == [
        "barrel",
        "endcap",
        "barrel_flavors",
        "endcap_flavors",
    ]


def test_search(reports: dict[str, Report]):
    best, hyperparameters, quartiles = reports["search"].tables[:3]
    assert [cells[0] for cells in best.rows] == ["0", "2", "1"]
    assert best.columns[1:4] == ("layers", "dropout", "optimizer")
    assert [cells[0] for cells in hyperparameters.rows] == ["layers", "dropout", "optimizer"]
    assert row(hyperparameters, "dropout")["Published ρ"] == "−0.54"
    assert row(hyperparameters, "optimizer")["Pearson's ρ with 1 / test loss"] == "–"
    assert "fewer than 10 trials" in row(hyperparameters, "layers")["Importance for validation loss [%]"]
    assert hyperparameters.notes[0].startswith("Over all 4 trials.")
    assert row(quartiles, "dropout")["Highest losses"] == "0 (n = 1)"
    assert row(quartiles, "dropout")["Published, highest"] == "0.31"
    assert "trial 0 has the lowest validation loss" in reports["search"].summary
    assert "would have picked trial 2" in reports["search"].summary
    names = [figure.name for figure in reports["search"].figures]
    assert names[:4] == ["trials", "best_so_far", "parallel_pfn", "parallel_particle_net"]
    with pytest.raises(NoTrialsError):
        search_report({"pfn": []}, 0.078)


def test_trials_on_other_terms_are_named():
    tried = [replace(each, terms=(("epochs", 8 if each.number == 2 else 4),)) for each in trials(0.07)]
    report = search_report({"pfn": tried}, 0.078)
    assert "Over 3 of 4 trials: 2 had other terms" in report.tables[1].notes[0]
    assert report.numbers["search"]["pfn"]["other_terms"] == [2]
    assert report.numbers["search"]["pfn"]["compared"] == 3


def test_complexity(reports: dict[str, Report]):
    sizes, macs, costs = reports["complexity"].tables
    cells = row(sizes, "ParticleNet")
    assert (cells["Parameters"], cells["MACs"]) == ("123,469", "47,588,001")
    assert (cells["Published parameters"], cells["Published MACs"]) == ("123.47k", "47.59M")
    assert list(row(macs, "PFN").values()) == ["PFN", "1,426,001", "400,000", "100,000"]
    assert list(row(costs, "PFN").values()) == ["PFN", "1,200", "0.00", "0.0"]
    assert "on a processor" in costs.notes[0]
    numbers = reports["complexity"].numbers["complexity"]["pfn"]
    assert (numbers["macs"], numbers["executed"]["macs"]) == (1_426_001, 1e5)
    assert numbers["measured"]["jets_per_second"] == 1200
    with pytest.raises(ReportError, match="best_model"):
        complexity_report([])


def test_dataset(reports: dict[str, Report]):
    by_interval, by_flavor, all_of_it, outside, drifts = reports["dataset"].tables
    assert by_interval.columns == ("Region", "pT,gen [GeV]", "train", "validation", "test", "all")
    totals = [sum(int(cells[-1].replace(",", "")) for cells in table.rows) for table in (by_interval, by_flavor)]
    assert totals == [7900, 7900]
    assert [cells[1] for cells in by_interval.rows[1:4]] == ["30–100", "100–300", "300–1000"]
    assert sum(int(cell.replace(",", "")) for cells in all_of_it.rows for cell in cells[3:]) == 7900
    assert row(outside, "validation")["any"] == "0"
    assert row(outside, "test")["of jets"] == "4,000"
    assert row(drifts, "test", "rhoAll")["Differs"] == "no"
    assert reports["dataset"].summary == (
        "7,900 jets: 3,000 train, 900 validation, 4,000 test. "
        f"No column differs between splits beyond chance ({len(drifts.rows)} comparisons)."
    )
    assert [figure.name for figure in reports["dataset"].figures] == [
        *("gen_kinematics", "target", "pileup", "jet_features_1", "particle_features_1"),
    ]


def test_a_split_that_drifts_is_named(reports: dict[str, Report]):
    train, test = calibrated_table(3000), calibrated_table(3000, seed=2).with_columns(pl.col("rhoAll") + 3)
    report = dataset_report({"train": train, "test": test}, split_jets(), Sample(100))
    assert report.summary.endswith("Beyond chance, these differ from the training jets: rhoAll of test.")
    assert report.numbers["dataset"]["drift"]["test"]["rhoAll"]["differs"]


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_are_told_not_a_crash(jets: int):
    table = calibrated_table(10).head(jets)
    for report in (
        loss_report(table, calibrated_table(50), RESAMPLING),
        flavor_report(table, RESAMPLING),
        resolution_report(table, RESAMPLING),
        dataset_report({"test": table}, split_jets(table), Sample()),
    ):
        cells = [cell for each in report.tables for cells in each.rows for cell in cells]
        assert not any("nan" in cell.lower() or "none" in cell.lower() for cell in cells)
        assert "nan" not in json.dumps(report.numbers, allow_nan=False)
        if report.name != "dataset":
            assert any(note in cell for cell in cells for note in ("no jets", "n = 1"))


def test_families_without_published_numbers_have_no_such_columns():
    table = calibrated_table(300).drop("log_factor_pfn").drop("log_factor_particle_net")
    intervals = resolution_report(table.with_columns(pl.lit(0.0).alias("log_factor_pfn")), RESAMPLING).tables[0]
    assert any("Published" in column for column in intervals.columns)
    assert not any("Published" in column for column in resolution_report(table, RESAMPLING).tables[0].columns)
