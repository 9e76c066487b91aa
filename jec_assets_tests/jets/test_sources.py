"""Sources: folders, globs, lists; what names nothing is said."""

from pathlib import Path

import pytest

from jec_assets.jets.sources import SourceError, list_files, source_version


def test_a_folder_a_glob_and_a_list_give_the_same_files(toy_source: Path) -> None:
    folder = list_files(str(toy_source))
    assert [file.name for file in folder] == ["toy_0.root", "toy_1.root"]
    assert list_files(f"{toy_source}/*.root") == folder
    assert list_files(f"{toy_source}/toy_1.root, {toy_source}/toy_0.root, {toy_source}") == folder
    assert list_files(str(toy_source), max_files=1) == folder[:1]


def test_the_version_changes_with_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.root").write_bytes(b"one")
    before = source_version(list_files(str(tmp_path)))
    (tmp_path / "b.root").write_bytes(b"two")
    after = source_version(list_files(str(tmp_path)))
    assert before != after
    (tmp_path / "b.root").unlink()
    assert source_version(list_files(str(tmp_path))) == before


def test_files_being_written_are_not_seen(tmp_path: Path) -> None:
    (tmp_path / "a.root").write_bytes(b"one")
    (tmp_path / ".b.root.x.part").write_bytes(b"half")
    (tmp_path / ".c.root").write_bytes(b"half")
    assert [file.name for file in list_files(str(tmp_path))] == ["a.root"]


@pytest.mark.parametrize("source", ["", " , ", "missing_folder", "https://example.org/a.root"])
def test_a_source_of_nothing_is_an_error_with_a_remedy(source: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"JEC_SOURCE|use a folder"):
        list_files(source and str(tmp_path / source) if source == "missing_folder" else source)
