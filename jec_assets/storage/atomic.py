"""Local files that appear whole or not at all.

Belongs here: writing beside the target, syncing, renaming. Does not belong here: keys and S3 (`root.py`).
"""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS_UNTIL_ABANDONED = 86_400.0


def write_atomically(path: Path, data: bytes) -> None:
    """Write a local file so that it appears whole or not at all."""
    with appearing(path) as stream:
        stream.write(data)


def move_atomically(source: Path, target: Path) -> None:
    """Move a finished file to `target`, which may lie on another file system, so that it appears there whole."""
    with appearing(target) as stream, source.open("rb") as origin:
        shutil.copyfileobj(origin, stream, 1 << 22)
    source.unlink()


@contextmanager
def appearing(path: Path) -> Iterator[BinaryIO]:
    """A stream to a hidden neighbor of `path`, renamed to it when all is written and synced to disk."""
    with appearing_file(path) as temporary, temporary.open("wb") as stream:
        yield stream


@contextmanager
def appearing_file(path: Path) -> Iterator[Path]:
    """The same for whoever opens files by name: the hidden neighbor, empty at first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)  # there still, if anything went wrong


def _remove_abandoned(path: Path) -> None:
    """Remove what killed writers of this file left; a living one has written within the day."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if time.time() - part.stat().st_mtime > SECONDS_UNTIL_ABANDONED:
            part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Let the new name survive a loss of power, so that a pointer never does without what it points to."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
