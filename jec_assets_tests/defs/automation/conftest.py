"""A source in a folder, and a daemon that looks at it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from jec_assets.settings import Settings
from jec_assets_tests.defs.automation.daemon import Daemon

MakeDaemon = Callable[..., Daemon]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of two files of 1,000 bytes each."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in "ab":
        write(folder / f"{name}.root")
    return folder


_clock = count(1)


def write(path: Path, size: int = 1000) -> None:
    """Write a file, later than every other: file systems' clocks may not tell two writes at once apart."""
    path.write_bytes(b"." * size)
    os.utime(path, ns=(0, next(_clock)))


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an instance in which nothing has happened: to make one takes seconds, to copy it doesn't."""
    home = tmp_path_factory.mktemp("home")
    with dg.instance_for_test(temp_dir=str(home)) as instance:
        assert instance.get_runs() == []
    return home


@pytest.fixture
def instance(empty_home: Path, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance whose storage is a file, as a daemon finds it again."""
    home = shutil.copytree(empty_home, tmp_path / "home")
    with dg.instance_for_test(temp_dir=str(home)) as made:
        yield made


@pytest.fixture
def daemon_of(tmp_path: Path, source: Path, instance: dg.DagsterInstance) -> MakeDaemon:
    """A function that makes a daemon with settings of its own; a quiet period only where it is asked for."""

    def make(**settings: Any) -> Daemon:
        mine = {
            "source": str(source),
            "storage_root": str(tmp_path / "storage"),
            "work_folder": tmp_path / "work",
            "arrivals_quiet_seconds": 0,
            "families": ("pfn",),
        }
        return Daemon(Settings(**{**mine, **settings}), instance)

    return make
