"""The page that browsers are shown: real reports, and tables made to be sorted and saved."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.reports.calibration_page import publish_page
from jec_assets.reports.flavor import flavor_report
from jec_assets.reports.loss import loss_report
from jec_assets.reports.report import Report, Table
from jec_assets.reports.resolution import resolution_report
from jec_assets.storage import Storage
from jec_assets_tests.evaluation.synthetic import calibrated_table
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


def publish_sample(folder: Path) -> str:
    """Publish a page with three networks and return its file:// address."""
    test, training = calibrated_table(4000), calibrated_table(2000, seed=2)
    test = test.with_columns((1.2 * pl.col("log_factor_particle_net")).alias("log_factor_pfn_committee"))
    resampling = Resampling(5, 1)
    page = page_of(
        (
            loss_report(test, training, resampling),
            flavor_report(test, resampling),
            resolution_report(test, resampling),
            Report("cells", "Cells", "A summary.", (CELLS, LONG), (), {}),
        )
    )
    return Path(publish_page(Storage(str(folder)), page, NOW).page.uri).as_uri()
