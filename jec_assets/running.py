"""Long-lived processes that people start from this folder, and ending them.

Belongs here: a record per process (id and start time, so that a reused id is never mistaken for it) below the work
folder, and ending a recorded process with all its children. Does not belong here: Triton, which is found even without a
record (`jec_assets.serving.triton`).
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from jec_assets.processes import end, is_running
from jec_assets.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POLITE_SECONDS = 10.0


@contextmanager
def recorded(work_folder: Path, name: str, pid: int) -> Iterator[None]:
    """Record a process while the block runs, so that `stop_recorded` finds it from anywhere."""
    record = work_folder / "processes" / f"{name}-{pid}.json"
    started = psutil.Process(pid).create_time()
    write_atomically(record, json.dumps({"pid": pid, "started": started}).encode())
    try:
        yield
    finally:
        record.unlink(missing_ok=True)


def stop_recorded(work_folder: Path) -> list[str]:
    """End every recorded process with its children; the names of those that were running."""
    ended = []
    for record in sorted((work_folder / "processes").glob("*.json")):
        process = _recorded_process(json.loads(record.read_bytes()))
        if process is not None:
            # `dagster dev` may leave its code server and webserver behind: each is ended by its own id.
            children = _children(process)
            end([process], POLITE_SECONDS)
            end(children, POLITE_SECONDS)
            ended.append(record.stem.rpartition("-")[0])
        record.unlink(missing_ok=True)
    return ended


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _recorded_process(record: dict[str, float]) -> psutil.Process | None:
    try:
        process = psutil.Process(int(record["pid"]))
        same = process.create_time() == record["started"]
    except psutil.NoSuchProcess:
        return None
    return process if same and is_running(process) else None
