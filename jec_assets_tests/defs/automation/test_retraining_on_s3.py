"""The sensor `retraining` on a real S3 server: whatever happens to objects between two looks is seen, and once."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from jec_assets.defs.automation.runs import RETRAINING
from jec_assets.jets.arrivals import calibrated_files
from jec_assets.jets.sources import list_files
from jec_assets_tests.defs.automation.conftest import MakeDaemon
from jec_assets_tests.defs.automation.daemon import Daemon
from jec_assets_tests.s3 import make_bucket, s3_server

pytestmark = pytest.mark.needs("s3")


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        yield url


class Prefix:
    """Some keys of a bucket."""

    def __init__(self, path: str) -> None:
        import fsspec

        self.path = path
        self.system = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)

    def put(self, **objects: bytes) -> None:
        """Write objects, all at once."""
        self.system.pipe({f"{self.path}/{name}.root": content for name, content in objects.items()})

    def remove(self, name: str) -> None:
        self.system.rm_file(f"{self.path}/{name}.root")


@pytest.fixture
def prefix(s3: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Prefix:
    make_bucket(s3, "jets", monkeypatch)
    made = Prefix(f"jets/{request.node.name}")
    made.put(a=b"a" * 1000, b=b"b" * 1000)
    return made


@pytest.fixture
def daemon(daemon_of: MakeDaemon, prefix: Prefix) -> Daemon:
    """A daemon that looks at the prefix, whose storage is in the same bucket."""
    return daemon_of(source=f"s3://{prefix.path}", storage_root=f"s3://jets/storage/{prefix.path}")


def calibrate(daemon: Daemon) -> dg.DagsterRun:
    """Let one retraining run, and no other."""
    (run,) = daemon.tick()
    assert daemon.tick() == []
    daemon.work(run)
    assert daemon.tick() == []
    assert calibrated_files(daemon.storage) == list_files(daemon.settings.source)
    return run


def test_objects_of_the_same_second_are_seen(daemon: Daemon, prefix: Prefix) -> None:
    prefix.put(c=b"c" * 1000)
    calibrate(daemon)
    prefix.put(d=b"d" * 1000)  # within the second in which the last object was written and the last run began
    calibrate(daemon)
    prefix.put(e=b"e" * 1000)
    calibrate(daemon)


def test_an_object_written_over_is_seen_and_the_same_written_again_is_not(daemon: Daemon, prefix: Prefix) -> None:
    first = calibrate(daemon)
    prefix.put(a=b"A" * 1000)  # as large as before
    second = calibrate(daemon)
    prefix.put(a=b"A" * 1000)
    assert daemon.tick() == []
    prefix.put(a=b"a" * 1000)
    third = calibrate(daemon)
    assert len({run.tags[RETRAINING] for run in (first, second, third)}) == 3


def test_an_object_that_is_removed_is_seen(daemon: Daemon, prefix: Prefix) -> None:
    calibrate(daemon)
    prefix.remove("a")
    calibrate(daemon)


def test_an_object_written_while_a_run_works_is_not_missed(daemon: Daemon, prefix: Prefix) -> None:
    (run,) = daemon.tick()
    daemon.work(run)
    prefix.put(c=b"c" * 1000)
    calibrate(daemon)


def test_thousands_at_once_start_one_run(daemon: Daemon, prefix: Prefix) -> None:
    calibrate(daemon)
    prefix.put(**{f"many_{number:04}": b"%d" % number for number in range(2300)})
    (request,) = daemon.evaluate()
    assert daemon.start(request)
    assert len(daemon.cursor or "") < 200
    assert daemon.tick() == []
    prefix.put(many_2300=b"one more", many_0007=b"another")
    daemon.work(daemon.unfinished[0])
    assert len(calibrated_files(daemon.storage)) == 2303
    assert daemon.tick() == []
    assert "nothing changed" in daemon.said


def test_other_objects_are_no_jet_files(daemon: Daemon, prefix: Prefix) -> None:
    calibrate(daemon)
    prefix.system.pipe_file(f"{prefix.path}/log.txt", b"x" * 10_000)
    assert daemon.tick() == []
    assert "nothing changed" in daemon.said


def test_several_prefixes_are_one_source(daemon_of: MakeDaemon, prefix: Prefix) -> None:
    other = Prefix(f"{prefix.path}_other")
    other.put(x=b"x" * 1000)
    daemon = daemon_of(
        source=f"s3://{prefix.path}, s3://{other.path}/*.root", storage_root=f"s3://jets/{prefix.path}_s"
    )
    calibrate(daemon)
    other.put(y=b"y" * 1000)
    calibrate(daemon)
