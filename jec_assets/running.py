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

from jec_assets.storage import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POLITE_SECONDS = 10.0


@contextmanager
def recorded(work_folder: Path, name: str, pid: int) -> Iterator[None]:
    """Record a process while the block runs, so that `stop_recorded` finds it from anywhere."""
    record = work_folder / "processes" / f"{name}.json"
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
        content = json.loads(record.read_bytes())
        if psutil.pid_exists(content["pid"]):
            process = psutil.Process(content["pid"])
            if process.create_time() == content["started"]:
                _end_family(process)
                ended.append(record.stem)
        record.unlink(missing_ok=True)
    return ended


def _end_family(process: psutil.Process) -> None:
    family = [process, *process.children(recursive=True)]
    process.terminate()
    psutil.wait_procs([process], timeout=POLITE_SECONDS)
    # `dagster dev` may leave its code server and webserver behind: each is ended by its own id.
    left = [member for member in family if member.is_running()]
    for member in left:
        member.terminate()
    for member in psutil.wait_procs(left, timeout=POLITE_SECONDS)[1]:
        member.kill()
