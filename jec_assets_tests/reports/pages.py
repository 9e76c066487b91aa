"""Calibration pages that tests publish."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from jec_assets.reports.calibration_page import CalibrationPage, ServedVersion
from jec_assets.reports.comparison import comparison_report
from jec_assets.reports.report import Report

NOW = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)


def page_of(reports: Iterable[Report], experiment: str = "default") -> CalibrationPage:
    """The comparison, then these reports; a promoted and a refused model; provenance with something to escape."""
    named = {each.name: each for each in reports}
    shown = (comparison_report(named), *named.values())
    return CalibrationPage(
        shown,
        (
            ServedVersion("pfn", 1, True, "nothing is served yet"),
            ServedVersion("particle_net", 3, False, "worse than the served model <by far>"),
        ),
        {
            "versions": {"jec-assets": "0.1.0", "torch": "2.13.0"},
            "settings": {"source": "data & more", "families": ["pfn", "particle_net"]},
        },
        {
            each.name: {"code": f"code of {each.name}", "best_models": {"pfn": "abc", "particle_net": "def"}}
            for each in shown
        },
        experiment,
    )
