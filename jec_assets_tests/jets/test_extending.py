"""Copies with more branches: nothing is lost, nothing half appears, memory holds a chunk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from jec_assets.jets import extending
from jec_assets.jets.extending import Extension, OutputExistsError, extend_tree
from jec_assets.jets.reading import JetFileError
from jec_assets.jets.schema import TREE
from jec_assets.jets.sources import JetFile
from jec_assets_tests.toy_jets import toy_jets, write_jet_file


def doubled(arrays: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
    assert len(arrays["jetPt"]) == rows
    return {"twice": 2 * ak.to_numpy(arrays["jetPt"])}


TWICE = Extension({"twice": "float32"}, doubled, {"note": "twice the pT"})


def file_of(path: Path) -> JetFile:
    return JetFile(str(path), 0, "")


def silent(done: int, total: int) -> None:
    """Nobody watches."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_jet_file(tmp_path / "in" / "jets.root", toy_jets(50, seed=1))


def test_every_row_and_branch_is_there_with_its_type(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extending, "CHUNK_ROWS", 37)
    seen: list[tuple[int, int]] = []
    out = tmp_path / "out.root"
    written = extend_tree(file_of(source), out, TWICE, lambda *now: seen.append(now))
    assert (written.rows, written.left_out) == (100, ())
    assert seen == [(0, 100), (37, 100), (74, 100), (100, 100)]
    with uproot.open(source) as before, uproot.open(out) as after:
        assert after["note"] == "twice the pT"
        types = {name: branch.typename for name, branch in after[TREE].items()}
        assert types.pop("twice") == "float"
        assert types == {name: branch.typename for name, branch in before[TREE].items()}
        for name in types:
            assert ak.array_equal(after[TREE][name].array(), before[TREE][name].array(), dtype_exact=False), name
        np.testing.assert_array_equal(after[TREE]["twice"].array(), 2 * before[TREE]["jetPt"].array())
        assert after[TREE].title == before[TREE].title
    assert [path.name for path in out.parent.iterdir() if path.name.startswith(".")] == []


def test_fixed_arrays_flags_and_unknown_branches_are_copied(tmp_path: Path) -> None:
    path = tmp_path / "in.root"
    columns = {
        "jetPt": np.array([40, 50], np.float32),
        "p4": np.arange(8, dtype=np.float64).reshape(2, 4),
        "good": np.array([True, False]),
        "hits": ak.values_astype(ak.Array([[1, 2], []]), "int16"),
    }
    with uproot.recreate(path) as file:
        file.mkdir("AK4jets").mktree(
            "jetTree", {"jetPt": "float32", "p4": np.dtype(("float64", (4,))), "good": "bool", "hits": "var * int16"}
        ).extend(columns)
    extend_tree(file_of(path), tmp_path / "out.root", TWICE, silent)
    with uproot.open(tmp_path / "out.root") as after:
        for name, values in columns.items():
            assert after[TREE][name].array().tolist() == ak.to_list(values), name


def test_texts_are_copied_and_other_objects_are_named(source: Path, tmp_path: Path) -> None:
    with uproot.update(source) as file:
        file["earlier"] = "a text"
        file["spectrum"] = np.histogram([1, 2, 2])
    written = extend_tree(file_of(source), tmp_path / "out.root", TWICE, silent)
    assert written.left_out == ("spectrum",)
    with uproot.open(tmp_path / "out.root") as after:
        assert after["earlier"] == "a text"


def test_a_file_without_jets_becomes_one(tmp_path: Path) -> None:
    empty = {name: values[:0] for name, values in toy_jets(1, seed=1).items()}
    source = write_jet_file(tmp_path / "in.root", empty)
    assert extend_tree(file_of(source), tmp_path / "out.root", TWICE, silent).rows == 0
    with uproot.open(tmp_path / "out.root") as after:
        assert after[TREE].num_entries == 0
        assert "twice" in after[TREE].keys()  # noqa: SIM118 - a tree iterates over its branches


def test_an_output_is_replaced_only_if_asked(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.root"
    out.write_text("mine")
    with pytest.raises(OutputExistsError, match=r"out\.root is there already"):
        extend_tree(file_of(source), out, TWICE, silent)
    assert out.read_text() == "mine"
    extend_tree(file_of(source), out, TWICE, silent, overwrite=True)
    with pytest.raises(OutputExistsError, match="is the file that is to be copied"):
        extend_tree(file_of(source), source, TWICE, silent, overwrite=True)


def test_a_branch_that_is_there_already_is_named(source: Path, tmp_path: Path) -> None:
    extend_tree(file_of(source), tmp_path / "once.root", TWICE, silent)
    with pytest.raises(JetFileError, match="has twice already"):
        extend_tree(file_of(tmp_path / "once.root"), tmp_path / "again.root", TWICE, silent)
    assert not (tmp_path / "again.root").exists()


def test_a_branch_that_cannot_be_copied_is_named(tmp_path: Path) -> None:
    path = tmp_path / "in.root"
    with uproot.recreate(path) as file:
        file.mkdir("AK4jets").mktree("jetTree", {"jetPt": "float32", "name": "string"}).extend(
            {"jetPt": np.ones(2, np.float32), "name": ["a", "b"]}
        )
    with pytest.raises(JetFileError, match="branch name is of type string"):
        extend_tree(file_of(path), tmp_path / "out.root", TWICE, silent)


def test_a_damaged_file_leaves_no_output(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extending, "CHUNK_ROWS", 10)
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 4) + whole[3 * len(whole) // 4 :])
    with pytest.raises(JetFileError, match=r"jets\.root: it is not a ROOT file or it is damaged"):
        extend_tree(file_of(source), tmp_path / "out.root", TWICE, silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_fault_on_the_way_leaves_no_output(source: Path, tmp_path: Path) -> None:
    def failing(arrays: Mapping[str, Any], rows: int) -> dict[str, np.ndarray]:
        raise KeyError("server")

    with pytest.raises(KeyError):
        extend_tree(file_of(source), tmp_path / "out.root", Extension({"twice": "float32"}, failing, {}), silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


PEAK = """
import json, resource, sys
from pathlib import Path
import numpy as np
from jec_assets.jets import extending
from jec_assets.jets.sources import JetFile

extending.CHUNK_ROWS = 500
more = extending.Extension({"twice": "float32"}, lambda arrays, rows: {"twice": np.zeros(rows, np.float32)}, {})
extending.extend_tree(JetFile(sys.argv[1], 0, ""), Path(sys.argv[2]), more, lambda *_: None)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for jets in (2, 40):
        path = tmp_path / f"{jets}.root"
        noise = np.random.default_rng(1)
        with uproot.recreate(path, compression=None) as file:
            tree = file.mkdir("AK4jets").mktree("jetTree", {"PF_pT": np.dtype(("float32", (1000,)))})
            for _ in range(jets):
                tree.extend({"PF_pT": noise.random((500, 1000), np.float32)})
        command = [sys.executable, "-c", PEAK, str(path), str(tmp_path / "out.root")]
        peaks.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        (tmp_path / "out.root").unlink()
    # 80 MB of jets against 4: kilobytes
    assert peaks[1] < peaks[0] + 20_000
