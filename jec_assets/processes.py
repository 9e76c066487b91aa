"""Processes that outlive the one that starts them.

Belongs here: starting, recognizing and ending them, and what they leave behind. Does not belong here: what they are for
(`jec_assets.serving.triton`, `running.py`).
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

LOOPBACK = "127.0.0.1"
KILLED_WITHIN = 10.0  # seconds that the kernel may take to end a killed process
SAME_START = 1.0  # seconds: the kernel's clock and the wall's drift apart
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  where Linux keeps it


def free_ports(number: int) -> list[int]:
    """Different ports of this machine's loopback address that nothing listens on now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(number)]
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def spawn(arguments: list[str], environment: Mapping[str, str], log: Path) -> psutil.Process:
    """Start a program in a session of its own, without input, its output in a file that is begun anew.

    Neither the end of this process nor an interrupt from its terminal reaches the program.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    pid = os.posix_spawn(
        arguments[0],
        arguments,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), writing, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        # Python ignores SIGPIPE, and whoever runs it may block or ignore others: programs would inherit that.
        setsigmask=(),
        setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM),
    )
    return psutil.Process(pid)


def is_running(process: psutil.Process) -> bool:
    """Whether it still runs; a child of this process that ended is waited for, so that nothing is left of it."""
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return process.is_running()
        process.wait(timeout=0)
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        return False
    return False


def running_since(pid: int, started: float) -> psutil.Process | None:
    """The process with this id that began then, seconds since 1970; None where it ended, also if another has its id."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) <= SAME_START
    except psutil.NoSuchProcess:
        return None
    return process if same and is_running(process) else None


def find(matches: Callable[[list[str]], bool]) -> list[psutil.Process]:
    """Processes of this machine whose command line matches."""
    return [process for process in psutil.process_iter(["cmdline"]) if matches(process.info["cmdline"] or [])]


def end(processes: Iterable[psutil.Process], patience: float) -> None:
    """Ask processes to end and kill those that haven't after so many seconds; returns when they are gone."""
    running = [process for process in processes if is_running(process)]
    for process in running:
        _ignoring_the_gone(process.terminate)
    _, stubborn = psutil.wait_procs(running, timeout=patience)
    for process in stubborn:
        _ignoring_the_gone(process.kill)
    psutil.wait_procs(stubborn, timeout=KILLED_WITHIN)


def remove_shared_memory(prefix: str) -> None:
    """Remove shared memory that killed processes left behind, by the prefix of its names."""
    for region in SHARED_MEMORY.glob(f"{prefix}*"):
        region.unlink(missing_ok=True)


def _ignoring_the_gone(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return
