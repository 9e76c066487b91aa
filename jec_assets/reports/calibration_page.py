"""The calibration report: one HTML page with everything, and the same numbers as JSON.

Belongs here: what the page holds and the order in which it is published. Does not belong here: the reports themselves,
the page's HTML (`rendering.py`) and what is kept of earlier versions (`history.py`).

    reports/objects/<digest>.html        every page that was ever published
    reports/calibration.html             the latest page
    reports/history/<experiment>.json    the versions so far
    reports/calibration.json             the latest page's numbers, written last
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from jec_assets.reports.history import (
    SHOWN,
    Outcome,
    Version,
    load_versions,
    publish_history,
    publish_version,
    version_keys,
)
from jec_assets.reports.publishing import OBJECTS
from jec_assets.reports.rendering import render
from jec_assets.reports.report import JsonValue, Report, ReportError
from jec_assets.reports.results import Results

if TYPE_CHECKING:
    from datetime import datetime

    from jec_assets.storage import Artifact, Storage

PAGE_KEY = "reports/calibration.html"
NUMBERS_KEY = "reports/calibration.json"


@dataclass(frozen=True)
class ServedVersion:
    """Which version of a family is served; promoted: whether it is the latest best model; reason: why, or why not."""

    family: str
    version: int
    promoted: bool
    reason: str


@dataclass(frozen=True)
class CalibrationPage:
    """What the page shows, in this order: reports, served models, provenance.

    provenance: sections (`versions`, `splits`, `settings`, ...), each from names to values; `versions` is required.
    sources: what each report was made of, by the reports' names.
    experiment: what it belongs to; earlier versions are shown of the same one.
    """

    reports: tuple[Report, ...]
    served: tuple[ServedVersion, ...]
    provenance: Mapping[str, Mapping[str, JsonValue]]
    sources: Mapping[str, Mapping[str, JsonValue]]
    experiment: str

    @property
    def outcome(self) -> Outcome:
        """What makes it a version: served models and headline numbers; `ReportError` where a report lacks them."""
        results = Results.of(self.reports)
        return Outcome(
            {each.family: each.version for each in self.served},
            {family: results.headline(family) for family in results.families},
        )


@dataclass(frozen=True)
class PublishedPage:
    """Where the latest page and its numbers are."""

    page: Artifact
    numbers: Artifact


def page_numbers(page: CalibrationPage) -> dict[str, JsonValue]:
    """All numbers of the page: every report's, `promotion`, `versions`, and the whole `provenance` and `sources`.

    Raises `ReportError` where two reports claim the same key, or without `versions`.
    """
    if "versions" not in page.provenance:
        raise ReportError("the page's provenance has no section `versions`: hand it the installed packages' versions")
    numbers: dict[str, JsonValue] = {
        "promotion": {each.family: asdict(each) for each in page.served},
        "versions": page.provenance["versions"],
        "provenance": page.provenance,
        "sources": page.sources,
    }
    for report in page.reports:
        for key, value in report.numbers.items():
            if key in numbers:
                raise ReportError(f"report {report.name!r} has numbers under {key!r}, which another one uses")
            numbers[key] = value
    return numbers


def publish_page(storage: Storage, page: CalibrationPage, now: datetime) -> PublishedPage:
    """Publish the page with the versions before it, then its numbers with the page's digest.

    A page whose headline numbers and models are those of the latest version is that version, and keeps its date instead
    of `now`: publishing the same page again writes the same bytes and adds nothing to the history.
    """
    numbers, outcome, keys = page_numbers(page), page.outcome, version_keys(storage, page.experiment)
    versions = load_versions(storage, keys[-SHOWN - 1 :])
    known = bool(versions) and versions[-1].outcome == outcome
    published = versions[-1].published if known else now.replace(microsecond=0)
    html = render(page, outcome, published, versions[:-1] if known else versions[-SHOWN:]).encode()
    digest = storage.publish_named_by_digest(OBJECTS, ".html", html).digest
    if not known:
        keys.append(publish_version(storage, Version(outcome, published, digest)))
    artifact = storage.publish_bytes(PAGE_KEY, html)
    publish_history(storage, page.experiment, keys)
    return PublishedPage(artifact, storage.publish_json(NUMBERS_KEY, {**numbers, "page_digest": digest}))
