"""From files to filtered jets: nothing is read twice, nothing is lost, nothing is counted twice."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from jec_assets.jets.dataset import load_split
from jec_assets.jets.filtering import FOLDER, FilteredFile, Recipe
from jec_assets.jets.manifest import Manifest, NoJetsError, update_manifest
from jec_assets.jets.selection import Selection
from jec_assets.jets.sources import list_files
from jec_assets.jets.splits import SHARES, SplitTooSmallError, publish_split
from jec_assets.storage import Storage
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

RECIPE = Recipe("extended", Selection())
Update = Callable[..., Manifest]


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.fixture
def update(storage: Storage, executor: Executor) -> Update:
    def run(source: Path, recipe: Recipe = RECIPE) -> Manifest:
        return update_manifest(storage, list_files(str(source)), recipe, executor, lambda *_: None)

    return run


def read_now(manifest: Manifest) -> list[str]:
    return [Path(row.file.url).name for row in manifest.rows if row.read_now]


def test_every_jet_is_kept_or_counted_under_a_cut(update: Update, tmp_path: Path) -> None:
    branches = toy_jets(100, seed=1)
    branches["jetGenMatch"][:10] = 0
    branches["genJetPt"][10:17] = 19.0
    branches["genJetEta"][17:20] = -2.6
    branches["jetMass"][20] = np.nan
    branches["genJetPt"][21] = np.inf
    member = branches["PF_fromAK4Jet"].to_list()
    member[22] = [False] * len(member[22])
    branches["PF_fromAK4Jet"] = member
    write_jet_file(tmp_path / "a.root", branches)
    manifest = update(tmp_path)
    assert manifest.rejected == {
        "no_gen_match": 10,
        "low_gen_pt": 7,
        "outside_gen_eta": 3,
        "no_constituents": 1,
        "not_finite": 2,
        "duplicate": 0,
    }
    assert manifest.jets + sum(manifest.rejected.values()) == 200


def test_a_second_run_reads_nothing_and_one_more_file_reads_one(update: Update, tmp_path: Path) -> None:
    for seed in range(2):
        write_jet_file(tmp_path / f"{seed}.root", toy_jets(50, seed))
    first = update(tmp_path)
    assert read_now(first) == ["0.root", "1.root"]
    second = update(tmp_path)
    assert read_now(second) == []
    assert second.data_version == first.data_version
    write_jet_file(tmp_path / "2.root", toy_jets(50, 2))
    third = update(tmp_path)
    assert read_now(third) == ["2.root"]
    assert third.jets == first.jets + 100
    (tmp_path / "2.root").unlink()
    assert update(tmp_path).data_version == first.data_version


def test_another_recipe_reads_again(update: Update, tmp_path: Path) -> None:
    write_jet_file(tmp_path / "a.root", toy_jets(50, 0))
    update(tmp_path)
    assert read_now(update(tmp_path, Recipe("paper", Selection()))) == ["a.root"]
    assert read_now(update(tmp_path, Recipe("extended", Selection(min_gen_pt=60.0)))) == ["a.root"]


def test_the_same_jets_in_two_files_count_once(update: Update, tmp_path: Path) -> None:
    write_jet_file(tmp_path / "a.root", toy_jets(50, 0))
    other = toy_jets(50, 0)
    other["jetPt"] = other["jetPt"] * 1.01
    write_jet_file(tmp_path / "b.root", other)
    (tmp_path / "c.root").write_bytes((tmp_path / "a.root").read_bytes())
    manifest = update(tmp_path)
    assert manifest.jets == 100
    assert manifest.rejected["duplicate"] == 200


def test_bad_files_get_a_row_and_others_go_through(update: Update, tmp_path: Path) -> None:
    write_jet_file(tmp_path / "good.root", toy_jets(50, 0))
    (tmp_path / "text.root").write_text("no jets")
    empty = {name: values[:0] for name, values in toy_jets(1, 0).items()}
    write_jet_file(tmp_path / "empty.root", empty)
    manifest = update(tmp_path)
    assert manifest.jets == 100
    assert len(manifest.errors) == 1
    assert "text.root" in manifest.errors[0]
    # A file with an error is tried again, as it may have been mended.
    assert read_now(update(tmp_path)) == ["text.root"]


def test_no_jets_at_all_keeps_what_was_stored(update: Update, storage: Storage, tmp_path: Path) -> None:
    write_jet_file(tmp_path / "good" / "a.root", toy_jets(50, 0))
    before = update(tmp_path / "good")
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "text.root").write_text("no jets")
    write_jet_file(bad / "empty.root", {name: values[:0] for name, values in toy_jets(1, 0).items()})
    with pytest.raises(NoJetsError, match=r"(?s)text.root.*empty.root: its tree is empty"):
        update(bad)
    assert Manifest.load(storage).data_version == before.data_version


def test_names_of_files_do_not_matter(update: Update, storage: Storage, tmp_path: Path) -> None:
    for name, folder in (("ab", tmp_path / "one"), ("ba", tmp_path / "two")):
        for seed, letter in enumerate(name):
            write_jet_file(folder / f"{letter}.root", toy_jets(300, seed))
    digests = []
    for folder in ("one", "two"):
        update(tmp_path / folder)
        digests.append([publish_split(storage, name, None).digest for name in SHARES])
    assert digests[0] == digests[1]


def test_a_file_without_jets_of_a_split_changes_none(update: Update, storage: Storage, tmp_path: Path) -> None:
    write_jet_file(tmp_path / "a.root", toy_jets(400, 0))
    first = update(tmp_path)
    before = [publish_split(storage, name, None).digest for name in SHARES]
    rejected = toy_jets(50, 1)
    rejected["jetGenMatch"][:] = 0
    write_jet_file(tmp_path / "b.root", rejected)
    assert update(tmp_path).digests != first.digests
    assert [publish_split(storage, name, None).digest for name in SHARES] == before


def test_the_index_reads_only_what_identifies_jets(
    update: Update, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(self: Storage, key: str) -> bytes:
        assert not key.startswith(FOLDER), f"{key} is read whole"
        return read_bytes(self, key)

    read_bytes = Storage.read_bytes
    monkeypatch.setattr(Storage, "read_bytes", read)
    write_jet_file(tmp_path / "a.root", toy_jets(50, 0))
    assert update(tmp_path).jets == 100


def test_files_with_members_only_are_named(update: Update, tmp_path: Path) -> None:
    write_jet_file(tmp_path / "members.root", toy_jets(50, 0))
    write_jet_file(tmp_path / "square.root", toy_jets(50, 1, outsiders=True))
    write_jet_file(tmp_path / "empty.root", {name: values[:0] for name, values in toy_jets(1, 0).items()})
    (tmp_path / "text.root").write_text("no jets")
    manifest = update(tmp_path, Recipe("paper", Selection()))
    assert [Path(url).name for url in manifest.files_with_members_only] == ["members.root"]


def test_faults_of_storage_end_the_run_before_files_that_were_not_begun(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        begun.append(1)
        if len(begun) > 1:  # it may be under way when the first fault is heard of, and no other one
            ended.wait(60)
        raise OSError(28, "No space left on device")

    begun, ended = list[int](), Event()
    monkeypatch.setattr(Storage, "publish_file_named_by_digest", full)
    for seed in range(8):
        write_jet_file(tmp_path / f"{seed}.root", toy_jets(5, seed))
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(OSError, match="No space left"):
            update_manifest(storage, list_files(str(tmp_path)), RECIPE, pool, lambda *_: None)
        ended.set()
    assert len(begun) <= 2


def test_a_killed_run_goes_on_with_the_missing_files(storage: Storage, executor: Executor, toy_source: Path) -> None:
    def die(_: FilteredFile, left: int) -> None:
        if left:
            raise KeyboardInterrupt

    files = list_files(str(toy_source))
    with pytest.raises(KeyboardInterrupt):
        update_manifest(storage, files, RECIPE, executor, die)
    assert not storage.exists("filtered_jets/manifest.json")
    manifest = update_manifest(storage, files, RECIPE, executor, lambda *_: None)
    assert len(read_now(manifest)) == 1


def test_splits_load_as_they_were_written(update: Update, storage: Storage, toy_source: Path) -> None:
    manifest = update(toy_source)
    splits = [publish_split(storage, name, None) for name in SHARES]
    assert sum(split.jets for split in splits) == manifest.jets
    loaded = [load_split(storage, name) for name in SHARES]
    for jets in loaded:
        assert len(jets.packed) == len(jets.table) == jets.split.jets
        table = jets.table.to_dict(as_series=False)
        target = np.log(np.divide(table["genJetPt"], table["jetPt"]))
        np.testing.assert_allclose(table["target"], target, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(np.exp(jets.packed.jets[:, 0]), table["jetPt"], rtol=1e-5)
        # Members' momenta add up to the raw jet: every particle is with its own jet.
        sums = np.add.reduceat(np.exp(jets.packed.particles[:, 0]), jets.packed.offsets[:-1])
        np.testing.assert_allclose(sums, table["jetRawPt"], rtol=1e-4)
    train, validation, test = (set(jets.table["event_hash"]) for jets in loaded)
    assert train.isdisjoint(validation | test)
    assert validation.isdisjoint(test)


def test_jets_stay_in_their_split_as_files_are_added(update: Update, storage: Storage, tmp_path: Path) -> None:
    write_jet_file(tmp_path / "0.root", toy_jets(400, 0))
    update(tmp_path)
    before = {name: set(load_split_ids(storage, name)) for name in SHARES}
    write_jet_file(tmp_path / "1.root", toy_jets(400, 1))
    update(tmp_path)
    for name in SHARES:
        assert before[name] < set(load_split_ids(storage, name))


def load_split_ids(storage: Storage, name) -> list[tuple]:
    publish_split(storage, name, None)
    return load_split(storage, name).table.select("run", "lumi", "event", "jetPtOrder").rows()


def test_a_cap_that_leaves_too_few_jets_is_named(update: Update, storage: Storage, toy_source: Path) -> None:
    update(toy_source)
    with pytest.raises(SplitTooSmallError, match=r"train has 50 jets of the \d+ .*capped at 50.*JEC_MAX_TRAINING_JETS"):
        publish_split(storage, "train", 50)


def test_too_few_jets_for_a_split_says_so(update: Update, storage: Storage, tmp_path: Path) -> None:
    write_jet_file(tmp_path / "a.root", toy_jets(60, 0))
    update(tmp_path)
    with pytest.raises(SplitTooSmallError, match=r"validation has .* needs 100: give more files"):
        publish_split(storage, "validation", None)
