"""The declared conditions on filtered jets: what fulfills them passes, what doesn't is counted and named."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from jec_assets.jets.filtering import Recipe
from jec_assets.jets.manifest import Manifest, update_manifest
from jec_assets.jets.selection import Selection
from jec_assets.jets.sources import list_files
from jec_assets.jets.validation import violations
from jec_assets.storage import Storage


@pytest.fixture
def manifest(storage: Storage, toy_source: Path) -> Manifest:
    with ThreadPoolExecutor(1) as executor:
        files = list_files(str(toy_source))
        return update_manifest(storage, files, Recipe("extended", Selection()), executor, lambda *_: None)


def tamper(storage: Storage, manifest: Manifest, **columns: pl.Expr) -> None:
    path = storage.local_file(str(manifest.rows[0].file.key))
    pl.read_parquet(path).with_columns(**columns).write_parquet(path)


def test_good_jets_have_no_violations(storage: Storage, manifest: Manifest) -> None:
    assert violations(storage, manifest) == []


def test_every_violation_is_named_and_counted(storage: Storage, manifest: Manifest) -> None:
    first = pl.int_range(pl.len()) < 3
    tamper(
        storage,
        manifest,
        flavor=pl.when(first).then(7).otherwise(pl.col("flavor")).cast(pl.Int32),
        jet_mass=pl.when(first).then(np.nan).otherwise(pl.col("jet_mass")).cast(pl.Float32),
        jetPt=pl.when(first).then(-1.0).otherwise(pl.col("jetPt")).cast(pl.Float32),
    )
    found = violations(storage, manifest)
    assert len(found) == 4  # a wrong jetPt also contradicts the target
    assert all("toy_0.root: 3 jets violate" in violation for violation in found)


def test_a_particle_that_is_not_a_number_is_found(storage: Storage, manifest: Manifest) -> None:
    values = pl.col("particle_mass").list.eval(
        pl.when(pl.int_range(pl.len()) == 0).then(np.nan).otherwise(pl.element())
    )
    tamper(storage, manifest, particle_mass=values.cast(pl.List(pl.Float32)))
    assert [violation for violation in violations(storage, manifest) if "particle_mass is finite" in violation]


def test_a_missing_column_is_found(storage: Storage, manifest: Manifest) -> None:
    path = storage.local_file(str(manifest.rows[0].file.key))
    pl.read_parquet(path).drop("jet_rho").write_parquet(path)
    assert "jet_rho" in violations(storage, manifest)[0]


def test_a_lost_jet_is_found(storage: Storage, manifest: Manifest) -> None:
    path = storage.local_file(str(manifest.rows[0].file.key))
    pl.read_parquet(path)[1:].write_parquet(path)
    kept = manifest.rows[0].file.cutflow.kept
    assert f"{kept - 1} are stored" in violations(storage, manifest)[0]


def test_an_index_that_lost_a_jet_is_found(storage: Storage, manifest: Manifest) -> None:
    path = storage.local_file(manifest.index_key)
    pl.read_parquet(path)[1:].write_parquet(path)
    assert violations(storage, manifest) == [f"the index has {manifest.jets - 1} jets, the manifest {manifest.jets}"]
