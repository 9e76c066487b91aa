"""The processes that compute for a model: how many there should be, which of this machine's Triton died, what they use.

Belongs here: comparing what a server says with what runs, and reading its metrics. Does not belong here: repairing
(`watch.py`).

Triton starts a process for each instance of each version of a model. It calls a model ready whose process was killed,
and answers its requests with errors for ever.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

import psutil

from jec_assets.processes import is_running
from jec_assets.serving.config import SESSION_METRIC
from jec_assets.serving.endpoint import EndpointError, connected

if TYPE_CHECKING:
    from jec_assets.serving.endpoint import Endpoint

TIMEOUT = 3.0  # seconds
INSTANCE_ARGUMENT = 8  # of a model's process: the name of the instance, `<model>_<group>_<number>`
SECOND_LOOK = 0.3  # seconds after the first: a model that is being loaded or unloaded looks broken for a moment
LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Session:
    """What one version of a model computes with: ONNX Runtime's execution providers in use, threads of an instance."""

    model: str
    version: int
    providers: tuple[str, ...]
    threads: int


def models_without_a_process(endpoint: Endpoint, server: psutil.Process) -> frozenset[str]:
    """Models that the server calls ready and that lack at least one of their processes.

    Raises EndpointError if the server doesn't answer.
    """
    suspects = _short_of_processes(endpoint, server)
    if not suspects:
        return suspects
    time.sleep(SECOND_LOOK)
    return suspects & _short_of_processes(endpoint, server)


def sessions(endpoint: Endpoint) -> tuple[Session, ...]:
    """What every served version computes with, by name and version; empty for servers with Triton's own backend.

    EndpointError if the server's metrics can't be read.
    """
    if endpoint.metrics is None:
        return ()
    lines = [line for line in _metrics(endpoint.metrics).splitlines() if line.startswith(f"{SESSION_METRIC}{{")]
    # A version that was loaded again has a line for every way in which it ever was; the latest is last.
    lines.sort(key=lambda line: float(line.rpartition(" ")[2]))
    latest = {(session.model, session.version): session for session in map(_session, lines)}
    served = served_versions(endpoint)
    return tuple(latest[key] for key in sorted(latest) if key in served)


def served_versions(endpoint: Endpoint) -> frozenset[tuple[str, int]]:
    """Names and versions of all that the server calls ready; EndpointError if it doesn't say."""
    with connected(endpoint, TIMEOUT) as server:
        index = server.get_model_repository_index(headers=endpoint.management_headers())
    return frozenset((model["name"], int(model["version"])) for model in index if model.get("state") == "READY")


def _short_of_processes(endpoint: Endpoint, server: psutil.Process) -> frozenset[str]:
    versions = Counter(model for model, _ in served_versions(endpoint))
    with connected(endpoint, TIMEOUT) as triton:
        wanted = {model: count * _instances(triton.get_model_config(model)) for model, count in versions.items()}
    running = Counter(_model_of(child) for child in server.children() if is_running(child))
    return frozenset(model for model, count in wanted.items() if running[model] < count)


def _model_of(process: psutil.Process) -> str | None:
    try:
        arguments = process.cmdline()
    except psutil.NoSuchProcess:  # a zombie too
        return None
    return arguments[INSTANCE_ARGUMENT].rsplit("_", 2)[0] if len(arguments) > INSTANCE_ARGUMENT else None


def _instances(config: dict[str, Any]) -> int:
    return sum(int(group["count"]) * max(1, len(group.get("gpus", []))) for group in config["instance_group"])


def _metrics(address: str) -> str:
    connection = HTTPConnection(address, timeout=TIMEOUT)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    except (OSError, HTTPException) as error:
        raise EndpointError(f"http://{address}/metrics doesn't answer ({error}): start the server again") from error
    finally:
        connection.close()


def _session(line: str) -> Session:
    labels = dict(LABEL.findall(line))
    return Session(
        labels["model"], int(labels["version"]), tuple(labels["providers"].split(",")), int(labels["threads"])
    )
