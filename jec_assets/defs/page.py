"""The asset that everything ends in: all reports -> calibration_report.

Belongs here: gathering reports and provenance. Does not belong here: the reports (`reports.py`, `serving.py`) and the
page's HTML.
"""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from jec_assets import evaluation, plots, reports
from jec_assets.defs.alive import alive
from jec_assets.defs.families import present_of
from jec_assets.defs.kubernetes import SMALL
from jec_assets.defs.resources import SettingsParam, StorageParam
from jec_assets.evaluation.provenance import split_digest
from jec_assets.jets.arrivals import publish_calibrated_files
from jec_assets.jets.splits import SHARES
from jec_assets.reports.calibration_page import CalibrationPage, ServedVersion, publish_page
from jec_assets.reports.comparison import comparison_report
from jec_assets.reports.publishing import PublishedReport, load
from jec_assets.reports.report import JsonValue, report_asset
from jec_assets.reports.sources import page_reports, require_current_report
from jec_assets.serving.served import load_endpoint, load_release
from jec_assets.settings import Settings
from jec_assets.storage import Storage, code_digest, package_versions

VERSIONED_PACKAGES = (
    *("dagster", "numpy", "optuna", "polars", "torch", "uproot"),
    *("nvidia-pytriton", "onnx", "onnxruntime", "onnxruntime-gpu", "tritonclient"),
)


def page_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The page; which reports it waits for depends on whether there is an alternative sample."""

    @dg.asset(
        group_name="reports",
        kinds={"html"},
        code_version=code_digest(evaluation, plots, reports),
        deps=[report_asset(name) for name in page_reports(alternative=settings.alternative_source is not None)],
        op_tags=SMALL,
    )
    @alive
    def calibration_report(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
        """Everything on one page that needs nothing else, and the same numbers as JSON."""
        present = present_of(settings, storage)
        published = [load(storage, name) for name in page_reports(present.alternative)]
        for each in published:
            require_current_report(each, present)
        result = publish_page(storage, _page(settings, storage, published, present.families), datetime.now(UTC))
        publish_calibrated_files(storage)
        paths = {"report": dg.MetadataValue.path(result.page.uri), "numbers": dg.MetadataValue.path(result.numbers.uri)}
        return dg.MaterializeResult(data_version=dg.DataVersion(result.page.digest), metadata=paths)

    return [calibration_report]


def _page(
    settings: Settings, storage: Storage, published: Sequence[PublishedReport], families: Sequence[str]
) -> CalibrationPage:
    by_name = {each.report.name: each.report for each in published}
    served = [load_release(storage, family) for family in families]
    return CalibrationPage(
        (comparison_report(by_name), *by_name.values()),
        tuple(ServedVersion(each.family, each.version, each.promoted, each.reason) for each in served),
        _provenance(settings, storage, published),
        {each.report.name: each.provenance for each in published},
        settings.experiment,
    )


def _provenance(
    settings: Settings, storage: Storage, published: Sequence[PublishedReport]
) -> dict[str, dict[str, JsonValue]]:
    return {
        "versions": {"python": platform.python_version(), **package_versions(*VERSIONED_PACKAGES)},
        "splits": {name: split_digest(storage, name) for name in SHARES},
        "reports": {each.report.name: each.digest for each in published},
        "settings": settings.model_dump(mode="json"),
        "endpoint": {"url": load_endpoint(storage).url},
    }
