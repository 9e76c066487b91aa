"""This machine's own Triton: started once, found again, stopped without a trace.

Belongs here: the server's state file, its life. Does not belong here: where its files come from (`installation.py`),
how it is started (`command_line.py`), what it serves (`endpoint.py`) and keeping it alive (`watch.py`).

The server outlives whoever started it. It is known by its work folder: `<work folder>/triton/server.json` says which
process it is and where it listens, and its command line names the folder's backends, so that it is found even if that
file was never written.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from socket import create_connection
from typing import TYPE_CHECKING

import psutil
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from jec_assets.processes import LOOPBACK, end, find, free_ports, is_running, remove_shared_memory, running_since, spawn
from jec_assets.serving.command_line import EXIT_TIMEOUT, Launch, Ports, backend_argument
from jec_assets.serving.endpoint import Endpoint, EndpointError, live, ready
from jec_assets.serving.installation import TritonInstallation, assemble_backends, find_triton, fingerprint
from jec_assets.serving.instances import models_without_a_process
from jec_assets.serving.reachable import require_reachable
from jec_assets.storage import digest_bytes, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

START_TIMEOUT = 60.0  # seconds; it takes less than one, but a remote repository may be slow
POLL = 0.05
LOG_LINES = 15
WATCHER = "jec_assets.serving.watch"


class TritonStartError(RuntimeError):
    """Triton didn't start; the message ends with what it said last."""


class PortTakenError(TritonStartError):
    """Another program listens on a port that was chosen."""


@dataclass(frozen=True)
class ServerState:
    """What `server.json` holds. started: of the process, seconds since the epoch. token_file: see `Endpoint`."""

    pid: int
    started: float
    http: str
    grpc: str
    metrics: str
    token_file: str
    repository: str
    fingerprint: str

    @property
    def endpoint(self) -> Endpoint:
        """The server for its clients."""
        return Endpoint("local", self.http, self.grpc, self.metrics, self.pid, self.token_file)

    @property
    def ports(self) -> Ports:
        """Where it listens."""
        http, grpc, metrics = (int(address.rpartition(":")[2]) for address in (self.http, self.grpc, self.metrics))
        return Ports(http, grpc, metrics)

    def process(self) -> psutil.Process | None:
        """The server's process; None where it ended, also if another has its id now."""
        return running_since(self.pid, self.started)


