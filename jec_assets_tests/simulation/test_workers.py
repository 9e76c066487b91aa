from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from jec_assets.simulation import WorkerDiedError
from jec_assets.simulation.workers import unit_workers


def square(task: int, report: Callable[[int], None]) -> int:
    report(task)
    return task * task


def die(task: int, report: Callable[[int], None]) -> None:
    os._exit(9)


def complain(task: int, report: Callable[[int], None]) -> None:
    raise ValueError(f"task {task} is bad")


def linger(task: Path, report: Callable[[int], None]) -> None:
    task.write_text(str(os.getpid()))
    time.sleep(120)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_results_come_in_order_and_progress_adds_up() -> None:
    heard: list[int] = []
    with unit_workers(2, most_units=10) as workers:
        assert workers.run(square, [3, 1, 2], heard.append) == [9, 1, 4]
        assert heard[-1] == 6
        assert workers.run(square, [], heard.append) == []
        assert workers.run(square, [5], heard.append) == [25]
        assert heard[-1] == 5
    assert not multiprocessing.active_children()


def test_a_dead_worker_is_an_error_with_a_remedy() -> None:
    with unit_workers(1, most_units=1) as workers, pytest.raises(WorkerDiedError, match="fewer jobs"):
        workers.run(die, [1], lambda _: None)


def test_an_error_in_a_worker_arrives() -> None:
    with pytest.raises(ValueError, match="task 4 is bad"), unit_workers(1, most_units=1) as workers:
        workers.run(complain, [4], lambda _: None)


def test_an_interruption_ends_the_processes_at_once(tmp_path: Path) -> None:
    pids = [tmp_path / "0", tmp_path / "1"]

    def interrupt(_: int) -> None:
        if all(path.exists() and path.read_text() for path in pids):
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), unit_workers(2, most_units=2) as workers:
        workers.run(linger, pids, interrupt)
    assert time.monotonic() - started < 60
    assert not any(psutil.pid_exists(int(path.read_text())) for path in pids)


def test_no_process_outlives_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from jec_assets.simulation.workers import unit_workers\n"
        "from jec_assets_tests.simulation.test_workers import linger\n"
        "if __name__ == '__main__':\n"
        "    with unit_workers(1, 1) as workers: workers.run(linger, [Path(sys.argv[1])], lambda _: None)\n"
    )
    (tmp_path / "parent.py").write_text(script)
    pid_file = tmp_path / "pid"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(tmp_path / "parent.py"), str(pid_file)]
    # Python's resource tracker would complain, rightly, of what the killed parent left behind.
    parent = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: pid_file.exists() and pid_file.read_text() != "")
        child = int(pid_file.read_text())
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_for(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)
