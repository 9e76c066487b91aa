"""Jet files on a real S3 server and a real XRootD server."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jec_assets.jets.filtering import Recipe
from jec_assets.jets.manifest import Manifest, update_manifest
from jec_assets.jets.selection import Selection
from jec_assets.jets.sources import SourceError, list_files
from jec_assets.storage import Storage
from jec_assets_tests.processes import ended, free_port, wait_for_port
from jec_assets_tests.s3 import make_bucket


@pytest.fixture
def bucket(s3: str, toy_source: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    import fsspec

    make_bucket(s3, "jets", monkeypatch)
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    for file in toy_source.glob("*.root"):
        system.put_file(str(file), f"jets/run2/{file.name}")
    return "s3://jets/run2"


def filtered(source: str, folder: Path) -> Manifest:
    with ThreadPoolExecutor(1) as executor:
        recipe = Recipe("extended", Selection())
        return update_manifest(Storage(str(folder)), list_files(source), recipe, executor, lambda *_: None)


@pytest.mark.needs("s3")
def test_s3_gives_the_same_jets_as_a_folder(bucket: str, toy_source: Path, tmp_path: Path) -> None:
    files = list_files(bucket)
    assert [file.name for file in files] == ["toy_0.root", "toy_1.root"]
    assert all(file.etag for file in files)
    remote, local = filtered(bucket, tmp_path / "remote"), filtered(str(toy_source), tmp_path / "local")
    assert remote.errors == []
    assert remote.data_version == local.data_version


@pytest.mark.needs("s3")
def test_an_empty_prefix_is_said(bucket: str) -> None:
    with pytest.raises(SourceError, match=r"no \*\.root files"):
        list_files(f"{bucket}/nothing_here")


@pytest.fixture(scope="module")
def xrootd(toy_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An XRootD server that exports the toy files; its URL. XRootD refuses to run as root."""
    folder = tmp_path_factory.mktemp("xrootd")
    port = free_port()
    admin = folder / "admin"
    lines = [f"all.export {toy_source}", f"xrd.port {port}", f"all.adminpath {admin}", f"all.pidpath {admin}"]
    (folder / "xrootd.cfg").write_text("\n".join([*lines, "xrd.network nodnr", ""]))
    admin.mkdir()
    command = ["xrootd", "-c", str(folder / "xrootd.cfg"), "-l", str(folder / "log"), "-n", "tests"]
    with ended(subprocess.Popen(as_ordinary_user(command, [folder, admin, toy_source]))):
        wait_for_port(port, 30)
        yield f"root://127.0.0.1:{port}/{toy_source}"


def as_ordinary_user(command: list[str], folders: list[Path]) -> list[str]:
    """The command as `nobody` where the tests run as root, who may read and write these folders then."""
    import os
    import shutil

    if os.geteuid() != 0:
        return command
    for folder in folders:
        shutil.chown(folder, "nobody")
        for parent in folder.parents:
            if parent.is_relative_to("/tmp") and parent != Path("/tmp"):  # noqa: S108
                parent.chmod(0o755)
        folder.chmod(0o755)
    runuser = shutil.which("runuser")
    assert runuser, "as root, XRootD needs util-linux's runuser"
    return [runuser, "-u", "nobody", "--", *command]


@pytest.mark.needs("xrootd")
def test_xrootd_gives_the_same_jets_as_a_folder(xrootd: str, toy_source: Path, tmp_path: Path) -> None:
    source = ",".join(f"{xrootd}/toy_{number}.root" for number in range(2))
    remote, local = filtered(source, tmp_path / "remote"), filtered(str(toy_source), tmp_path / "local")
    assert remote.errors == []
    assert remote.data_version == local.data_version


@pytest.mark.needs("xrootd")
def test_a_file_that_xrootd_does_not_have_is_named(xrootd: str) -> None:
    with pytest.raises(SourceError, match=r"gone\.root"):
        list_files(f"{xrootd}/gone.root")


def test_a_dead_server_is_an_error_not_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{reserved.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(SourceError, match="s3://nowhere"):
            list_files("s3://nowhere/at/all")
