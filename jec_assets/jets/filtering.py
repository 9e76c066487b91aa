"""From one jet file to one columnar file: select, compute features, write.

Belongs here: what happens to a single file, and the columns of the result. Does not belong here: deciding which files
need it and what they add up to (`manifest.py`).

The result is a Parquet file with a row per kept jet: the branches in `SPECTATORS` under their own names, `flavor`,
`target`, `event_hash`, `constituents` (how many particles a network sees), a float32 column `jet_<feature>` per jet
feature and a list column `particle_<feature>` per particle feature.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.correction import standard
from jec_assets.jets import computed as computed_module
from jec_assets.jets import correcting, identity, reading, records, schema, selection
from jec_assets.jets import features as features_module
from jec_assets.jets.computed import ComputedFeatures, compute_features
from jec_assets.jets.correcting import CORRECTED_BRANCHES, corrected
from jec_assets.jets.features import Columns, FeatureSet, feature_set_named
from jec_assets.jets.identity import event_hash
from jec_assets.jets.reading import JetFileError, RemoteReadError, read_columns, remote_attempts
from jec_assets.jets.selection import (
    EMPTY_CUTFLOW,
    SELECTION_BRANCHES,
    Cutflow,
    Selection,
    select_jets,
    select_particles,
)
from jec_assets.storage import Storage, code_digest, digest_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from jec_assets.correction import StandardCorrection
    from jec_assets.jets.sources import JetFile

# Kept beside the features: what identifies a jet, what evaluation looks at. No network sees them by being here.
SPECTATORS = (
    *schema.JET_ID,
    *("jetPt", "jetEta", "jetPhi", "jetRawPt", "jetMass", "jetArea", "genJetPt", "genJetEta", "genJetPhi"),
    *("hadronFlav", "partonFlav"),
    *("rhoAll", "Pileup_nPU", "PV_npvsGood", "pthat", "eventWeight"),
)

FOLDER = "filtered_jets/files"


@cache
def code_version() -> str:
    """Digest of the sources that decide what a file becomes.

    Taken once a process: what runs is what was imported, even if somebody edits a source meanwhile.
    """
    return code_digest(
        schema, features_module, computed_module, records, reading, selection, identity, sys.modules[__name__]
    )


@cache
def _correcting_code_version() -> str:
    """Digest of the sources that decide what a standard correction makes of a jet."""
    return code_digest(standard, correcting)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a file becomes, the code included.

    correction: applied to the raw momenta of jets that come uncorrected; None for jets that come corrected.
    """

    feature_set: str
    selection: Selection
    correction: StandardCorrection | None = None

    @property
    def features(self) -> FeatureSet:
        """The declared feature set."""
        return feature_set_named(self.feature_set)

    @property
    def branches(self) -> tuple[str, ...]:
        """Every branch to read, each once."""
        members = ("PF_fromAK4Jet", "PF_pT") if self.features.members_only else ("PF_fromAK4Jet",)
        corrected = CORRECTED_BRANCHES if self.correction else ()
        return tuple(dict.fromkeys((*SPECTATORS, *SELECTION_BRANCHES, *members, *corrected, *self.features.branches)))

    @property
    def digest(self) -> str:
        """Digest of selection, features and the code that applies them."""
        features = self.features
        named = [features.name, features.particle_names, features.jet_names, features.members_only]
        correction = [self.correction.digest, _correcting_code_version()] if self.correction else []
        return digest_of([named, features.max_particles, asdict(self.selection), code_version(), *correction])


@dataclass(frozen=True)
class FilteredFile:
    """What one file became: its columnar file's digest and key (None where it could not be read) and its cut flow.

    transient: whether `error` is a server's, which may pass, rather than the file's.
    """

    url: str
    size: int
    etag: str
    digest: str | None
    key: str | None
    cutflow: Cutflow
    members_only: bool
    seconds: float
    error: str | None = None
    transient: bool = False


