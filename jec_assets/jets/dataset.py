"""The jets of a split, in memory: features packed for a network, spectators as a table.

Belongs here: gathering a split's rows from the filtered files. Does not belong here: a copy on disk for training
(`cache.py`), batches and shuffling (`jec_assets.training.loader`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.jets.features import FeatureSet, feature_set_named
from jec_assets.jets.filtering import FOLDER, SPECTATORS
from jec_assets.jets.labels import JetLabels
from jec_assets.jets.packed import PackedJets, joined
from jec_assets.jets.splits import Split, SplitName, load_split_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

    from jec_assets.storage import Storage


TABLE_COLUMNS = (*SPECTATORS, "flavor", "target", "event_hash", "constituents")


@dataclass(frozen=True)
class SplitJets:
    """A split's jets: `packed` for networks, `table` with a row per jet (branches under their own names) for people.

    Rows of both stand in the same order, that of the files' digests and of the rows in them, whatever the files' names.
    """

    split: Split
    packed: PackedJets
    table: pl.DataFrame

    @property
    def features(self) -> FeatureSet:
        """The feature set the jets were filtered with."""
        return feature_set_named(self.split.feature_set)


def load_split(storage: Storage, name: SplitName) -> SplitJets:
    """Read a published split. Raises ArtifactMissingError where it was not materialized."""
    import polars as pl

    split, files = load_split_record(storage, name)
    packed, tables = [], []
    for jets in _files_jets(storage, split, files, None):
        packed.append(pack(jets, feature_set_named(split.feature_set)))
        tables.append(pl.DataFrame(jets.select(list(TABLE_COLUMNS))))
    return SplitJets(split, joined(packed), pl.concat(tables))


def load_table(storage: Storage, name: SplitName) -> pl.DataFrame:
    """The table of a published split alone, without reading a single particle; raises what `load_split` does.

    It has a column `jet_<feature>` per jet feature besides.
    """
    import polars as pl

    split, files = load_split_record(storage, name)
    columns = (*TABLE_COLUMNS, *(f"jet_{each}" for each in feature_set_named(split.feature_set).jet_names))
    return pl.concat([pl.DataFrame(jets) for jets in _files_jets(storage, split, files, columns)])


def _files_jets(
    storage: Storage, split: Split, files: Sequence[str], columns: Sequence[str] | None
) -> Iterator[pa.Table]:
    """A split's rows of each file, with the named columns, or all for None."""
    import pyarrow.parquet as pq

    index = pq.read_table(storage.local_file(split.index_key))
    file_of_row, rows = (index[column].to_numpy() for column in ("file", "row"))
    for place in np.unique(file_of_row):
        path = storage.local_file(f"{FOLDER}/{files[place]}.parquet")
        yield pq.read_table(path, columns=columns and list(columns), memory_map=True).take(
            np.sort(rows[file_of_row == place])
        )


def pack(jets: pa.Table, features: FeatureSet) -> PackedJets:
    """Packed features of the rows of a filtered file."""
    lists = [jets[f"particle_{name}"].combine_chunks() for name in features.particle_names]
    offsets = np.concatenate([[0], np.cumsum(lists[0].value_lengths().to_numpy())]).astype(np.int64)
    particles = np.empty((offsets[-1], len(lists)), np.float32)
    for column, values in enumerate(lists):
        particles[:, column] = values.flatten().to_numpy()
    per_jet = [_flat(jets, f"jet_{name}") for name in features.jet_names]
    return PackedJets(particles, offsets, np.stack(per_jet, axis=1))


def labels(jets: pa.Table) -> JetLabels:
    """Labels of the rows of a filtered file."""
    columns = ("run", "lumi", "event", "flavor", "genJetPt", "genJetEta", "eventWeight", "target")
    return JetLabels(*(_flat(jets, name) for name in columns))


def _flat(jets: pa.Table, name: str) -> NDArray[Any]:
    return np.asarray(jets[name].to_numpy())
