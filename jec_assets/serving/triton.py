"""This machine's own Triton: started once, found again, stopped without a trace.

Belongs here: the server's command line, its state file, its life. Does not belong here: where its files come from
(`installation.py`) and what it serves (`endpoint.py`).

The server outlives whoever started it. It is known by its work folder: `<work folder>/triton/server.json` says which
process it is and where it listens, and its command line names the folder's backends, so that it is found even if that
file was never written.
"""

from __future__ import annotations

import fcntl
import json
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psutil
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from jec_assets.processes import LOOPBACK, end, find, free_ports, is_running, remove_shared_memory, spawn
from jec_assets.serving.endpoint import Endpoint, ready
from jec_assets.serving.installation import TritonInstallation, assemble_backends, find_triton, fingerprint
from jec_assets.storage import digest_bytes, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_TIMEOUT = 60.0  # seconds; it takes less than one, but a remote repository may be slow
EXIT_TIMEOUT = 5  # seconds that Triton waits for requests in flight when it is asked to end
POLL = 0.05
LOG_LINES = 15
SAME_START = 1.0  # seconds: the kernel's clock and the wall's drift apart


class TritonStartError(RuntimeError):
    """Triton didn't start; the message ends with what it said last."""


class PortTakenError(TritonStartError):
    """Somebody took a port between choosing and using it."""


@dataclass(frozen=True)
class ServerState:
    """What `server.json` holds. started: of the process, seconds since the epoch."""

    pid: int
    started: float
    http: str
    grpc: str
    metrics: str
    repository: str
    fingerprint: str

    @property
    def endpoint(self) -> Endpoint:
        """The server for its clients."""
        return Endpoint("local", self.http, self.grpc, self.metrics, self.pid)


class LocalTriton:
    """The Triton of a work folder; at most one runs."""

    def __init__(self, work_folder: Path) -> None:
        self.folder = work_folder.absolute() / "triton"
        self.backends = self.folder / "backends"
        self.log = self.folder / "server.log"
        self._state_file = self.folder / "server.json"
        self._shared_memory = f"jec_triton_{digest_bytes(str(self.folder).encode())[:12]}_"

    def start_or_reuse(self, repository: str) -> Endpoint:
        """A ready server of this model repository (a folder or s3:// prefix) that has loaded nothing by itself.

        A healthy one is used again. One that died, hangs, lost a model's process, reads another repository or was
        started from other code is ended first. Raises TritonMissingError and TritonStartError.
        """
        installation = find_triton()
        with self._locked():
            state = self._read_state()
            if state and state.repository == repository and state.fingerprint == fingerprint() and self._healthy(state):
                return state.endpoint
            self._end()
            assemble_backends(installation, self.backends)
            return self._start(installation, repository)

    def running(self) -> Endpoint | None:
        """The server if it is healthy, else None."""
        state = self._read_state()
        return state.endpoint if state and self._healthy(state) else None

    def stop(self) -> bool:
        """End the server and all it started, and remove what it left; whether there was anything to end."""
        if not self.folder.exists():
            return False
        with self._locked():
            return self._end()

    def _healthy(self, state: ServerState) -> bool:
        try:
            process = psutil.Process(state.pid)
            if abs(process.create_time() - state.started) > SAME_START or not is_running(process):
                return False
            # Triton calls a model ready whose process was killed, and answers its requests with errors for ever.
            if not all(is_running(child) for child in process.children()):
                return False
        except psutil.NoSuchProcess:
            return False
        return ready(state.endpoint)

    @retry(retry=retry_if_exception_type(PortTakenError), stop=stop_after_attempt(3), reraise=True)
    def _start(self, installation: TritonInstallation, repository: str) -> Endpoint:
        http, grpc, metrics = free_ports(3)
        arguments = self._command_line(installation, repository, (http, grpc, metrics))
        process = spawn(arguments, installation.environment, self.log)
        state = ServerState(
            process.pid,
            process.create_time(),
            f"{LOOPBACK}:{http}",
            f"{LOOPBACK}:{grpc}",
            f"{LOOPBACK}:{metrics}",
            repository,
            fingerprint(),
        )
        write_atomically(self._state_file, json.dumps(asdict(state), indent=1).encode())
        try:
            self._wait_until_ready(process, state.endpoint)
        except TritonStartError:
            self._end()
            raise
        return state.endpoint

    def _command_line(
        self, installation: TritonInstallation, repository: str, ports: tuple[int, int, int]
    ) -> list[str]:
        http, grpc, metrics = ports
        return [
            str(installation.server),
            f"--model-repository={repository}",
            self._backend_argument,
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory}",
            f"--http-address={LOOPBACK}",
            f"--grpc-address={LOOPBACK}",
            f"--metrics-address={LOOPBACK}",
            f"--http-port={http}",
            f"--grpc-port={grpc}",
            f"--metrics-port={metrics}",
            "--allow-gpu-metrics=false",
            # Versions are loaded by request when they are whole, and one that fails keeps no other from being served.
            "--model-control-mode=explicit",
            "--strict-readiness=false",
            # Every model has its configuration; guessing it costs a second per model.
            "--disable-auto-complete-config",
            f"--exit-timeout-secs={EXIT_TIMEOUT}",
        ]

    @property
    def _backend_argument(self) -> str:
        return f"--backend-directory={self.backends}"

    def _wait_until_ready(self, process: psutil.Process, endpoint: Endpoint) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not ready(endpoint):
            if not is_running(process):
                said = self._last_words()
                kind = PortTakenError if "already in use" in said else TritonStartError
                raise kind(f"Triton ended while it started ({self.log}):\n{said}")
            if time.monotonic() > deadline:
                raise TritonStartError(
                    f"Triton is not ready after {START_TIMEOUT:.0f} s ({self.log}):\n{self._last_words()}"
                )
            time.sleep(POLL)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join([line.strip() for line in lines if line.strip()][-LOG_LINES:])

    def _end(self) -> bool:
        servers = find(lambda command_line: self._backend_argument in command_line)
        end(servers, patience=EXIT_TIMEOUT + 5)
        # Models' processes end with their server, but not at once where that was killed.
        stub = str(self.backends / "python" / "triton_python_backend_stub")
        orphans = find(lambda command_line: command_line[:1] == [stub])
        end(orphans, patience=0)
        remove_shared_memory(self._shared_memory)
        self._state_file.unlink(missing_ok=True)
        return bool(servers or orphans)

    def _read_state(self) -> ServerState | None:
        if not self._state_file.exists():
            return None
        try:
            return ServerState(**json.loads(self._state_file.read_bytes()))
        except TypeError:  # the fields of another release of this package, whose server is to be replaced
            return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time starts or stops the server of this folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
