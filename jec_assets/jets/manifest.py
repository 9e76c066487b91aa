"""All filtered files together: which are read again, and what they add up to.

Belongs here: the incremental step over files and its manifest. Does not belong here: what happens inside one file
(`filtering.py`), and duplicates (`index.py`).

A file's row is published the moment the file is done, under a name made of (URL, size, ETag, recipe): a run that was
killed goes on with the files that are missing, and a file is read again only if one of these changed.
"""

from __future__ import annotations

from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from jec_assets.jets.filtering import FilteredFile, Recipe, filter_file
from jec_assets.jets.index import file_digests, publish_index, unique_jets
from jec_assets.jets.selection import CUTS, Cutflow
from jec_assets.storage import Storage, digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from jec_assets.jets.sources import JetFile

POINTER = "filtered_jets/manifest.json"


class NoJetsError(ValueError):
    """No file gave a single jet; the message lists what was wrong with them."""


class SourceUnavailableError(OSError):
    """A server did not give some files. The data are not what they were asked to be: nothing goes on without them."""


@dataclass(frozen=True)
class ManifestRow:
    """One file: what it became, how many of its jets another file already had, and whether it was read just now."""

    file: FilteredFile
    duplicates: int
    read_now: bool

    @property
    def kept(self) -> int:
        """Jets of this file that are in the index."""
        return self.file.cutflow.kept - self.duplicates


@dataclass(frozen=True)
class Manifest:
    """All files of the source, the digests of what they became (sorted), and the index of unique jets."""

    rows: tuple[ManifestRow, ...]
    digests: list[str]
    index_key: str
    feature_set: str
    data_version: str

    @property
    def jets(self) -> int:
        """Jets kept over all files."""
        return sum(row.kept for row in self.rows)

    @property
    def errors(self) -> list[str]:
        """One message per file that could not be read."""
        return [row.file.error for row in self.rows if row.file.error]

    @property
    def files_with_members_only(self) -> list[str]:
        """URLs of the files whose candidates are all members of their jets: there is no square around these jets."""
        return [row.file.url for row in self.rows if row.file.members_only and row.file.cutflow.jets]

    @property
    def rejected(self) -> dict[str, int]:
        """Jets rejected per cut, duplicates last."""
        counts = {cut: sum(row.file.cutflow.rejected[cut] for row in self.rows) for cut in CUTS}
        return {**counts, "duplicate": sum(row.duplicates for row in self.rows)}

    @classmethod
    def load(cls, storage: Storage) -> Manifest:
        """The current manifest."""
        record = storage.read_json(POINTER)
        rows = [ManifestRow(_file_from_json(row["file"]), row["duplicates"], row["read_now"]) for row in record["rows"]]
        return cls(tuple(rows), record["digests"], record["index_key"], record["feature_set"], record["data_version"])


def update_manifest(
    storage: Storage,
    files: Sequence[JetFile],
    recipe: Recipe,
    executor: Executor,
    report: Callable[[FilteredFile, int], None],
) -> Manifest:
    """Filter the files that need it, drop those that left the source, publish index and manifest.

    `report` is called with each file that was read and the number still to come. Raises SourceUnavailableError where a
    server failed, so that no training ever misses jets for a reason that passes, NoJetsError where nothing is left,
    ConflictError where another run published a manifest meanwhile, and whatever storage raises; then the previous
    manifest stays as it was, and what was read is not read again.
    """
    held = storage.read_held(POINTER)
    done = {file.url: _stored_row(storage, file, recipe) for file in files}
    todo = [file for file in files if done[file.url] is None]
    running = {executor.submit(filter_file, storage, file, recipe): file for file in todo}
    try:
        for left, future in zip(range(len(todo) - 1, -1, -1), as_completed(running), strict=True):
            filtered = future.result()
            if filtered.error is None:
                storage.publish_json(_row_key(running[future], recipe), asdict(filtered))
            done[filtered.url] = filtered
            report(filtered, left)
    except BaseException:
        # The run is over: files that were not begun are not read in vain.
        for future in running:
            future.cancel()
        raise
    _require_every_server(done.values())
    read_now = {file.url for file in todo}
    rows = [filtered for filtered in done.values() if filtered is not None]
    manifest = _manifest(storage, rows, read_now, recipe)
    storage.replace_json(POINTER, asdict(manifest), held)
    return manifest


def _require_every_server(files: Iterable[FilteredFile | None]) -> None:
    failed = [str(file.error) for file in files if file is not None and file.transient]
    if failed:
        named = "\n".join(failed)
        raise SourceUnavailableError(
            f"{len(failed)} files could not be had from their servers; run it again, the others are kept:\n{named}"
        )


def _row_key(file: JetFile, recipe: Recipe) -> str:
    return f"filtered_jets/rows/{digest_of([file.url, file.size, file.etag, recipe.digest])}.json"


def _stored_row(storage: Storage, file: JetFile, recipe: Recipe) -> FilteredFile | None:
    key = _row_key(file, recipe)
    if not storage.exists(key):
        return None
    row = _file_from_json(storage.read_json(key))
    return row if row.key and storage.exists(row.key) else None


def _file_from_json(record: dict[str, Any]) -> FilteredFile:
    return FilteredFile(**{**record, "cutflow": Cutflow(**record["cutflow"])})


def _manifest(storage: Storage, files: list[FilteredFile], read_now: set[str], recipe: Recipe) -> Manifest:
    files = sorted(files, key=lambda file: (file.digest or "", file.url))
    if not any(file.cutflow.kept for file in files):
        faults = "\n".join(_why_empty(file) for file in files)
        raise NoJetsError(f"no file of the source gave a jet:\n{faults}")
    index, duplicates = unique_jets(storage, files)
    artifact = publish_index(storage, "filtered_jets/index", index)
    digests = file_digests(files)
    rows = [ManifestRow(file, count, file.url in read_now) for file, count in zip(files, duplicates, strict=True)]
    rows.sort(key=lambda row: row.file.url)
    return Manifest(tuple(rows), digests, artifact.key, recipe.feature_set, digest_of(digests))


def _why_empty(file: FilteredFile) -> str:
    if file.error:
        return f"- {file.error}"
    if not file.cutflow.jets:
        return f"- {file.url}: its tree is empty; give files with jets"
    cuts = ", ".join(f"{cut} {count}" for cut, count in file.cutflow.rejected.items() if count)
    return f"- {file.url}: all {file.cutflow.jets} jets were rejected ({cuts}); loosen the selection"
