"""A split as memory-mapped arrays in random order: what training reads.

Belongs here: writing the arrays of a split once, file by file in bounded memory, and opening them. Does not belong
here: batches (`jec_assets.training.loader`), nor jets as people look at them (`dataset.py`).

Jets stand in the order of the hash of their identity (`identity.jet_hash`): any run of consecutive jets is a fair
sample of the split, whatever the names, sizes and order of the files they came from. Jets are first scattered into
buckets, each a range of hashes; then one bucket after another is sorted and appended to the arrays.
"""

from __future__ import annotations

import fcntl
import shutil
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.jets import arrays, dataset, identity, labels, packed
from jec_assets.jets.arrays import array_file, mapped
from jec_assets.jets.features import feature_set_named
from jec_assets.jets.filtering import FOLDER
from jec_assets.jets.identity import jet_hash
from jec_assets.jets.labels import JetLabels, LabeledJets
from jec_assets.jets.packed import PackedJets
from jec_assets.jets.splits import Split, SplitName, load_split_record
from jec_assets.storage import code_digest, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from jec_assets.jets.features import FeatureSet
    from jec_assets.storage import Storage

PACKED_ARRAYS = tuple(field.name for field in fields(PackedJets))
LABEL_ARRAYS = tuple(field.name for field in fields(JetLabels))

# Jets of a bucket: with 100 particles of 14 features each, less than 200 MB.
BUCKET_JETS = 1 << 15


class CacheError(RuntimeError):
    """A cache is not there, or what it would be made of does not hold what the split says."""


@dataclass(frozen=True)
class CachedSplit:
    """A published split and the folder of its arrays, for `open_cache`."""

    split: Split
    folder: Path


@cache
def code_version() -> str:
    """Digest of the sources that decide what the arrays hold."""
    return code_digest(arrays, packed, labels, dataset, identity, sys.modules[__name__])


def cache_split(storage: Storage, name: SplitName, root: Path) -> CachedSplit:
    """The arrays of a published split in a folder of `root`, written unless they are there already.

    The folder's name holds the digest of the split and of the code; it appears whole or not at all. Of several
    processes one writes and the others wait for it. What a killed writer left is removed by the next.

    Raises ArtifactMissingError where the split was not materialized, CacheError where a file holds other jets than its
    index says.
    """
    split, files = load_split_record(storage, name)
    folder = root / f"{name}_{digest_of([split.digest, code_version()])}"
    if not folder.exists():
        root.mkdir(parents=True, exist_ok=True)
        with _only_writer(root / f".{name}.lock"):
            if not folder.exists():
                _write_whole(_Source(storage, split, files), root / f".{name}.part", folder)
    return CachedSplit(split, folder)


def open_cache(folder: Path) -> LabeledJets:
    """The arrays of `CachedSplit.folder`, memory-mapped and read-only. Raises CacheError where they are not there."""
    if not folder.is_dir():
        raise CacheError(f"there is no cache of jets in {folder}: write it with cache_split")
    jets = PackedJets(*(mapped(folder / f"{name}.npy") for name in PACKED_ARRAYS))
    return LabeledJets(jets, JetLabels(*(mapped(folder / f"{name}.npy") for name in LABEL_ARRAYS)))


@contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    """Hold a lock that the system takes back from a process that dies."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write_whole(source: _Source, part: Path, folder: Path) -> None:
    if part.exists():
        shutil.rmtree(part)
    part.mkdir()
    try:
        _write_arrays(part, source.features, _scatter(source, part))
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part)
        raise


@dataclass(frozen=True)
class _Source:
    """The filtered files of a split."""

    storage: Storage
    split: Split
    files: list[str]

    @property
    def features(self) -> FeatureSet:
        return feature_set_named(self.split.feature_set)

    def tables(self) -> Iterator[pa.Table]:
        """The split's rows of each row group of each file, with the columns that arrays are made of."""
        import polars as pl
        import pyarrow.parquet as pq

        index = pl.scan_parquet(self.storage.local_file(self.split.index_key))
        for place, digest in enumerate(self.files):
            rows = np.sort(index.filter(pl.col("file") == place).select("row").collect()["row"].to_numpy())
            if not len(rows):
                continue
            with pq.ParquetFile(self.storage.local_file(f"{FOLDER}/{digest}.parquet"), memory_map=True) as file:
                start = 0
                for group in range(file.num_row_groups):
                    stop = start + file.metadata.row_group(group).num_rows
                    chosen = rows[slice(*np.searchsorted(rows, (start, stop)))] - start
                    if len(chosen):
                        yield file.read_row_group(group).take(chosen)
                    start = stop


