"""What must hold for filtered jets, declared once and checked over all files, streaming.

Belongs here: the declared conditions and the pass that collects every violation. Does not belong here: rejecting jets
(`selection.py`): a violation found here means that the pipeline itself is broken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from jec_assets.jets.features import feature_set_named
from jec_assets.jets.filtering import parquet_schema
from jec_assets.jets.index import load_index

if TYPE_CHECKING:
    from jec_assets.jets.manifest import Manifest, ManifestRow
    from jec_assets.storage import Storage

FLAVORS = (0, 1, 2, 3, 4, 5, 21)

# Per column: what every jet must fulfill, in words and as an expression.
CONDITIONS: dict[str, pl.Expr] = {
    "jetPt is positive": pl.col("jetPt") > 0,
    "genJetPt is positive": pl.col("genJetPt") > 0,
    "target is log(genJetPt / jetPt)": (pl.col("target") - (pl.col("genJetPt") / pl.col("jetPt")).log()).abs() < 1e-3,
    "flavor is known or 0": pl.col("flavor").is_in(FLAVORS),
}


def violations(storage: Storage, manifest: Manifest) -> list[str]:
    """Every violated condition with the file and the number of jets, empty where all is well; one file at a time."""
    found = []
    for row in manifest.rows:
        if row.file.key is not None:
            frame = pl.scan_parquet(storage.local_file(row.file.key))
            problems = [*_lost_jets(frame, row), *_violated_conditions(frame, manifest.feature_set)]
            found += [f"{row.file.url}: {problem}" for problem in problems]
    indexed = len(load_index(storage, manifest.index_key))
    if indexed != manifest.jets:
        found.append(f"the index has {indexed} jets, the manifest {manifest.jets}")
    return found


def _lost_jets(frame: pl.LazyFrame, row: ManifestRow) -> list[str]:
    stored = int(frame.select(pl.len()).collect().item())
    rejected = sum(row.file.cutflow.rejected.values())
    if stored + rejected == row.file.cutflow.jets:
        return []
    return [f"{row.file.cutflow.jets} jets were read, but {stored} are stored and {rejected} were rejected"]


def _violated_conditions(frame: pl.LazyFrame, feature_set: str) -> list[str]:
    features = feature_set_named(feature_set)
    expected = parquet_schema(features).names
    present = frame.collect_schema().names()
    if present != expected:
        return [f"its columns are {present}, not {expected}"]
    finite = {f"jet_{name} is finite": pl.col(f"jet_{name}").is_finite() for name in features.jet_names}
    lists = {
        f"particle_{name} is finite": pl.col(f"particle_{name}").list.eval(pl.element().is_finite()).list.all()
        for name in features.particle_names
    }
    particles = {"every jet has a particle": pl.col(f"particle_{features.particle_names[0]}").list.len() > 0}
    conditions = {**CONDITIONS, **finite, **lists, **particles}
    failing = frame.select((~holds).fill_null(True).sum().alias(words) for words, holds in conditions.items())
    counts = failing.collect(engine="streaming").row(0, named=True)
    return [f"{count} jets violate '{words}'" for words, count in counts.items() if count]