def filter_file(storage: Storage, file: JetFile, recipe: Recipe) -> FilteredFile:
    """Read, select, compute, publish; a file that cannot be read becomes a row with its error, not an exception.

    A remote server's faults are retried three times. A fault of the disk or of storage is not the file's: it
    propagates.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jec_filter_") as folder:
        path = Path(folder) / "jets.parquet"
        try:
            cutflow, members_only = remote_attempts()(_write_filtered, path, file, recipe)
        except (JetFileError, RemoteReadError) as fault:
            seconds, transient = time.monotonic() - started, isinstance(fault, RemoteReadError)
            unread = (None, None, EMPTY_CUTFLOW, False)
            return FilteredFile(file.url, file.size, file.etag, *unread, seconds, str(fault), transient)
        artifact = storage.publish_file_named_by_digest(FOLDER, ".parquet", path)
    seconds = time.monotonic() - started
    return FilteredFile(file.url, file.size, file.etag, artifact.digest, artifact.key, cutflow, members_only, seconds)


def _write_filtered(path: Path, file: JetFile, recipe: Recipe) -> tuple[Cutflow, bool]:
    """Write the columnar file, anew at each attempt; the cut flow, and whether all candidates are members."""
    import pyarrow.parquet as pq

    schema_of_result = parquet_schema(recipe.features)
    total, members_only = EMPTY_CUTFLOW, True
    # Particle features are noise in their last bits: a fast zstd level, and no dictionaries to build in vain.
    with pq.ParquetWriter(path, schema_of_result, compression="zstd", compression_level=1, use_dictionary=False) as out:
        for columns in read_columns(file, recipe.branches):
            members_only &= bool(np.all(columns.particles["PF_fromAK4Jet"] == 1))
            table, cutflow = filter_columns(columns, recipe)
            total += cutflow
            out.write_table(table)
    return total, members_only


def filter_columns(columns: Columns, recipe: Recipe) -> tuple[pa.Table, Cutflow]:
    """One chunk: the kept jets' rows and the cut flow."""
    if recipe.correction:
        columns = corrected(columns, recipe.correction)
    seen = select_particles(columns, recipe.features)
    # Zero and negative momenta become infinities and NaNs here, and rejected jets below.
    computed = compute_features(seen, recipe.features)
    with np.errstate(divide="ignore", invalid="ignore"):
        target = np.log(columns.scalars["genJetPt"] / columns.scalars["jetPt"])
    kept, cutflow = select_jets(seen, np.isfinite(target) & computed.finite, recipe.selection)
    scalars: dict[str, NDArray[Any]] = {
        **{name: columns.scalars[name] for name in SPECTATORS},
        "flavor": flavor(columns.scalars["hadronFlav"], columns.scalars["partonFlav"]),
        "target": target.astype(np.float32),
        "event_hash": event_hash(*(columns.scalars[name] for name in schema.EVENT_ID)),
        "constituents": np.diff(seen.offsets).astype(np.int32),
        **{f"jet_{name}": values for name, values in computed.jets.items()},
    }
    return _table(recipe.features, scalars, computed, kept), cutflow


def flavor(hadron: NDArray[Any], parton: NDArray[Any]) -> NDArray[np.int32]:
    """|hadronFlav| where it is not 0, else |partonFlav|: 1 to 5, 21, or 0 where neither is known; int32 (jets,)."""
    return np.asarray(np.where(hadron != 0, np.abs(hadron), np.abs(parton)), np.int32)


def parquet_schema(features: FeatureSet) -> pa.Schema:
    """Columns of a filtered file."""
    import pyarrow as pa

    types = {"float32": pa.float32(), "int32": pa.int32(), "uint64": pa.uint64()}
    fields = [pa.field(name, types[schema.BY_NAME[name].dtype]) for name in SPECTATORS]
    fields += [pa.field("flavor", pa.int32()), pa.field("target", pa.float32()), pa.field("event_hash", pa.uint64())]
    fields += [pa.field("constituents", pa.int32())]
    fields += [pa.field(f"jet_{name}", pa.float32()) for name in features.jet_names]
    fields += [pa.field(f"particle_{name}", pa.list_(pa.float32())) for name in features.particle_names]
    return pa.schema(fields)


def _table(
    features: FeatureSet, scalars: dict[str, NDArray[Any]], computed: ComputedFeatures, kept: NDArray[np.bool_]
) -> pa.Table:
    import pyarrow as pa

    counts = np.diff(computed.offsets)
    particle_kept = np.repeat(kept, counts)
    list_offsets = pa.array(np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int32))
    columns: dict[str, Any] = {name: pa.array(values[kept]) for name, values in scalars.items()}
    for name, values in computed.particles.items():
        columns[f"particle_{name}"] = pa.ListArray.from_arrays(list_offsets, pa.array(values[particle_kept]))
    return pa.table(columns, schema=parquet_schema(features))
