from __future__ import annotations

import dagster as dg
import polars as pl
import pytest

from jec_assets.defs.reports import _closure_check
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.reports.report import ReportFigure
from jec_assets.reports.response import response_report
from jec_assets_tests.evaluation.synthetic import calibrated_table


@pytest.fixture(autouse=True)
def nothing_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn, but not turned into bytes, which takes most of a report's time."""
    monkeypatch.setattr(ReportFigure, "of", lambda _, name, title, alt: ReportFigure(name, title, alt, b"svg", b"png"))


def closing(jets: int = 6000) -> pl.DataFrame:
    """Jets that both networks calibrate perfectly, within a little noise."""
    noise = pl.Series(range(jets)) % 11 * 0.001 - 0.005
    return calibrated_table(jets).with_columns(
        log_factor_pfn=pl.col("target") + noise, log_factor_particle_net=pl.col("target") - noise
    )


def checked(table: pl.DataFrame, weighting: str = "none") -> dg.AssetCheckResult:
    check = _closure_check(response_report(table, table, Resampling(5, 1)), weighting)
    assert check.check_name == "networks_close"
    assert check.severity == dg.AssetCheckSeverity.WARN
    return check


def told(check: dg.AssetCheckResult, name: str) -> object:
    return check.metadata[name].value


def test_networks_that_close_pass() -> None:
    check = checked(closing())
    assert check.passed
    assert (told(check, "do not close"), told(check, "not judged")) == ("none", "none")
    assert told(check, "bins judged") > 50
    assert check.description.startswith("PFN passed: 0 of ")


def test_a_network_that_fails_is_named() -> None:
    check = checked(closing().with_columns(log_factor_pfn=pl.col("log_factor_pfn") + 0.05), "event_weights")
    assert not check.passed
    assert (told(check, "do not close"), told(check, "not judged")) == ("PFN", "none")
    assert "ParticleNet passed: 0 of " in check.description
    assert told(check, "weighting of jets in training") == "event_weights"


def test_where_nothing_was_judged_nothing_passes() -> None:
    check = checked(closing(100))
    assert not check.passed
    assert (told(check, "do not close"), told(check, "not judged")) == ("none", "PFN, ParticleNet")
    assert told(check, "bins judged") == 0
    assert told(check, "bins with too few jets") > 100


def test_without_networks_nothing_passes() -> None:
    check = checked(closing(100).drop("log_factor_pfn", "log_factor_particle_net"))
    assert not check.passed
    assert check.description == "There is no network to judge."
