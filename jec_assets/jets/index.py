"""The index of unique jets: which rows of which filtered files count, over all files together.

Belongs here: duplicates, which no single file shows. Does not belong here: splits of the index (`splits.py`).
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import polars as pl

from jec_assets.jets.schema import JET_ID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.jets.filtering import FilteredFile
    from jec_assets.storage import Artifact, Storage


def unique_jets(storage: Storage, files: Sequence[FilteredFile]) -> tuple[pl.DataFrame, list[int]]:
    """The index, and how many jets of each file an earlier one already had, in the order of `files`.

    Index: one row per unique (run, lumi, event, jetPtOrder), with `file` (uint32, the position of its digest among the
    sorted digests), `row` (uint32, in that file) and `event_hash` (uint64). Of equal jets the first is kept: give the
    files in an order that their content decides.
    """
    position = {digest: place for place, digest in enumerate(file_digests(files))}
    parts = []
    for source, file in enumerate(files):
        if file.key is not None and file.digest is not None:
            ids = pl.scan_parquet(storage.local_file(file.key)).select(*JET_ID, "event_hash").collect()
            numbers = {"file": position[file.digest], "source": source}
            columns = [pl.lit(number, pl.UInt32).alias(name) for name, number in numbers.items()]
            parts.append(ids.with_row_index("row").with_columns(columns))
    jets = pl.concat(parts)
    unique = jets.filter(pl.struct(JET_ID).is_first_distinct())
    kept = dict(unique.group_by("source").len().iter_rows())
    duplicates = [file.cutflow.kept - kept.get(source, 0) for source, file in enumerate(files)]
    return unique.select("file", "row", "event_hash"), duplicates


def file_digests(files: Sequence[FilteredFile]) -> list[str]:
    """Digests of what the files became, sorted, each once."""
    return sorted({file.digest for file in files if file.digest})


def publish_index(storage: Storage, folder: str, index: pl.DataFrame) -> Artifact:
    """Store an index under its digest."""
    buffer = BytesIO()
    index.write_parquet(buffer, compression="zstd")
    return storage.publish_named_by_digest(folder, ".parquet", buffer.getvalue())


def load_index(storage: Storage, key: str) -> pl.DataFrame:
    """A stored index; see `unique_jets` for its columns."""
    return pl.read_parquet(BytesIO(storage.read_bytes(key)))
