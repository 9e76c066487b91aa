"""Training, validation and test jets: which split a jet belongs to, and the index of each split.

Belongs here: the hash that decides, and choosing rows. Does not belong here: copying jets; a split is a list of (file,
row), and `dataset.py` reads them.

The hash is of (run, lumi, event): a jet stays in its split however many files come later, and all jets of an event are
together, so that no network is tested on the other half of an event that it was trained on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from jec_assets.jets.index import load_index, publish_index
from jec_assets.jets.manifest import Manifest
from jec_assets.storage import Storage, digest_bytes, digest_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SplitName = Literal["train", "validation", "test"]

# Share of the hash's range, half-open (paper, Section 3.1: 60 %, 20 %, 20 %).
SHARES: dict[SplitName, tuple[float, float]] = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}

# Below this a network has nothing to learn from and no median an uncertainty.
MINIMUM_JETS = 100

CAP_SETTINGS: dict[SplitName, str] = {
    "train": "JEC_MAX_TRAINING_JETS",
    "validation": "JEC_MAX_VALIDATION_JETS",
    "test": "JEC_MAX_TEST_JETS",
}


class SplitTooSmallError(ValueError):
    """There are fewer jets than a split needs."""


@dataclass(frozen=True)
class Split:
    """A published split.

    `digest` is that of the split's own rows, see `digest_of_rows`: files that give it no jets leave it as it is.
    """

    name: SplitName
    digest: str
    jets: int
    events: int
    available_jets: int
    index_key: str
    feature_set: str


def rows_of_split(index: pl.DataFrame, name: SplitName) -> pl.DataFrame:
    """The rows of an index (columns file, row, event_hash) that belong to a split."""
    low, high = (int(share * 2**53) for share in SHARES[name])
    position = pl.col("event_hash") // 2**11  # 53 bits, so that shares are exact in floating point too
    return index.filter((position >= low) & (position < high))


def first_by_hash(rows: pl.DataFrame, max_jets: int | None) -> pl.DataFrame:
    """At most `max_jets` rows: whole events, those with the smallest hash; the order of rows stays."""
    if max_jets is None or len(rows) <= max_jets:
        return rows
    events = rows.group_by("event_hash").len().sort("event_hash").with_columns(pl.col("len").cum_sum().alias("jets"))
    taken = events.filter(pl.col("jets") <= max_jets)
    return rows.join(taken.select("event_hash"), on="event_hash", how="semi", maintain_order="left")


def digest_of_rows(rows: pl.DataFrame, files: Sequence[str], feature_set: str) -> str:
    """Digest of the feature set and of which rows are taken of the files with which digests.

    Neither the order of the rows matters nor the files' places in `files`, to which the column `file` refers.
    """
    taken = {
        files[place]: digest_bytes(np.sort(part["row"].to_numpy()).astype("<u4").tobytes())
        for (place,), part in rows.partition_by("file", as_dict=True).items()
    }
    return digest_of([taken, feature_set])


def publish_split(storage: Storage, name: SplitName, max_jets: int | None) -> Split:
    """Choose the rows of a split from the current filtered jets and publish its index, then its pointer.

    Raises SplitTooSmallError below `MINIMUM_JETS`.
    """
    manifest = Manifest.load(storage)
    available = rows_of_split(load_index(storage, manifest.index_key), name)
    return _publish(storage, manifest, name, available, max_jets)


def publish_all_to_test(storage: Storage, max_jets: int | None) -> Split:
    """Publish all the current filtered jets as test jets: those of a source that no network learns from.

    Raises what `publish_split` does.
    """
    manifest = Manifest.load(storage)
    return _publish(storage, manifest, "test", load_index(storage, manifest.index_key), max_jets)


def _publish(
    storage: Storage, manifest: Manifest, name: SplitName, available: pl.DataFrame, max_jets: int | None
) -> Split:
    rows = first_by_hash(available, max_jets)
    if len(rows) < MINIMUM_JETS:
        if len(available) >= MINIMUM_JETS:
            cause, remedy = f"the {len(available)} there are, capped at {max_jets}", f"raise {CAP_SETTINGS[name]}"
        else:
            cause, remedy = f"the {manifest.jets} that were kept", "give more files or loosen the selection"
        raise SplitTooSmallError(f"{name} has {len(rows)} jets of {cause}, and needs {MINIMUM_JETS}: {remedy}")
    artifact = publish_index(storage, f"splits/{name}", rows)
    digest = digest_of_rows(rows, manifest.digests, manifest.feature_set)
    events = rows["event_hash"].n_unique()
    split = Split(name, digest, len(rows), events, len(available), artifact.key, manifest.feature_set)
    storage.publish_json(f"splits/{name}.json", {**asdict(split), "files": manifest.digests})
    return split


def load_split_record(storage: Storage, name: SplitName) -> tuple[Split, list[str]]:
    """A published split and the digests of the files its index counts."""
    record = dict(storage.read_json(f"splits/{name}.json"))
    files = list(record.pop("files"))
    return Split(**record), files
