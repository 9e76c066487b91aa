"""What arrived at a source since its jets were read or calibrated, and whether that is reason enough to act.

Belongs here: comparing two listings of files, and the policy. Does not belong here: listing (`sources.py`), reading
(`manifest.py`), and starting whatever is to be started.

Whole listings are compared, never times: a file is another one if its URL, size or ETag is. So nothing hides behind a
clock: files written within one second, written over or removed are seen like any other.

    calibrated_files.json    the files whose jets the latest calibration was made of
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from jec_assets.jets.manifest import POINTER, Manifest
from jec_assets.jets.sources import JetFile, source_version
from jec_assets.jets.splits import SHARES, load_split_record
from jec_assets.storage import digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.storage import Storage

CALIBRATED = "calibrated_files.json"


@dataclass(frozen=True)
class Change:
    """How a source differs from files known before: URLs of those that arrived, were written over, are gone.

    percent: the bytes of all three in percent of the known files' bytes, infinite where none were known. It stands for
    the jets: within a sample they grow as the bytes do, and nothing has to be read to know it.
    version: digest of both listings.
    """

    arrived: tuple[str, ...]
    rewritten: tuple[str, ...]
    gone: tuple[str, ...]
    percent: float
    version: str

    @property
    def files(self) -> int:
        """How many files differ."""
        return len(self.arrived) + len(self.rewritten) + len(self.gone)

    def __str__(self) -> str:
        counts = {"arrived": self.arrived, "written over": self.rewritten, "gone": self.gone}
        told = ", ".join(f"{len(urls)} {what}" for what, urls in counts.items() if urls)
        share = f"{self.percent:.3g} % of the jets" if math.isfinite(self.percent) else "none were known before"
        return f"files: {told or 'nothing changed'} ({share})"


@dataclass(frozen=True)
class Policy:
    """When a change is reason enough: so many files, or so many percent of the jets, and a quiet source.

    min_files: None where their number alone is no reason. quiet_seconds: how long the source has stayed as it is.
    """

    min_files: int | None
    min_percent: float
    quiet_seconds: float

    def is_reached_by(self, change: Change) -> bool:
        """Whether so much has changed, quiet or not."""
        if not change.files:
            return False
        return change.percent >= self.min_percent or (self.min_files is not None and change.files >= self.min_files)

    def __str__(self) -> str:
        percent = f"{self.min_percent:g} % of the jets"
        return percent if self.min_files is None else f"{self.min_files} files or {percent}"


@dataclass(frozen=True)
class Sighting:
    """Since when, in seconds since 1970, the source has been seen in the state of this version."""

    version: str
    since: float

    def as_text(self) -> str:
        """One line, for whoever keeps it from one look to the next."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, files: Sequence[JetFile], now: float, earlier: str | None) -> Sighting:
        """The source as it is, seen for the first time now unless `earlier` (a text of before) saw the same.

        A text that says nothing sensible costs no more than a quiet period from its beginning.
        """
        version = source_version(files)
        try:
            known = cls(**json.loads(earlier or "{}"))
        except (TypeError, ValueError):
            return cls(version, now)
        return known if known.version == version else cls(version, now)

    def wait(self, policy: Policy, now: float) -> float:
        """Seconds until the source has been quiet for long enough; 0 where it has."""
        return max(0.0, self.since + policy.quiet_seconds - now)


def change_between(known: Sequence[JetFile], files: Sequence[JetFile]) -> Change:
    """How a source that holds `files` now differs from the known ones."""
    before, after = {file.url: file for file in known}, {file.url: file for file in files}
    arrived = [url for url in after if url not in before]
    rewritten = [url for url, file in after.items() if url in before and file != before[url]]
    gone = [url for url in before if url not in after]
    changed = sum(after[url].size for url in (*arrived, *rewritten)) + sum(before[url].size for url in gone)
    total = sum(file.size for file in before.values())
    percent = 100 * changed / total if total else math.inf
    version = digest_of([source_version(known), source_version(files)])
    return Change(tuple(sorted(arrived)), tuple(sorted(rewritten)), tuple(sorted(gone)), percent, version)


def ingested_files(storage: Storage) -> list[JetFile]:
    """The files whose jets are filtered; none before the first were."""
    if not storage.exists(POINTER):
        return []
    return [JetFile(row.file.url, row.file.size, row.file.etag) for row in Manifest.load(storage).rows]


def calibrated_files(storage: Storage) -> list[JetFile]:
    """The files whose jets the latest calibration was made of; none before the first."""
    if not storage.exists(CALIBRATED):
        return []
    return [JetFile(**file) for file in storage.read_json(CALIBRATED)]


def publish_calibrated_files(storage: Storage) -> None:
    """Record that the files whose jets are in all splits are calibrated, and those that gave none by a fault.

    A file that was filtered after the splits were made is not among them.
    """
    counted = [set(load_split_record(storage, name)[1]) for name in SHARES]
    files = [row.file for row in Manifest.load(storage).rows]
    calibrated = [file for file in files if file.digest is None or all(file.digest in digests for digests in counted)]
    storage.publish_json(CALIBRATED, [JetFile(file.url, file.size, file.etag).listed for file in calibrated])
