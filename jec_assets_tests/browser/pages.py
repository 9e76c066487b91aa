"""The page that browsers are shown: every report of a real one, and tables made to be sorted and saved."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pytest

from jec_assets.reports import report
from jec_assets.reports.calibration_page import publish_page
from jec_assets.reports.flavor import flavor_report
from jec_assets.reports.loss import loss_report
from jec_assets.reports.report import Report, Table
from jec_assets.reports.resolution import resolution_report
from jec_assets.storage import Storage
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.reports.conftest import RESAMPLING, section_reports
from jec_assets_tests.reports.pages import NOW, page_of

CELLS = Table(
    "All kinds of cells",
    ("Region", "pT,gen [GeV]", "Gain [%]", "Jets", "Remark"),
    (
        ("barrel", "100–300", "9.5 ± 0.4", "12,345", "a, b"),
        ("barrel", "30–100", "−0.3 ± 1.2", "999", 'said "so"'),
        ("endcap", "≥ 1000", "no jets", "–", "–"),
        ("endcap", "300–1000", "10.25 ± 0.05", "1.5k", "10 b"),
        ("endcap", "< 30", "9.5 (n = 1)", "1", "9 a"),
    ),
    ("One note.",),
    labels=2,
)
LONG = Table("A long one", ("Bin", "Jets"), tuple((f"{n}–{n + 1}", str(n)) for n in range(30)))


def three_networks(jets: int, seed: int) -> pl.DataFrame:
    """Calibrated jets with a third network, which makes tables as wide as they get."""
    committee = (1.2 * pl.col("log_factor_particle_net")).alias("log_factor_pfn_committee")
    return calibrated_table(jets, seed).with_columns(committee)


def publish_sample(folder: Path) -> str:
    """Publish a page with every section and return its file:// address; the PNGs, which it doesn't show, stay empty."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "png_bytes", lambda _: b"")
        return _published(folder, section_reports(three_networks).values())


def publish_tables(folder: Path) -> str:
    """Publish a page with few figures, where tables are sorted and saved, and return its file:// address."""
    test, training = three_networks(4000, 1), three_networks(2000, 2)
    made = loss_report(test, training, RESAMPLING), flavor_report(test, RESAMPLING), resolution_report(test, RESAMPLING)
    return _published(folder, made)


def _published(folder: Path, reports: Iterable[Report]) -> str:
    cells = Report("cells", "Cells", "A summary.", (CELLS, LONG), (), {})
    return Path(publish_page(Storage(str(folder)), page_of((*reports, cells)), NOW).page.uri).as_uri()
