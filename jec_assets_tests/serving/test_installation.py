from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from jec_assets.serving import installation
from jec_assets.serving.installation import INSTALL_COMMAND, TritonMissingError, assemble_backends, find_triton


def test_a_missing_triton_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "DISTRIBUTION", "nvidia-pytriton-that-nobody-made")
    with pytest.raises(TritonMissingError, match=INSTALL_COMMAND):
        find_triton()


def test_another_platform_is_sent_to_another_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(TritonMissingError, match="JEC_ENDPOINT=url"):
        find_triton()


@pytest.mark.needs("triton")
def test_another_release_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "VERSION", "0.0.1")
    with pytest.raises(TritonMissingError, match=r"0\.7\.0 is installed: pip install --no-deps"):
        find_triton()


@pytest.mark.needs("triton")
def test_a_missing_system_library_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sysconfig.get_config_var", lambda _: str(tmp_path))
    monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(TritonMissingError, match=r"apt-get install libpython3\.1"):
        find_triton()
    library = tmp_path / "lib" / f"lib{installation.PYTHON_LIBRARY}.so.1.0"
    library.parent.mkdir()
    library.touch()
    assert find_triton().libraries[-1] == library.parent


@pytest.mark.needs("triton")
def test_an_incomplete_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "PYTHON", "3.4")
    monkeypatch.setattr(installation, "_python_library_folders", tuple)
    with pytest.raises(TritonMissingError, match=r"python_backend_stubs/3\.4/.* not found"):
        find_triton()


@pytest.mark.needs("triton")
def test_backends_are_files_of_their_own(tmp_path: Path) -> None:
    found = find_triton()
    for _ in range(2):  # again over an old folder
        assemble_backends(found, tmp_path)
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {
        "python/libtriton_python.so",
        "python/triton_python_backend_utils.py",
        "python/triton_python_backend_stub",
        "onnxruntime/model.py",
    }
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert (tmp_path / "python/triton_python_backend_stub").stat().st_mode & stat.S_IXUSR


@pytest.mark.needs("triton")
def test_the_server_gets_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/somewhere")
    environment = find_triton().environment
    assert environment["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert environment["LD_LIBRARY_PATH"].split(os.pathsep)[-1] == "/somewhere"
