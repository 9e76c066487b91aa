"""Recorded processes are ended with all their children, and nobody else is."""

import subprocess
import sys
import time
from pathlib import Path

import psutil

from jec_assets.running import recorded, stop_recorded

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def test_a_recorded_process_is_ended_with_its_children(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    try:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        with recorded(tmp_path, "sleeper", parent.pid):
            assert stop_recorded(tmp_path) == ["sleeper"]
        assert parent.poll() is not None
        deadline = time.monotonic() + 120
        while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait()
        if parent.stdout:
            parent.stdout.close()
    assert stop_recorded(tmp_path) == []


def test_another_process_with_the_same_id_is_left_alone(tmp_path: Path) -> None:
    record = tmp_path / "processes" / "gone-1.json"
    record.parent.mkdir()
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        record.write_text(f'{{"pid": {bystander.pid}, "started": 1.0}}')
        assert stop_recorded(tmp_path) == []
        assert bystander.poll() is None
        assert not record.exists()
    finally:
        bystander.kill()
        bystander.wait()
