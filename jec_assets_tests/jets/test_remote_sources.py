"""Jet files on a real S3 server and a real XRootD server."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import numpy as np
import pytest

from jec_assets.jets.features import Columns
from jec_assets.jets.filtering import Recipe
from jec_assets.jets.manifest import Manifest, SourceUnavailableError, update_manifest
from jec_assets.jets.reading import FileNotGivenError, read_columns
from jec_assets.jets.selection import Selection
from jec_assets.jets.sources import JetFile, SourceError, list_files
from jec_assets.storage import S3Access, Storage
from jec_assets_tests.faulty_s3 import (
    Act,
    FaultyS3,
    after,
    answering,
    cutting_download,
    faulty_s3,
    silent,
    stalling,
)
from jec_assets_tests.processes import ended, free_port, wait_for_port
from jec_assets_tests.s3 import make_bucket

NEVER = 600.0  # s: longer than any test, which ends the proxy


@pytest.fixture
def bucket(s3: str, toy_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of the test's own with the toy files."""
    make_bucket(s3, "jets", monkeypatch)
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    for file in toy_source.glob("*.root"):
        system.put_file(str(file), f"jets/{tmp_path.name}/{file.name}")
    return f"s3://jets/{tmp_path.name}"


def filtered(source: str, folder: Path) -> Manifest:
    return manifest_of(list_files(source), folder)


def manifest_of(files: list[JetFile], folder: Path) -> Manifest:
    recipe = Recipe("extended", Selection())
    with ThreadPoolExecutor(1) as executor:
        return update_manifest(Storage(str(folder)), files, recipe, executor, lambda *_: None)


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
        with pytest.raises(SourceError, match=r"s3://nowhere/at/all: .*doesn't answer"):
            list_files("s3://nowhere/at/all", s3=S3Access(attempts=1))


@pytest.fixture
def proxy(s3: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """What stands between the clients and the server of the bucket."""
    assert bucket
    with faulty_s3(s3) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def listed(bucket: str, read_seconds: float = 30.0) -> list[JetFile]:
    return list_files(bucket, s3=S3Access(attempts=3, connect_seconds=30, read_seconds=read_seconds))


def read(file: JetFile) -> list[Columns]:
    return list(read_columns(file, ("jetPt", "PF_pT")))


def overwrite(bucket: str, name: str) -> None:
    """Write another file's jets in place of a file's, as somebody else would: past the proxy's clients."""
    other = f"{bucket}/{'toy_1.root' if name == 'toy_0.root' else 'toy_0.root'}"
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    system.pipe_file(f"{bucket}/{name}", system.cat_file(other))


@pytest.mark.needs("s3")
@pytest.mark.parametrize(
    ("fault", "read_seconds"),
    [
        (answering(503, "SlowDown"), 30),
        (answering(500, "InternalError"), 30),
        (cutting_download(1_000), 30),
        (stalling(1_000, NEVER), 2),
        (silent(NEVER), 2),
    ],
    ids=["slow_down", "internal_error", "cut", "stalled", "silent"],
)
def test_a_fault_that_passes_costs_a_file_nothing(
    bucket: str, proxy: FaultyS3, fault: Act, read_seconds: float
) -> None:
    (first, _) = listed(bucket)
    before = read(first)
    proxy.inject(fault, "GET", header="Range", times=2)
    after_faults = read(listed(bucket, read_seconds)[0])
    assert [len(each) for each in after_faults] == [len(each) for each in before]
    np.testing.assert_array_equal(after_faults[0].particles["PF_pT"], before[0].particles["PF_pT"])


@pytest.mark.needs("s3")
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (answering(400, "ExpiredToken"), "credentials have expired: get new ones"),
        (answering(403, "AccessDenied"), "it is refused: check AWS_ACCESS_KEY_ID"),
        (answering(404, "NoSuchKey"), "there is no such bucket or object"),
    ],
    ids=["expired", "forbidden", "gone"],
)
def test_a_server_that_refuses_a_file_stops_the_run_at_once(
    bucket: str, proxy: FaultyS3, tmp_path: Path, fault: Act, told: str
) -> None:
    files = listed(bucket)
    proxy.inject(fault, "GET", path="toy_1", header="Range", times=1_000)
    with pytest.raises(SourceUnavailableError, match=rf"1 files could not.*\n{bucket}/toy_1\.root: .*{told}"):
        manifest_of(files, tmp_path)
    assert proxy.count("GET", "toy_1") == 1
    proxy.heal()
    assert manifest_of(files, tmp_path).errors == []
    assert proxy.count("GET", "toy_0") > 0


@pytest.mark.needs("s3")
def test_a_file_overwritten_since_it_was_listed_stops_the_run(bucket: str, proxy: FaultyS3, tmp_path: Path) -> None:
    files = listed(bucket)
    overwrite(bucket, "toy_1.root")
    with pytest.raises(SourceUnavailableError, match=r"toy_1\.root: it was overwritten since it was listed"):
        manifest_of(files, tmp_path)
    assert proxy.count("GET", "toy_0") > 0
    assert manifest_of(listed(bucket), tmp_path).errors == []


@pytest.mark.needs("s3")
@pytest.mark.parametrize("reads", [1, 2])
def test_a_file_overwritten_while_it_is_read_is_never_a_mixture(bucket: str, proxy: FaultyS3, reads: int) -> None:
    (first, _) = listed(bucket)
    for _ in range(reads):
        proxy.inject(lambda exchange: exchange.give(exchange.ask(b"")), "GET", path="toy_0", header="Range")
    proxy.inject(after(lambda: overwrite(bucket, "toy_0.root")), "GET", path="toy_0", header="Range")
    with pytest.raises(FileNotGivenError, match=r"toy_0\.root: it was overwritten since it was listed"):
        read(first)


@pytest.mark.needs("s3")
def test_a_file_that_nobody_listed_is_read_in_one_version_too(bucket: str, proxy: FaultyS3) -> None:
    named = JetFile(f"{bucket}/toy_0.root", 0, "")
    assert sum(map(len, read(named))) > 0
    proxy.inject(after(lambda: overwrite(bucket, "toy_0.root")), "GET", path="toy_0", header="Range")
    with pytest.raises(FileNotGivenError, match="overwritten"):
        read(named)
    with pytest.raises(FileNotGivenError, match="there is no such bucket or object"):
        read(JetFile(f"{bucket}/gone.root", 0, ""))


@pytest.mark.needs("s3")
def test_half_a_file_on_s3_is_a_bad_file_and_stops_nothing(bucket: str, toy_source: Path, tmp_path: Path) -> None:
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    whole = (toy_source / "toy_1.root").read_bytes()
    system.pipe_file(f"{bucket}/half.root", whole[: len(whole) // 2])
    manifest = manifest_of(listed(bucket), tmp_path)
    assert [error.split(":")[1] for error in manifest.errors] == [f"{bucket[3:]}/half.root"]
    assert manifest.jets > 0
