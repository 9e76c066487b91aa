"""The calibration report: one HTML page with everything, and the same numbers as JSON.

Belongs here: putting reports together and publishing the page. Does not belong here: the reports themselves. The page
holds its style and its figures, and asks no other host for anything.

    reports/objects/<digest>.html    every page that was ever published
    reports/calibration.html         the latest page
    reports/calibration.json         its numbers, written last
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from jec_assets.reports.inline_svg import inline_svg
from jec_assets.reports.publishing import OBJECTS
from jec_assets.reports.report import JsonValue, Report, ReportError, ReportFigure
from jec_assets.reports.text import title

if TYPE_CHECKING:
    from jinja2 import Environment

    from jec_assets.storage import Artifact, Storage

PAGE_KEY = "reports/calibration.html"
NUMBERS_KEY = "reports/calibration.json"
FOLDED_ROWS = 12  # tables with more rows are folded until somebody opens them


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

    provenance: sections (`versions`, `inputs`, `settings`, ...), each from names to values; `versions` is required.
    """

    reports: tuple[Report, ...]
    served: tuple[ServedVersion, ...]
    provenance: Mapping[str, Mapping[str, JsonValue]]


@dataclass(frozen=True)
class PublishedPage:
    """Where the latest page and its numbers are."""

    page: Artifact
    numbers: Artifact


def page_numbers(page: CalibrationPage) -> dict[str, JsonValue]:
    """All numbers of the page: every report's, `promotion`, `versions` and the whole `provenance`.

    Raises `ReportError` where two reports claim the same key, or without `versions`.
    """
    if "versions" not in page.provenance:
        raise ReportError("the page's provenance has no section `versions`: hand it the installed packages' versions")
    numbers: dict[str, JsonValue] = {
        "promotion": {each.family: asdict(each) for each in page.served},
        "versions": page.provenance["versions"],
        "provenance": page.provenance,
    }
    for report in page.reports:
        for key, value in report.numbers.items():
            if key in numbers:
                raise ReportError(f"report {report.name!r} has numbers under {key!r}, which another one uses")
            numbers[key] = value
    return numbers


def render_page(page: CalibrationPage) -> str:
    """The page as HTML."""
    return _environment().get_template("calibration.html.j2").render(page=page, folded_rows=FOLDED_ROWS)


def publish_page(storage: Storage, page: CalibrationPage) -> PublishedPage:
    """Publish the page, then its numbers with the page's digest."""
    html = render_page(page).encode()
    numbers = page_numbers(page)
    digest = storage.publish_named_by_digest(OBJECTS, ".html", html).digest
    artifact = storage.publish_bytes(PAGE_KEY, html)
    return PublishedPage(artifact, storage.publish_json(NUMBERS_KEY, {**numbers, "page_digest": digest}))


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure_svg": _figure_svg, "correction_title": title, "setting": _setting}
    return environment


def _figure_svg(figure: ReportFigure, report: Report) -> str:
    return inline_svg(figure.svg, f"{report.name}-{figure.name}-")


def _setting(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
