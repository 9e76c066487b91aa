"""A gate that tests start before a Triton, as a process of its own, as whoever runs one does.

Belongs here: starting and ending it. Does not belong here: what it refuses (`test_claims.py`, `test_gate.py`).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jec_assets_tests.processes import ended, free_port, wait_for_port


@dataclass(frozen=True)
class RunningGate:
    """Where it listens, host:port; its process."""

    address: str
    process: subprocess.Popen[bytes]


@contextmanager
def running_gate(triton: str, log: Path) -> Iterator[RunningGate]:
    """A gate before the Triton at host:port, until the block is left; what it says goes to the log."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("jec")), "gate", f"--port={port}", f"--triton={triton}"]
    with log.open("wb") as output, ended(subprocess.Popen(command, stdout=output, stderr=output)) as process:
        wait_for_port(port, 60)
        yield RunningGate(f"127.0.0.1:{port}", process)
