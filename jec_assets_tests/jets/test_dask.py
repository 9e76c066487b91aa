"""Files read by a Dask cluster: the same, bit for bit, as by this machine's processes, whatever happens to workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from distributed import LocalCluster

from jec_assets.dask_pool import dask_pool
from jec_assets.defs.jets import filtered_jets, jet_files, standard_correction
from jec_assets.defs.resources import resources
from jec_assets.jets.filtering import FilteredFile, Recipe
from jec_assets.jets.manifest import Manifest, update_manifest
from jec_assets.jets.selection import Selection
from jec_assets.jets.sources import list_files, local_folders
from jec_assets.jets.standard_correction import load_standard_correction
from jec_assets.pools import worker_pool
from jec_assets.settings import Settings
from jec_assets.storage import Storage, digest_bytes
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

RECIPE = Recipe("extended", Selection())


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as running:
        yield running


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of eight toy files, one of them damaged."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(7):
        write_jet_file(folder / f"toy_{number}.root", toy_jets(200, seed=number))
    (folder / "damaged.root").write_text("no jets")
    return folder


def published(storage: Storage) -> dict[str, str]:
    """The digest of each Parquet file's bytes, by key."""
    keys = [key for folder in ("filtered_jets/files", "filtered_jets/index") for key in storage.list(folder)]
    return {key: digest_bytes(storage.read_bytes(key)) for key in keys}


def test_assets_are_the_same_bit_for_bit(cluster: LocalCluster, source: Path, tmp_path: Path) -> None:
    found = []
    for scheduler in (None, cluster.scheduler_address):
        settings = Settings(storage_root=str(tmp_path / str(len(found))), source=str(source), dask_scheduler=scheduler)
        assets = [jet_files, standard_correction, filtered_jets]
        with dg.DagsterInstance.ephemeral() as instance:
            assert dg.materialize(assets, resources=resources(settings), instance=instance).success
        storage = Storage(settings.storage_root)
        manifest, correction = Manifest.load(storage), load_standard_correction(storage)
        assert len(manifest.errors) == 1
        found.append((manifest.data_version, manifest.digests, correction.digest, correction.jets, published(storage)))
    assert found[0] == found[1]
    assert len(found[0][-1]) == 8


def test_a_lost_worker_costs_its_files_only(cluster: LocalCluster, source: Path, tmp_path: Path) -> None:
    def kill_one(_: FilteredFile, left: int) -> None:
        heard.append(left)
        if len(heard) == 1:
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

    heard: list[int] = []
    files, here, there = list_files(str(source)), Storage(str(tmp_path / "here")), Storage(str(tmp_path / "there"))
    with dask_pool(cluster.scheduler_address, there, local_folders(files)) as pool:
        with_loss = update_manifest(there, files, RECIPE, pool, kill_one)
    assert heard == [*range(7, -1, -1)]
    with worker_pool(1) as processes:
        without = update_manifest(here, files, RECIPE, processes, lambda *_: None)
    assert with_loss.data_version == without.data_version
    assert with_loss.digests == without.digests
    assert published(there) == published(here)