class LocalTriton:
    """The Triton of a work folder; at most one runs."""

    def __init__(self, work_folder: Path, ports: Ports | None = None) -> None:
        """ports: where it listens when it is started; None: wherever it is free."""
        self._ports = ports
        self.folder = work_folder.absolute() / "triton"
        self.backends = self.folder / "backends"
        self.log = self.folder / "server.log"
        self.token_file = self.folder / "token"
        self._state_file = self.folder / "server.json"
        self._shared_memory = f"jec_triton_{digest_bytes(str(self.folder).encode())[:12]}_"

    def start_or_reuse(self, repository: str, models: Sequence[str] = ()) -> Endpoint:
        """A ready server of this model repository (a folder or s3:// prefix).

        One that is started listens only after it has tried to load `models`, and each of them is loaded only if its
        self-test passed; what failed is known when it is loaded again (`endpoint.load`). A healthy server is used again
        as it is. One that died, hangs, lost a model's process, reads another repository or was started from other code
        is ended first. Raises UnreachableRepositoryError, TritonMissingError and TritonStartError.
        """
        require_reachable(repository)
        installation = find_triton()
        with self.locked():
            state = self.state()
            if state and self._is_wanted(state, repository) and self._healthy(state):
                return state.endpoint
            self._end()
            if self._ports is not None:
                return self._start(installation, repository, models, self._ports)
            return self._start_anywhere(installation, repository, models)

    def restart(self, state: ServerState, models: Sequence[str]) -> Endpoint:
        """End what is left of this server and start it again, on the ports that its clients know; to be called locked.

        Raises what `start_or_reuse` does.
        """
        require_reachable(state.repository)
        self._end_server(patience=1)
        return self._start(find_triton(), state.repository, models, state.ports)

    def running(self) -> Endpoint | None:
        """The server if it is healthy, else None."""
        state = self.state()
        return state.endpoint if state and self._healthy(state) else None

    def stop(self) -> bool:
        """End the server and all it started, and remove what it left; whether there was anything to end."""
        if not self.folder.exists():
            return False
        with self.locked():
            return self._end()

    def state(self) -> ServerState | None:
        """What was recorded when the server was started; None where none was, or it was stopped."""
        if not self._state_file.exists():
            return None
        try:
            return ServerState(**json.loads(self._state_file.read_bytes()))
        except TypeError:  # the fields of another release of this package, whose server is to be replaced
            return None

    def last_words(self) -> str:
        """What the server said last."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        # Without the tables that Triton draws of its options.
        return "\n".join([line.strip() for line in lines if line.strip() and line[0] not in "|+"][-LOG_LINES:])

    def watchers(self) -> list[psutil.Process]:
        """The processes that keep this folder's server alive (`watch.py`), one at most unless two began at once."""
        return find(lambda command_line: WATCHER in command_line and command_line[-1:] == [str(self.folder.parent)])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One at a time starts, repairs or stops the server of this folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _is_wanted(self, state: ServerState, repository: str) -> bool:
        wanted = repository, fingerprint(), self._ports or state.ports
        return (state.repository, state.fingerprint, state.ports) == wanted

    def _healthy(self, state: ServerState) -> bool:
        process = state.process()
        if process is None or not ready(state.endpoint):
            return False
        try:
            return not models_without_a_process(state.endpoint, process)
        except EndpointError:
            return False

    @retry(retry=retry_if_exception_type(PortTakenError), stop=stop_after_attempt(3), reraise=True)
    def _start_anywhere(self, installation: TritonInstallation, repository: str, models: Sequence[str]) -> Endpoint:
        return self._start(installation, repository, models, Ports(*free_ports(3)))

    def _start(
        self, installation: TritonInstallation, repository: str, models: Sequence[str], ports: Ports
    ) -> Endpoint:
        assemble_backends(installation, self.backends)
        token = self._keep_token(secrets.token_urlsafe(24))
        launch = Launch(installation.server, repository, self.backends, self._shared_memory, ports, token, models)
        process = spawn(launch.arguments(), installation.environment, self.log)
        state = ServerState(
            process.pid,
            process.create_time(),
            f"{LOOPBACK}:{ports.http}",
            f"{LOOPBACK}:{ports.grpc}",
            f"{LOOPBACK}:{ports.metrics}",
            str(self.token_file),
            repository,
            fingerprint(),
        )
        write_atomically(self._state_file, json.dumps(asdict(state), indent=1).encode())
        try:
            self._wait_until_ready(process, state)
        except TritonStartError:
            self._end_server()
            raise
        return state.endpoint

    def _keep_token(self, token: str) -> str:
        """Write it where only this user reads it, and reads it whole."""
        new = self.token_file.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_text(token)
        new.replace(self.token_file)
        return token

    def _wait_until_ready(self, process: psutil.Process, state: ServerState) -> None:
        endpoint = state.endpoint
        deadline = time.monotonic() + START_TIMEOUT
        # It listens for those who want its metrics a moment later than for requests.
        while not (ready(endpoint) and _listens(state.metrics)):
            if not is_running(process):
                said = self.last_words()
                if "already in use" in said:
                    raise PortTakenError(f"another program listens on one of Triton's ports, end it or choose:\n{said}")
                raise TritonStartError(f"Triton ended while it started ({self.log}):\n{said}")
            # It listens once it has tried to load models: one that is not ready then couldn't read its repository.
            if live(endpoint) and not ready(endpoint):
                raise TritonStartError(f"Triton can't use its repository ({self.log}):\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise TritonStartError(
                    f"Triton is not ready after {START_TIMEOUT:.0f} s ({self.log}):\n{self.last_words()}"
                )
            time.sleep(POLL)

    def _end(self) -> bool:
        """End the server for good, first what would start it again."""
        end(self.watchers(), patience=EXIT_TIMEOUT)
        ended = self._end_server()
        self._state_file.unlink(missing_ok=True)
        self.token_file.unlink(missing_ok=True)
        return ended

    def _end_server(self, patience: float = EXIT_TIMEOUT + 5) -> bool:
        servers = find(lambda command_line: backend_argument(self.backends) in command_line)
        end(servers, patience)
        # Models' processes end with their server, but not at once where that was killed.
        stub = str(self.backends / "python" / "triton_python_backend_stub")
        orphans = find(lambda command_line: command_line[:1] == [stub])
        end(orphans, patience=0)
        remove_shared_memory(self._shared_memory)
        return bool(servers or orphans)


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        create_connection((host, int(port)), timeout=POLL).close()
    except OSError:
        return False
    return True
