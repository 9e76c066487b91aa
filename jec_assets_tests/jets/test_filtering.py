"""One file: which faults are its own, what its flavor column holds, and what makes its result another one."""

from pathlib import Path

import numpy as np
import pytest

from jec_assets.jets import features, filtering, identity, reading, schema, selection
from jec_assets.jets.features import Columns
from jec_assets.jets.filtering import Recipe, code_version, filter_file, flavor
from jec_assets.jets.reading import RemoteReadError
from jec_assets.jets.selection import Selection
from jec_assets.jets.sources import JetFile
from jec_assets.storage import Storage
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

RECIPE = Recipe("extended", Selection())


@pytest.fixture
def file(tmp_path: Path) -> JetFile:
    path = write_jet_file(tmp_path / "a.root", toy_jets(20, seed=1))
    return JetFile(str(path), path.stat().st_size, "0")


@pytest.mark.parametrize(
    ("hadron", "parton", "expected"),
    [(-5, 1, 5), (5, 21, 5), (4, 21, 4), (0, -2, 2), (0, 3, 3), (0, 21, 21), (0, 0, 0)],
)
def test_flavor_is_the_hadrons_or_else_the_partons(hadron: int, parton: int, expected: int) -> None:
    found = flavor(np.array([hadron], np.int32), np.array([parton], np.int32))
    assert found.dtype == np.int32
    assert found.tolist() == [expected]


@pytest.mark.parametrize("module", [schema, features, reading, selection, identity, filtering])
def test_a_changed_source_is_another_recipe(module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, version = RECIPE.digest, code_version()
    edited = tmp_path / "edited.py"
    edited.write_text(Path(str(module.__file__)).read_text() + "\n")
    monkeypatch.setattr(module, "__file__", str(edited))
    assert RECIPE.digest == before, "what runs is what was imported"
    assert code_version.__wrapped__() != version
    monkeypatch.setattr(filtering, "code_version", code_version.__wrapped__)
    assert RECIPE.digest != before


def test_a_remote_fault_is_retried_from_the_beginning(
    storage: Storage, file: JetFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*arguments):
        attempts.append(1)
        chunks = list(reading.read_columns(*arguments))
        yield from chunks
        if len(attempts) < 3:
            raise RemoteReadError("connection reset")

    attempts: list[int] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    monkeypatch.setattr(filtering, "read_columns", read)
    filtered = filter_file(storage, file, RECIPE)
    assert (len(attempts), filtered.error) == (3, None)
    assert filtered.cutflow.jets == 40


def test_a_remote_fault_that_stays_is_the_files_error(
    storage: Storage, file: JetFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_):
        attempts.append(1)
        raise RemoteReadError(f"{file.url}: connection reset")

    attempts: list[int] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    monkeypatch.setattr(filtering, "read_columns", read)
    filtered = filter_file(storage, file, RECIPE)
    assert filtered.error == f"{file.url}: connection reset"
    assert filtered.transient
    assert len(attempts) == 4


def test_what_a_server_raises_while_a_remote_file_is_read_is_a_remote_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str, **options: object) -> None:
        raise ConnectionResetError("connection reset")

    monkeypatch.setattr("uproot.open", fail)
    with pytest.raises(RemoteReadError, match=r"s3://jets/a\.root: connection reset"):
        list(reading.read_columns(JetFile("s3://jets/a.root", 1, "0"), ("jetPt",)))


def test_a_fault_of_storage_is_not_the_files(storage: Storage, file: JetFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        attempts.append(1)
        raise PermissionError(13, "Permission denied")

    attempts: list[int] = []
    monkeypatch.setattr(Storage, "publish_file_named_by_digest", full)
    with pytest.raises(PermissionError):
        filter_file(storage, file, RECIPE)
    assert len(attempts) == 1


def test_the_edges_of_the_selection_are_outside() -> None:
    inside = np.nextafter(np.float32(20), np.float32(21)), np.nextafter(np.float32(2.5), np.float32(0))
    scalars = {
        "jetGenMatch": np.ones(5, np.int32),
        "genJetPt": np.array([20.0, inside[0], 30.0, 30.0, 30.0], np.float32),
        "genJetEta": np.array([0.0, 0.0, 2.5, -2.5, inside[1]], np.float32),
    }
    columns = Columns(scalars, {}, np.arange(6))
    kept, cutflow = selection.select_jets(columns, np.ones(5, np.bool_), Selection())
    assert kept.tolist() == [False, True, False, False, True]
    assert cutflow.rejected["low_gen_pt"] == 1
    assert cutflow.rejected["outside_gen_eta"] == 2
