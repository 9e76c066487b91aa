from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from jec_assets.processes import SHARED_MEMORY, end, find, free_ports, is_running, remove_shared_memory, spawn

SLEEPER = "import time; print('started', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER


def start(code: str, log: Path) -> psutil.Process:
    process = spawn([sys.executable, "-c", code], dict(os.environ), log)
    wait_until(lambda: log.exists() and "started" in log.read_text())
    return process


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ports_are_different() -> None:
    assert len(set(free_ports(5))) == 5


def test_spawned_processes_have_their_own_session_and_log(tmp_path: Path) -> None:
    log = tmp_path / "folder" / "log"
    process = start(SLEEPER, log)
    try:
        assert os.getsid(process.pid) == process.pid
        assert is_running(process)
        assert log.read_text() == "started\n"
        assert psutil.Process(process.pid) in find(lambda command: SLEEPER in command)
    finally:
        end([process], patience=10)
    assert not is_running(process)
    assert process not in find(lambda command: SLEEPER in command)


def test_what_ignores_a_request_to_end_is_killed(tmp_path: Path) -> None:
    process = start(STUBBORN, tmp_path / "log")
    end([process], patience=0.3)
    assert not is_running(process)


def test_a_killed_process_that_nobody_waited_for_does_not_run(tmp_path: Path) -> None:
    process = start(SLEEPER, tmp_path / "log")
    process.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_running(process))
    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, 0)  # nothing is left of it


def test_only_shared_memory_of_that_prefix_is_removed() -> None:
    prefix = f"jec_test_{os.getpid()}_"
    ours, others = SHARED_MEMORY / f"{prefix}a", SHARED_MEMORY / f"x{prefix}a"
    ours.touch()
    others.touch()
    try:
        remove_shared_memory(prefix)
        assert not ours.exists()
        assert others.exists()
    finally:
        others.unlink()


def test_an_unknown_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        spawn([str(tmp_path / "absent")], {}, tmp_path / "log")
