"""Reports in storage.

Belongs here: where a report's parts lie and in which order they are written. Does not belong here: what they say.

    reports/objects/<digest>.svg, .png    figures
    reports/objects/<digest>.json         the report: summary, tables, numbers, keys of its figures
    reports/<name>.json                   the pointer to the latest one, with its provenance; written last
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from jec_assets.reports.report import JsonValue, Report, ReportError, ReportFigure, Table, report_asset

if TYPE_CHECKING:
    from jec_assets.storage import Artifact, Storage

OBJECTS = "reports/objects"


@dataclass(frozen=True)
class PublishedReport:
    """A report as read from storage. `digest` changes exactly when the report does."""

    report: Report
    digest: str
    provenance: Mapping[str, JsonValue]


def pointer_key(name: str) -> str:
    """Key of the pointer to the latest report of a name."""
    return f"reports/{name}.json"


def publish(storage: Storage, report: Report, provenance: Mapping[str, JsonValue]) -> Artifact:
    """Publish a report: figures, then the report, then its pointer. Returns the report's own object."""
    figures = [
        {
            "name": each.name,
            "title": each.title,
            "alt": each.alt,
            "svg": storage.publish_named_by_digest(OBJECTS, ".svg", each.svg).key,
            "png": storage.publish_named_by_digest(OBJECTS, ".png", each.png).key,
        }
        for each in report.figures
    ]
    body = {
        "name": report.name,
        "title": report.title,
        "summary": report.summary,
        "tables": [asdict(table) for table in report.tables],
        "figures": figures,
        "numbers": report.numbers,
    }
    text = json.dumps(body, indent=1, allow_nan=False, ensure_ascii=False)
    artifact = storage.publish_named_by_digest(OBJECTS, ".json", text.encode())
    pointer = {"digest": artifact.digest, "key": artifact.key, "provenance": provenance}
    storage.publish_json(pointer_key(report.name), pointer)
    return artifact


def load(storage: Storage, name: str) -> PublishedReport:
    """The latest report of a name; `ArtifactMissingError` where there is none, `ReportError` where it can't be one."""
    pointer = storage.read_json(pointer_key(name))
    try:
        report = _report(storage, storage.read_json(pointer["key"]))
        return PublishedReport(report, pointer["digest"], pointer["provenance"])
    except (KeyError, TypeError) as error:
        raise ReportError(
            f"{storage.uri(pointer_key(name))} doesn't point to a report ({error!r}): "
            f"materialize {report_asset(name)} again"
        ) from error


def _report(storage: Storage, body: dict[str, Any]) -> Report:
    tables = tuple(
        Table(
            each["title"],
            tuple(each["columns"]),
            tuple(tuple(row) for row in each["rows"]),
            tuple(each["notes"]),
            each["labels"],
        )
        for each in body["tables"]
    )
    figures = tuple(
        ReportFigure(
            each["name"], each["title"], each["alt"], storage.read_bytes(each["svg"]), storage.read_bytes(each["png"])
        )
        for each in body["figures"]
    )
    return Report(body["name"], body["title"], body["summary"], tables, figures, body["numbers"])
