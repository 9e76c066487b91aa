"""How Triton is started: its arguments, what of it is restricted, and how large its threads' stacks are.

Belongs here: the command line and the reason of each argument. Does not belong here: when it is run (`triton.py`).
"""

from __future__ import annotations

import resource
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.processes import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EXIT_TIMEOUT = 5  # seconds that Triton waits for requests in flight when it is asked to end
# APIs that only whoever knows the token may use: a load request may carry files, and Triton runs the Python among them;
# shared memory is also the models' own; trace and logging settings fill disks.
RESTRICTED = "model-repository,shared-memory,trace,logging"
TOKEN_HEADER = "jec-management-token"  # noqa: S105  the header's name
# Triton parses JSON and takes chunks on the stack: 50,000 brackets within each other end a thread with the usual 8 MiB,
# and the server with it. Only what is used takes memory.
STACK = 512 << 20  # bytes


@dataclass(frozen=True)
class Ports:
    """Where the server listens."""

    http: int
    grpc: int
    metrics: int

    @classmethod
    def from_first(cls, first: int | None) -> Ports | None:
        """Three ports in a row; None for None."""
        return None if first is None else cls(first, first + 1, first + 2)


@dataclass(frozen=True)
class Launch:
    """What a server is started with.

    backends: folder of `installation.assemble_backends`. shared_memory: prefix of the names of its regions. models: are
    loaded before it listens. token: of the restricted APIs; other people on the machine see it among the processes.
    """

    server: Path
    repository: str
    backends: Path
    shared_memory: str
    ports: Ports
    token: str
    models: Sequence[str] = ()

    def arguments(self) -> list[str]:
        """The command line."""
        options = [
            *server_options(self.repository, self.ports, self.models),
            *restrictions(self.token),
            *own_options(self.backends, self.shared_memory, LOOPBACK),
        ]
        return prepared(self.server, self.backends, options)


def server_options(repository: str, ports: Ports, models: Sequence[str]) -> list[str]:
    """What any Triton is started with, wherever it runs; models: are loaded before it listens."""
    return [
        f"--model-repository={repository}",
        f"--http-port={ports.http}",
        f"--grpc-port={ports.grpc}",
        f"--metrics-port={ports.metrics}",
        # Versions are loaded by request when they are whole, and one that fails keeps no other from being served.
        "--model-control-mode=explicit",
        *(f"--load-model={model}" for model in models),
        "--exit-on-error=false",
        "--strict-readiness=false",
        # Every model has its configuration; guessing it costs a second per model.
        "--disable-auto-complete-config",
        f"--exit-timeout-secs={EXIT_TIMEOUT}",
    ]


def restrictions(token: str) -> list[str]:
    """What only whoever knows the token may use."""
    return [
        f"--http-restricted-api={RESTRICTED}:{TOKEN_HEADER}={token}",
        f"--grpc-restricted-protocol={RESTRICTED}:{TOKEN_HEADER}={token}",
    ]


def own_options(backends: Path, shared_memory: str, host: str) -> list[str]:
    """What this installation's Triton is started with, whose backends are these and who listens on this address."""
    return [
        backend_argument(backends),
        f"--backend-config=python,shm-region-prefix-name={shared_memory}",
        f"--http-address={host}",
        f"--grpc-address={host}",
        f"--metrics-address={host}",
        "--allow-gpu-metrics=false",
    ]


def prepared(server: Path, backends: Path, options: Sequence[str]) -> list[str]:
    """A command line by way of a shell that Triton replaces: only the process itself sets its stack and folder.

    Models' processes search their working folder for modules first: it must not be one that people write to.
    """
    prepare = f'ulimit -s {_stack() >> 10} && cd "$0" && exec "$@"'
    return ["/bin/sh", "-c", prepare, str(backends / "python"), str(server), *options]


def backend_argument(backends: Path) -> str:
    """The argument by which a server of this folder is recognized among all processes."""
    return f"--backend-directory={backends}"


def _stack() -> int:
    """Bytes of stack, as far as this process may give them."""
    _, most = resource.getrlimit(resource.RLIMIT_STACK)
    return STACK if most == resource.RLIM_INFINITY else min(STACK, most)
