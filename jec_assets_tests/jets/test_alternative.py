"""Jets of another generator: all of them test jets, in a place of their own."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jec_assets.jets.alternative import SameJetsError, alternative_storage, require_other_jets
from jec_assets.jets.dataset import load_split, load_table
from jec_assets.jets.filtering import Recipe
from jec_assets.jets.index import load_index
from jec_assets.jets.manifest import Manifest, update_manifest
from jec_assets.jets.selection import Selection
from jec_assets.jets.sources import list_files
from jec_assets.jets.splits import SplitTooSmallError, publish_all_to_test, publish_split
from jec_assets.storage import Storage
from jec_assets_tests.toy_jets import toy_jets, write_jet_file


def filtered(storage: Storage, folder: Path, seed: int) -> Manifest:
    folder.mkdir(exist_ok=True)
    write_jet_file(folder / "jets.root", toy_jets(300, seed=seed, run=seed))
    with ThreadPoolExecutor(1) as pool:
        files = list_files(str(folder))
        return update_manifest(storage, files, Recipe("extended", Selection()), pool, lambda *_: None)


def test_the_nominal_jets_stay_as_they_were(storage: Storage, tmp_path: Path) -> None:
    filtered(storage, tmp_path / "nominal", seed=1)
    before = publish_split(storage, "test", None)
    place = alternative_storage(storage)
    filtered(place, tmp_path / "other", seed=2)
    alternative = publish_all_to_test(place, None)
    assert load_split(storage, "test").split == before
    assert load_split(place, "test").split == alternative != before
    assert set(load_table(storage, "test")["run"]) == {1}
    assert set(load_table(place, "test")["run"]) == {2}


def test_all_jets_are_test_jets_up_to_the_cap(storage: Storage, tmp_path: Path) -> None:
    manifest = filtered(storage, tmp_path / "other", seed=2)
    split = publish_all_to_test(storage, None)
    assert split.jets == split.available_jets == manifest.jets == len(load_split(storage, "test").packed.offsets) - 1
    capped = publish_all_to_test(storage, 200)
    assert 198 < capped.jets <= 200
    events = sorted(set(load_index(storage, manifest.index_key)["event_hash"]))
    assert set(load_table(storage, "test")["event_hash"]) == set(events[: capped.events])
    with pytest.raises(SplitTooSmallError, match="capped at 50, and needs 100: raise JEC_MAX_TEST_JETS"):
        publish_all_to_test(storage, 50)


def test_the_nominal_files_are_no_alternative(storage: Storage, tmp_path: Path) -> None:
    place = alternative_storage(storage)
    nominal, same = filtered(storage, tmp_path / "nominal", seed=1), filtered(place, tmp_path / "copy", seed=1)
    with pytest.raises(SameJetsError, match=r"1 of 1 alternative files .* JEC_ALTERNATIVE_SOURCE"):
        require_other_jets(nominal, same)
    require_other_jets(nominal, filtered(place, tmp_path / "other", seed=2))
