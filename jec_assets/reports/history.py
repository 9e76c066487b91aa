"""Earlier versions of the calibration page, by their headline numbers: those of an experiment are one history.

Belongs here: what is kept of each version and how versions follow each other. Does not belong here: the page itself.

    reports/objects/<digest>.json        a version: its date, its page, versions of its models, headline numbers
    reports/history/<experiment>.json    keys of all its versions, oldest first; written last
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jec_assets.evaluation.number import Number
from jec_assets.models.families import FAMILIES
from jec_assets.reports.publishing import OBJECTS
from jec_assets.reports.report import NOTHING, ReportError, Table
from jec_assets.reports.results import HEADLINES, headline_text
from jec_assets.reports.text import count_text, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jec_assets.storage import Storage

HISTORIES = "reports/history"
SHOWN = 10  # versions before the page's own; storage keeps all of them
DIGITS = 8  # of a page's digest, enough to find it among its like


@dataclass(frozen=True)
class Outcome:
    """What makes a version: models (family to served version) and headlines (family to HEADLINES' numbers)."""

    models: Mapping[str, int]
    headlines: Mapping[str, Mapping[str, Number]]


@dataclass(frozen=True)
class Version:
    """An outcome, the moment it was first published, and the digest of the page that told it."""

    outcome: Outcome
    published: datetime
    page: str

    def as_json(self) -> dict[str, Any]:
        """As it lies in storage."""
        headlines = {
            family: {key: number.as_json() for key, number in numbers.items()}
            for family, numbers in self.outcome.headlines.items()
        }
        return {
            "published": self.published.astimezone(UTC).isoformat(timespec="seconds"),
            "page": self.page,
            "models": dict(self.outcome.models),
            "headlines": headlines,
        }


def history_key(experiment: str) -> str:
    """Key of an experiment's history."""
    return f"{HISTORIES}/{experiment}.json"


def version_keys(storage: Storage, experiment: str) -> list[str]:
    """Keys of all versions of an experiment, oldest first; empty before the first."""
    key = history_key(experiment)
    return list(storage.read_json(key)["versions"]) if storage.exists(key) else []


def load_versions(storage: Storage, keys: Sequence[str]) -> tuple[Version, ...]:
    """The versions at these keys; `ReportError` names one that can't be read."""
    return tuple(_version(storage, key) for key in keys)


def _version(storage: Storage, key: str) -> Version:
    entry = storage.read_json(key)
    try:
        headlines = {
            family: {name: Number.from_json(number) for name, number in numbers.items()}
            for family, numbers in entry["headlines"].items()
        }
        published = datetime.fromisoformat(entry["published"])
        return Version(Outcome(entry["models"], headlines), published, entry["page"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ReportError(
            f"{storage.uri(key)} is no version of the page ({error!r}): take its key out of the file that names it in "
            f"{storage.uri(HISTORIES)}"
        ) from error


def publish_version(storage: Storage, version: Version) -> str:
    """Publish a version's object and return its key; the history doesn't know it yet."""
    text = json.dumps(version.as_json(), indent=1, allow_nan=False, ensure_ascii=False)  # families keep their order
    return storage.publish_named_by_digest(OBJECTS, ".json", text.encode()).key


def publish_history(storage: Storage, experiment: str, keys: Sequence[str]) -> None:
    """Let an experiment's history hold these versions, oldest first."""
    storage.publish_json(history_key(experiment), {"versions": list(keys)})


def history_table(outcome: Outcome, published: datetime, earlier: Sequence[Version]) -> Table:
    """Headline numbers of this page's networks, then those of earlier versions (oldest first), newest on top."""
    versions = [(outcome, published, "this page")]
    versions += [(each.outcome, each.published, each.page[:DIGITS]) for each in reversed(earlier)]
    return Table(
        "Headline numbers of this version and of those before it",
        ("Date [UTC]", "Network", "Model", "Test jets", *HEADLINES.values(), "Page"),
        tuple(row for version in versions for row in _rows(*version)),
        (
            "α and β: from pT,gen = 30 GeV. A version is a page with other headline numbers or other models than the "
            f"one before; the last {SHOWN} of the same experiment are shown. Their jets and settings may differ from "
            "this page's: each page stays in storage as reports/objects/<digest>.html.",
        ),
        labels=2,
    )


def _rows(outcome: Outcome, published: datetime, page: str) -> Iterator[tuple[str, ...]]:
    for family, numbers in outcome.headlines.items():
        cells = (headline_text(key, numbers[key]) if key in numbers else NOTHING for key in HEADLINES)
        model = f"{outcome.models[family]}" if family in outcome.models else NOTHING
        jets = count_text(numbers["loss"].n) if "loss" in numbers else NOTHING
        yield published.astimezone(UTC).strftime("%Y-%m-%d %H:%M"), _title(family), model, jets, *cells, page


def _title(family: str) -> str:
    """What people call it; a family of an earlier version may no longer have a title."""
    return title(family) if family in FAMILIES else family
