"""The workers of a Dask cluster: what they lose others do, and a cluster that is not fit is named before any work."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import as_completed
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import LocalCluster

import jec_assets
from jec_assets import dask_pool as module
from jec_assets.dask_pool import DaskClusterError, Patience, dask_pool
from jec_assets.storage import Storage
from jec_assets_tests.processes import ended, free_port, wait_for_port

ROOT = Path(__file__).parents[1]  # where workers find the calls of these tests
SECONDS = 60.0  # that a busy machine may take to start a worker


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as running:
        yield running


@contextmanager
def scheduler(**environment: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A scheduler without workers, and its address."""
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show"]
    program = [sys.executable, "-m", "distributed.cli.dask_scheduler", *options]
    with ended(subprocess.Popen(program, env={**os.environ, **environment})) as process:
        wait_for_port(port, SECONDS)
        yield process, f"tcp://127.0.0.1:{port}"


@contextmanager
def worker(address: str, prepare: str = "", **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker; with `prepare`, in a mount namespace of its own, where a shell does that first."""
    program = [sys.executable, "-P", "-m", "distributed.cli.dask_worker", address]
    program += ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
    if prepare:
        program = ["unshare", "--mount", "sh", "-c", f"{prepare} && exec {' '.join(program)}"]
    with ended(subprocess.Popen(program, env={**os.environ, "PYTHONPATH": str(ROOT), **environment})) as process:
        yield process


def lasting(folder: str, number: int) -> int:
    """Say which process does it; the first takes so long that it is killed meanwhile, but not the second time."""
    mark = Path(folder) / str(number)
    first = not mark.exists()
    mark.write_text(str(os.getpid()))
    time.sleep(2 * SECONDS if first and number == 0 else 0.01)
    return number * number


def one_by_one(folder: str, number: int) -> None:
    """Leave a mark; all but the first take a second, and so many of them longer than any test is held up."""
    (Path(folder) / str(number)).touch()
    time.sleep(1.0 if number else 0.0)


def die(_: str) -> None:
    os._exit(1)


def refuse(number: int) -> None:
    raise LookupError(f"no {number}")


def test_what_a_killed_worker_was_at_others_do(storage: Storage, tmp_path: Path) -> None:
    with scheduler() as (_, address), worker(address), worker(address), dask_pool(address, storage, ()) as pool:
        futures = [pool.submit(lasting, str(tmp_path), number) for number in range(20)]
        mark, end = tmp_path / "0", time.monotonic() + SECONDS
        while not mark.exists() or not mark.read_text():
            assert time.monotonic() < end, "no worker has begun"
            time.sleep(0.01)
        first = int(mark.read_text())
        os.kill(first, signal.SIGKILL)
        assert sorted(future.result() for future in as_completed(futures)) == [number**2 for number in range(20)]
    assert int(mark.read_text()) != first
    assert storage.list("dask_probes") == []


def test_a_call_that_kills_every_worker_is_named(storage: Storage) -> None:
    with (
        scheduler(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1") as (_, address),
        worker(address),
        worker(address),
        pytest.raises(DaskClusterError, match=r"several workers died at die\('bad.root'\), most likely for want of"),
        dask_pool(address, storage, ()) as pool,
    ):
        pool.submit(die, "bad.root").result()


def test_exceptions_are_those_of_the_call(cluster: LocalCluster, storage: Storage) -> None:
    with pytest.raises(LookupError, match="no 3"), dask_pool(cluster.scheduler_address, storage, ()) as pool:
        pool.submit(refuse, 3).result()


def test_calls_that_were_not_begun_are_not_when_the_block_fails(
    cluster: LocalCluster, storage: Storage, tmp_path: Path
) -> None:
    def interrupted() -> None:
        with dask_pool(cluster.scheduler_address, storage, ()) as pool:
            futures = [pool.submit(one_by_one, str(tmp_path), number) for number in range(200)]
            next(as_completed(futures))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(list(tmp_path.iterdir())) < 200


def test_a_folder_that_workers_lack_is_named(cluster: LocalCluster, storage: Storage, tmp_path: Path) -> None:
    lacking = tmp_path / "jets"
    with (
        pytest.raises(DaskClusterError, match=rf"2 of 2 workers are not fit:\n- tcp://\S+: no folder {lacking}: mount"),
        dask_pool(cluster.scheduler_address, storage, (lacking,)),
    ):
        pass


def test_no_scheduler(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS_TO_CONNECT", 0.5)
    address = f"tcp://127.0.0.1:{free_port()}"
    with (
        pytest.raises(DaskClusterError, match=f"{address}: no scheduler.*JEC_DASK_SCHEDULER"),
        dask_pool(address, storage, ()),
    ):
        pass
    with pytest.raises(DaskClusterError, match="certificates"), dask_pool("tls://127.0.0.1:1", storage, ()):
        pass


def test_no_worker(storage: Storage) -> None:
    with (
        scheduler() as (_, address),
        pytest.raises(DaskClusterError, match=r"no worker came within 0\.1 s"),
        dask_pool(address, storage, (), Patience(first_worker=0.1)),
    ):
        pass


@pytest.mark.parametrize("lost", ["scheduler", "worker"])
def test_a_cluster_that_is_lost_ends_the_block(storage: Storage, lost: str) -> None:
    def use(address: str, processes: dict[str, subprocess.Popen[bytes]]) -> None:
        with dask_pool(address, storage, (), Patience(without_workers=1.0)) as pool:
            future = pool.submit(time.sleep, 1000)
            processes[lost].kill()
            future.result()

    message = "the scheduler or all of its workers were lost; what was done is kept, run it again"
    with (
        scheduler() as (process, address),
        worker(address) as only,
        pytest.raises(DaskClusterError, match=message),
    ):
        use(address, {"scheduler": process, "worker": only})


@pytest.mark.filterwarnings("ignore::distributed.versions.VersionMismatchWarning")  # dask's own, besides the error
def test_other_sources_and_other_packages_are_named(storage: Storage, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(
        Path(jec_assets.__file__).parent, other / "jec_assets", ignore=shutil.ignore_patterns("__pycache__")
    )
    with (other / "jec_assets" / "jets" / "selection.py").open("a") as source:
        source.write("# another version\n")
    packages = tmp_path / "packages"
    (packages / "numpy-1.0.dist-info").mkdir(parents=True)
    (packages / "numpy-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    for path, found in (
        (other, r"other software \(jec_assets is \w+, not \w+\): give all the same image"),
        (packages, r"numpy +\| 2\S+ +\| 2\S+ +\| 1\.0 "),
    ):
        with (
            scheduler() as (_, address),
            worker(address, PYTHONPATH=str(path)),
            pytest.raises(DaskClusterError, match=found),
            dask_pool(address, storage, ()),
        ):
            pass


@pytest.mark.needs("netns")
@pytest.mark.parametrize(
    ("prepare", "found"),
    [
        ("mount -t tmpfs none {0}", "is another one: JEC_STORAGE_ROOT must be an s3:// prefix, or an absolute path"),
        ("mount --bind {0} {0} && mount -o remount,bind,ro {0}", "Read-only file system"),
    ],
)
def test_workers_that_see_another_storage_or_cannot_write_it(storage: Storage, prepare: str, found: str) -> None:
    storage.publish_json("something.json", {})
    with (
        scheduler() as (_, address),
        worker(address, prepare.format(storage.root)),
        pytest.raises(DaskClusterError, match=found),
        dask_pool(address, storage, ()),
    ):
        pass


def test_a_worker_that_joins_later_is_examined_too(storage: Storage) -> None:
    def replace_worker(address: str, first: subprocess.Popen[bytes]) -> None:
        with dask_pool(address, storage, ()) as pool:
            assert pool.submit(pow, 2, 3).result() == 8
            storage.remove(storage.list("dask_probes")[0])  # as for a worker on a machine that does not share it
            first.kill()
            with worker(address):
                pool.submit(pow, 2, 3).result()

    with (
        scheduler() as (_, address),
        worker(address) as first,
        pytest.raises(DaskClusterError, match="is another one"),
    ):
        replace_worker(address, first)
