"""What goes wrong on a cluster, done to the test cluster: Pods killed, its API server and its node stopped."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil
from kubernetes import client

from jec_assets_tests.kubernetes.conftest import Cluster
from jec_assets_tests.kubernetes.installation import wait_until
from jec_assets_tests.processes import free_port


def kill_pod(name: str) -> None:
    """Kill a Pod's processes as the kernel does for want of memory: at once, and without a word to Kubernetes."""
    found = [process for process in psutil.process_iter() if _environment(process).get("HOSTNAME") == name]
    assert found, f"{name} has no process"
    for process in found:
        process.kill()


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return {}


def stop_server(folder: Path, name: str, by: signal.Signals) -> list[str]:
    """Stop a part of the test cluster (`apiserver`, `nodelet`); its command line, to start it again."""
    process = psutil.Process(int((folder / f"{name}.pid").read_text()))
    command = process.cmdline()
    process.send_signal(by)
    process.wait(timeout=60)
    return command


def start_server(folder: Path, name: str, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a part of the test cluster, whose script ends it with the rest."""
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)
    (folder / f"{name}.pid").write_text(str(process.pid))
    return process


def wait_for_api(cluster: Cluster) -> None:
    """Until the API server answers again."""

    def answers() -> bool:
        done = subprocess.run(
            ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "get", "--raw", "/readyz"],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    wait_until(answers, 120, "the API server doesn't answer")


def garbage_collector(folder: Path) -> subprocess.Popen[bytes]:
    """The controller that removes the Pods of nodes that are gone; the test cluster has it not, real ones do."""
    command = psutil.Process(int((folder / "controllers.pid").read_text())).cmdline()
    other = {"--controllers": "podgc", "--secure-port": str(free_port())}
    named = {argument.partition("=")[0]: argument for argument in command}
    return start_server(folder, "podgc", [*(named | {key: f"{key}={other[key]}" for key in other}).values()])


def lose_node(cluster: Cluster, folder: Path) -> list[str]:
    """All that ran on it is gone, and so is the node; the command line to start another."""
    command = stop_server(folder, "nodelet", signal.SIGTERM)  # upon which it kills all that it runs
    client.CoreV1Api(cluster.api).delete_node("host")
    return [*command, "--node", "another"]
