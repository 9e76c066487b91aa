"""The training cache: every jet of the split, in an order of identities alone, whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from jec_assets.jets import cache
from jec_assets.jets.cache import CacheError, cache_split, open_cache
from jec_assets.jets.dataset import load_split
from jec_assets.jets.filtering import Recipe
from jec_assets.jets.labels import LabeledJets
from jec_assets.jets.manifest import update_manifest
from jec_assets.jets.selection import Selection
from jec_assets.jets.sources import list_files
from jec_assets.jets.splits import publish_split
from jec_assets.storage import Storage
from jec_assets_tests.toy_jets import toy_jets, write_jet_file


def materialize(storage: Storage, source: Path, max_jets: int | None = None) -> None:
    with ThreadPoolExecutor(2) as pool:
        recipe = Recipe("extended", Selection())
        update_manifest(storage, list_files(str(source)), recipe, pool, lambda *_: None)
    publish_split(storage, "train", max_jets)


@pytest.fixture
def materialized(storage: Storage, toy_source: Path) -> Storage:
    materialize(storage, toy_source)
    return storage


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows(jets: LabeledJets) -> list[tuple]:
    """Everything that is known of each jet, jets sorted."""
    particles = np.split(jets.packed.particles, jets.packed.offsets[1:-1])
    labels = jets.labels
    numbers = zip(
        *(labels.run, labels.lumi, labels.event, jets.packed.jets.tolist(), labels.target, labels.flavor),
        *(labels.gen_pt, labels.gen_eta, labels.event_weight, (part.tobytes() for part in particles)),
        strict=True,
    )
    return sorted(numbers)


def test_the_cache_holds_the_jets_of_the_split(materialized: Storage, tmp_path: Path) -> None:
    split = load_split(materialized, "train")
    table = split.table
    names = ("run", "lumi", "event", "flavor", "genJetPt", "genJetEta", "eventWeight", "target")
    expected = LabeledJets(split.packed, cache.JetLabels(*(table[name].to_numpy() for name in names)))
    cached = cache_split(materialized, "train", tmp_path / "cache")
    jets = open_cache(cached.folder)
    assert cached.split == split.split
    assert rows(jets) == rows(expected)
    assert jets.packed.offsets.dtype == np.int64
    assert jets.labels.event.dtype == np.uint64
    assert not jets.packed.particles.flags.writeable
    assert {path.suffix for path in cached.folder.iterdir()} == {".npy"}


@pytest.mark.parametrize("bucket_jets", [40, 1 << 15])
def test_the_order_depends_on_identities_alone(
    storage: Storage, tmp_path: Path, bucket_jets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "BUCKET_JETS", bucket_jets)
    parts = [toy_jets(150, seed) for seed in (1, 2)]
    for folder, names in (("a", ("x", "y")), ("b", ("y", "x"))):
        for name, part in zip(names, parts, strict=True):
            write_jet_file(tmp_path / folder / f"{name}.root", part)
    first_events = {key: values[:40] for key, values in parts[0].items()}
    rest = {key: values[40:] for key, values in parts[0].items()}
    for name, part in zip(("p", "q", "r"), (rest, parts[1], first_events), strict=True):
        write_jet_file(tmp_path / "c" / f"{name}.root", part)
    caches = []
    for folder in "abc":
        store = Storage(str(tmp_path / f"storage_{folder}"))
        materialize(store, tmp_path / folder)
        caches.append(open_cache(cache_split(store, "train", tmp_path / f"cache_{folder}").folder))
    for other in caches[1:]:
        for array in ("particles", "offsets", "jets"):
            assert np.array_equal(getattr(caches[0].packed, array), getattr(other.packed, array))
        for label in ("event", "target"):
            assert np.array_equal(getattr(caches[0].labels, label), getattr(other.labels, label))


def test_buckets_do_not_change_the_order(
    materialized: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = open_cache(cache_split(materialized, "train", tmp_path / "one").folder)
    monkeypatch.setattr(cache, "BUCKET_JETS", 37)
    scattered = open_cache(cache_split(materialized, "train", tmp_path / "many").folder)
    assert np.array_equal(whole.packed.particles, scattered.packed.particles)
    assert np.array_equal(whole.packed.offsets, scattered.packed.offsets)


def test_consecutive_jets_are_a_fair_sample(materialized: Storage, tmp_path: Path) -> None:
    labels = open_cache(cache_split(materialized, "train", tmp_path).folder).labels
    half = len(labels) // 2
    # Each of the two files (lumi 1 and 2) gives half of either half, and jets of an event are not neighbors.
    for part in (labels.slice(0, half), labels.slice(half, len(labels))):
        assert abs(np.mean(part.lumi == 1) - 0.5) < 4 * 0.5 / np.sqrt(half)
    assert np.mean((labels.event[1:] == labels.event[:-1]) & (labels.lumi[1:] == labels.lumi[:-1])) < 0.02


def test_it_is_written_once(materialized: Storage, tmp_path: Path) -> None:
    first = cache_split(materialized, "train", tmp_path)
    stamp = (first.folder / "particles.npy").stat().st_mtime_ns
    assert cache_split(materialized, "train", tmp_path) == first
    assert (first.folder / "particles.npy").stat().st_mtime_ns == stamp


def test_other_jets_have_another_folder(materialized: Storage, tmp_path: Path) -> None:
    first = cache_split(materialized, "train", tmp_path)
    publish_split(materialized, "train", 300)
    assert cache_split(materialized, "train", tmp_path).folder != first.folder


def test_writers_at_once_give_one_cache(materialized: Storage, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    with ThreadPoolExecutor(4) as pool:
        cached = list(pool.map(lambda _: cache_split(materialized, "train", root), range(4)))
    assert len(set(cached)) == 1
    assert names_in(root) == [".train.lock", cached[0].folder.name]


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from jec_assets.jets import cache
from jec_assets.storage import Storage

def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)

cache._write_arrays = killed
cache.cache_split(Storage(sys.argv[1]), "train", Path(sys.argv[2]))
"""


def test_a_killed_writer_leaves_nothing_that_is_taken_for_a_cache(materialized: Storage, tmp_path: Path) -> None:
    root = tmp_path / "cache"
    arguments = [sys.executable, "-c", KILLED_WRITER, materialized.root, str(root)]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    assert names_in(root) == [".train.lock", ".train.part"]
    cached = cache_split(materialized, "train", root)
    assert names_in(root) == [".train.lock", cached.folder.name]
    assert len(open_cache(cached.folder)) == cached.split.jets


def test_a_failed_writing_cleans_up(materialized: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(cache, "_write_arrays", fail)
    root = tmp_path / "cache"
    with pytest.raises(OSError, match="no space"):
        cache_split(materialized, "train", root)
    assert names_in(root) == [".train.lock"]


def test_files_that_lack_jets_of_the_index_are_refused(
    materialized: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = cache._Source.tables
    monkeypatch.setattr(cache._Source, "tables", lambda source: (table.slice(1) for table in tables(source)))
    with pytest.raises(CacheError, match="materialize filtered_jets"):
        cache_split(materialized, "train", tmp_path / "cache")


def test_no_cache_says_so(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="cache_split"):
        open_cache(tmp_path / "nothing")
