"""From one jet file to the jets of it that a standard correction is derived from.

Belongs here: reading the few branches it takes, choosing jets, and whether they come corrected. Does not belong here:
what the files of a source add up to (`standard_correction.py`).

A sample is a table with a row per jet: a column for each field of `MatchedJets`, `event_hash`, and `jet`, the hash of
the jet's identity. Only training events are in it, so that the test jets say what the correction is worth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from jec_assets.correction import Binning, MatchedJets
from jec_assets.jets.correcting import comes_corrected
from jec_assets.jets.identity import event_hash, jet_hash
from jec_assets.jets.reading import JetFileError, RemoteReadError, read_columns, remote_attempts
from jec_assets.jets.schema import EVENT_ID, JET_ID
from jec_assets.jets.splits import rows_of_split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.jets.features import Columns
    from jec_assets.jets.sources import JetFile

# Ntuples are cut on their corrected pT (30 GeV) and on |eta| (2.5). From 50 GeV on hardly a jet is lost to the first.
BINNING = Binning(
    offset_edges=(0.0, 1.3, 2.5),
    response_edges=(0.0, 0.3, 0.6, 0.9, 1.1, 1.3, 1.5, 1.7, 1.9, 2.1, 2.3, 2.5),
    gen_pt_min=50.0,
    offset_gen_pt=(50.0, 120.0),
    jets_per_point=400,
)

# Jets of a sample, of one file or of all: the median response is then known to some 10^-4 in every bin.
MAX_JETS = 2_000_000

_MATCHED = ("raw_pt", "eta", "rho", "area", "gen_pt", "delta_r")
_BRANCHES = (
    *JET_ID,
    *("jetPt", "jetRawPt", "jetEta", "jetPhi", "jetArea", "rhoAll"),
    *("jetGenMatch", "genJetPt", "genJetEta", "genJetPhi"),
)
EMPTY_SAMPLE = pl.DataFrame(schema={**dict.fromkeys(_MATCHED, pl.Float32), "event_hash": pl.UInt64, "jet": pl.UInt64})


@dataclass(frozen=True)
class FileSample:
    """What one file gave.

    compared, differing: jets of the file with a positive jetPt and jetRawPt, and those where they differ
    transient: whether `error` is a server's, which may pass, rather than the file's
    """

    url: str
    jets: pl.DataFrame = field(default_factory=EMPTY_SAMPLE.clone)
    compared: int = 0
    differing: int = 0
    error: str | None = None
    transient: bool = False


def sample_file(file: JetFile, max_jets: int = MAX_JETS) -> FileSample:
    """Read a file in chunks; one that cannot be read is a sample with its error, not an exception."""
    try:
        return remote_attempts()(_read, file, max_jets)
    except (JetFileError, RemoteReadError) as fault:
        return FileSample(file.url, error=str(fault), transient=isinstance(fault, RemoteReadError))


def _read(file: JetFile, max_jets: int) -> FileSample:
    jets, compared, differing = EMPTY_SAMPLE, 0, 0
    for columns in read_columns(file, _BRANCHES):
        differs = comes_corrected(columns)
        compared, differing = compared + len(differs), differing + int(np.count_nonzero(differs))
        jets = smallest_by_hash(pl.concat([jets, _sample(columns)]), max_jets)
    return FileSample(file.url, jets, compared, differing)


def _sample(columns: Columns) -> pl.DataFrame:
    """The matched jets of training events, from the smallest particle-level pT on that the binning takes."""
    scalars = columns.scalars
    event = event_hash(*(scalars[name] for name in EVENT_ID))
    with np.errstate(invalid="ignore"):
        delta_r = np.hypot(scalars["jetEta"] - scalars["genJetEta"], _wrapped(scalars["jetPhi"] - scalars["genJetPhi"]))
    values = (*(scalars[name] for name in ("jetRawPt", "jetEta", "rhoAll", "jetArea", "genJetPt")), delta_r)
    identity = {"event_hash": event, "jet": jet_hash(event, scalars["jetPtOrder"])}
    jets = pl.DataFrame({**dict(zip(_MATCHED, values, strict=True)), **identity}, schema=EMPTY_SAMPLE.schema)
    finite = pl.all_horizontal(pl.col(*_MATCHED).is_finite())
    chosen = pl.Series(scalars["jetGenMatch"] == 1) & finite & (pl.col("gen_pt") >= BINNING.gen_pt_min)
    return rows_of_split(jets.filter(chosen), "train")


def _wrapped(angle: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.remainder(angle + np.pi, 2 * np.pi) - np.pi)


def smallest_by_hash(jets: pl.DataFrame, max_jets: int) -> pl.DataFrame:
    """At most so many jets, each once, in the order of their hashes: the same ones whatever the order of the files."""
    return jets.sort("jet", *_MATCHED).unique("jet", keep="first", maintain_order=True).head(max_jets)


def matched_jets(sample: pl.DataFrame) -> MatchedJets:
    """The jets of a sample, for `jec_assets.correction.derive`."""
    return MatchedJets(*(sample[name].to_numpy().astype(np.float64) for name in _MATCHED))
