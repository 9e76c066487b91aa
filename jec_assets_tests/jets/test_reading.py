"""Bad files: each gets an error that names the file, the problem and the remedy; good ones lose no jet."""

import shutil
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from jec_assets.jets import reading
from jec_assets.jets.reading import FileNotGivenError, JetFileError, read_columns
from jec_assets.jets.sources import JetFile, list_files
from jec_assets.storage import write_atomically
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

BRANCHES = ("jetPt", "event", "PF_pT", "PF_id")


def jet_file(path: Path) -> JetFile:
    return list_files(str(path))[0]


def test_chunks_hold_every_jet_once_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK_JETS", 37)
    branches = toy_jets(100, seed=1)
    file = jet_file(write_jet_file(tmp_path / "a.root", branches))
    chunks = list(read_columns(file, BRANCHES))
    assert max(map(len, chunks)) == 37
    jet_pt = np.concatenate([chunk.scalars["jetPt"] for chunk in chunks])
    np.testing.assert_allclose(jet_pt, branches["jetPt"], rtol=1e-6)
    flat = np.concatenate([chunk.particles["PF_pT"] for chunk in chunks])
    np.testing.assert_allclose(flat, np.concatenate(list(map(np.asarray, branches["PF_pT"]))), rtol=1e-6)


def test_the_highest_cycle_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        directory = file.mkdir("AK4jets")
        for jets in (3, 5):
            directory.mktree("jetTree", {"jetPt": "float32"}).extend({"jetPt": np.full(jets, 40.0, np.float32)})
    chunks = list(read_columns(jet_file(path), ("jetPt",)))
    assert sum(map(len, chunks)) == 5


def test_an_older_spelling_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        tree = file.mkdir("AK4jets").mktree(
            "jetTree", {"genPF_pT": "var * float32"}, counter_name=lambda _: "nGenJetPF"
        )
        tree.extend({"genPF_pT": ak.values_astype(ak.Array([[5, 3, 1], [], [2]]), "float32")})
    (chunk,) = read_columns(jet_file(path), ("genJetPF_pT",))
    assert chunk.particles["genJetPF_pT"].tolist() == [5, 3, 1, 2]
    assert chunk.offsets.tolist() == [0, 3, 3, 4]


def test_a_branch_of_another_shape_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        file.mkdir("AK4jets").mktree("jetTree", {"PF_pT": "float32"}).extend({"PF_pT": np.ones(4, np.float32)})
    with pytest.raises(JetFileError, match="PF_pT has 0 axes"):
        list(read_columns(jet_file(path), ("PF_pT",)))


def broken_text(path: Path) -> None:
    path.write_text("these are not jets")


def broken_truncated(path: Path) -> None:
    write_jet_file(path, toy_jets(300, seed=1))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def broken_bytes(path: Path) -> None:
    write_jet_file(path, toy_jets(300, seed=1))
    data = bytearray(path.read_bytes())
    middle = len(data) // 4
    data[middle : 3 * middle] = bytes(2 * middle)
    path.write_bytes(bytes(data))


def broken_empty(path: Path) -> None:
    path.write_bytes(b"")


def broken_no_tree(path: Path) -> None:
    with uproot.recreate(path) as file:
        file["other"] = np.histogram([1.0, 2.0])


def broken_no_branch(path: Path) -> None:
    branches = toy_jets(10, seed=1)
    del branches["PF_id"]
    write_jet_file(path, branches)


BREAKAGES = {
    broken_text: "not a ROOT file or it is damaged",
    broken_truncated: "damaged",
    broken_bytes: "damaged",
    broken_empty: "damaged",
    broken_no_tree: "no tree AK4jets/jetTree",
    broken_no_branch: "no branch PF_id",
}


@pytest.mark.parametrize(("breaking", "problem"), BREAKAGES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_bad_file_is_named_with_its_problem(breaking, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.root"
    breaking(path)
    with pytest.raises(JetFileError, match=problem) as caught:
        list(read_columns(JetFile(str(path), path.stat().st_size, "0"), BRANCHES))
    assert "bad.root" in str(caught.value)
    assert caught.value.remedy


def test_a_file_overwritten_while_it_is_read_is_never_a_mixture(
    toy_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "CHUNK_JETS", 100)
    path = Path(shutil.copy(toy_source / "toy_0.root", tmp_path))
    chunks = read_columns(jet_file(path), ("jetPt",))
    next(chunks)
    write_atomically(path, (toy_source / "toy_1.root").read_bytes())
    with pytest.raises(FileNotGivenError, match=r"toy_0\.root: it was overwritten since it was listed"):
        list(chunks)