@dataclass(frozen=True)
class _Bucket:
    """Two files of raw rows: one row a jet, one row a particle."""

    jets: Path
    particles: Path

    def append(self, rows: NDArray[np.void], jets: PackedJets) -> None:
        """Add jets; `rows` as `_row_type` says."""
        for path, values in ((self.jets, rows), (self.particles, jets.particles)):
            with path.open("ab") as stream:
                stream.write(np.ascontiguousarray(values).data)

    def sorted(self, row: np.dtype[np.void], particle_features: int) -> tuple[PackedJets, NDArray[np.void]]:
        """The jets and their rows by hash."""
        rows = np.fromfile(self.jets, row)
        particles = np.fromfile(self.particles, np.float32).reshape(-1, particle_features)
        offsets = np.concatenate([[0], np.cumsum(rows["particles"])]).astype(np.int64)
        order = np.argsort(rows["hash"], kind="stable")
        return PackedJets(particles, offsets, rows["jets"]).take(order), rows[order]


def _row_type(features: FeatureSet) -> np.dtype[np.void]:
    """What a bucket holds of a jet beside its particles."""
    numbers = [("hash", "<u8"), ("particles", "<i8"), ("jets", "<f4", (len(features.jet_names),))]
    ids = [("run", "<i4"), ("lumi", "<i4"), ("event", "<u8"), ("flavor", "<i4")]
    return np.dtype([*numbers, *ids, *((name, "<f4") for name in ("gen_pt", "gen_eta", "event_weight", "target"))])


def _scatter(source: _Source, folder: Path) -> list[_Bucket]:
    """Append every jet to the bucket of its hash; the buckets that got any, in the hash's order."""
    count = -(-source.split.jets // BUCKET_JETS)
    buckets = [_Bucket(folder / f"{number}.jets", folder / f"{number}.particles") for number in range(count)]
    written = 0
    for table in source.tables():
        rows, jets = _rows(table, source.features)
        # The upper half of the hash is enough to choose by, and its product with the count does not overflow.
        bucket = ((rows["hash"] >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32)
        order = np.argsort(bucket, kind="stable")
        rows, jets = rows[order], jets.take(order)
        bounds = np.searchsorted(bucket[order], np.arange(count + 1, dtype=np.uint64))
        for number in np.flatnonzero(np.diff(bounds)):
            start, stop = bounds[number], bounds[number + 1]
            buckets[number].append(rows[start:stop], jets.slice(start, stop))
        written += len(rows)
    if written != source.split.jets:
        raise CacheError(
            f"the files of the split {source.split.name} hold {written} of its {source.split.jets} jets: "
            "materialize filtered_jets and the splits again"
        )
    return [bucket for bucket in buckets if bucket.jets.exists()]


def _rows(table: pa.Table, features: FeatureSet) -> tuple[NDArray[np.void], PackedJets]:
    jets, known = dataset.pack(table, features), dataset.labels(table)
    rows = np.empty(len(jets), _row_type(features))
    rows["hash"] = jet_hash(table["event_hash"].to_numpy(), table["jetPtOrder"].to_numpy())
    rows["particles"], rows["jets"] = jets.counts, jets.jets
    for name in LABEL_ARRAYS:
        rows[name] = getattr(known, name)
    return rows, jets


def _write_arrays(folder: Path, features: FeatureSet, buckets: list[_Bucket]) -> None:
    """Append the buckets in order to one file an array, and remove each when it is done."""
    row, width = _row_type(features), len(features.particle_names)
    jets = sum(bucket.jets.stat().st_size for bucket in buckets) // row.itemsize
    particles = sum(bucket.particles.stat().st_size for bucket in buckets) // (4 * width)
    kinds: dict[str, tuple[str, tuple[int, ...]]] = {
        "particles": ("<f4", (particles, width)),
        "offsets": ("<i8", (jets + 1,)),
        "jets": ("<f4", (jets, len(features.jet_names))),
        **{name: (row[name].str, (jets,)) for name in LABEL_ARRAYS},
    }
    with ExitStack() as stack:
        append = {
            name: stack.enter_context(array_file(folder / f"{name}.npy", np.dtype(kind), shape))
            for name, (kind, shape) in kinds.items()
        }
        append["offsets"](np.zeros(1, np.int64))
        before = 0
        for bucket in buckets:
            sorted_jets, rows = bucket.sorted(row, width)
            append["particles"](sorted_jets.particles)
            append["offsets"](sorted_jets.offsets[1:] + before)
            for name in ("jets", *LABEL_ARRAYS):
                append[name](rows[name])
            before += len(sorted_jets.particles)
            bucket.jets.unlink()
            bucket.particles.unlink()
