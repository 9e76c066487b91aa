"""A real PostgreSQL server for tests, from Debian's package: one user, one password, one database."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jec_assets_tests.processes import free_port, wait_for_port

USER, PASSWORD, DATABASE = "dagster", "not a secret", "dagster"
INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
BINARIES = INSTALLED[-1] if INSTALLED else Path("/usr/lib/postgresql")  # tests that need it are skipped without it


@dataclass
class Postgres:
    """A server on 127.0.0.1, with its data in a folder; `account` is who runs it."""

    port: int
    folder: Path
    account: str | None

    def url(self, database: str = DATABASE) -> str:
        """Of a database, for SQLAlchemy: without the password, which PGPASSWORD gives."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        served = [BINARIES / "postgres", "-D", self.folder / "data", "-p", str(self.port), "-k", self.folder]
        options = ["-h", "127.0.0.1", "-c", "fsync=off"]  # nothing here has to survive a loss of power
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([*served, *options], user=self.account, stdout=log, stderr=log)
        wait_for_port(self.port, 60)

    def end(self) -> None:
        """End it; it ends every process that it started."""
        self._process.send_signal(signal.SIGINT)  # at once, whoever is connected
        self._process.wait(timeout=60)

    def make_database(self, name: str) -> str:
        """Make an empty database; its URL."""
        command = [BINARIES / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, name]
        subprocess.run(command, env=os.environ | {"PGPASSWORD": PASSWORD}, check=True, capture_output=True, timeout=60)
        return self.url(name)


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server with an empty database while the block lasts."""
    account = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="postgres_"))  # not pytest's, which only the user who runs it may enter
    server = Postgres(free_port(), folder, account)
    try:
        (folder / "password").write_text(PASSWORD)
        if account:
            for path in (folder, folder / "password"):
                shutil.chown(path, account)
        made = [BINARIES / "initdb", "-D", folder / "data", "-U", USER, "--pwfile", folder / "password"]
        subprocess.run([*made, "-A", "scram-sha-256", "--no-sync"], user=account, check=True, capture_output=True)
        server.start()
        try:
            server.make_database(DATABASE)
            yield server
        finally:
            server.end()
    finally:
        shutil.rmtree(folder)
