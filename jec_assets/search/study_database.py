"""The database in which optuna-dashboard shows a study.

Belongs here: adding records to it, each once, whoever else does so at the same time. Does not belong here: what a
record is as Optuna's trial (`optuna_trials.py`).

Records in storage are the truth and the database mirrors them: it can be lost, and is filled again from them.

Passwords are not in the URL: libpq, the client of PostgreSQL, takes them from PGPASSWORD or from PGPASSFILE.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from jec_assets.search.optuna_trials import identity, optuna_trial, study_name
from jec_assets.search.sampler import quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from optuna.storages import BaseStorage
    from sqlalchemy import URL

    from jec_assets.search.record import TrialRecord

SECONDS_TO_RETRY = 20.0  # a server that is restarted is back by then
LOCK = 0x6A6563  # the key of PostgreSQL's advisory lock: any number that others don't take
# A server or a network that is silent is noticed within a minute; the system's own patience is two hours.
POSTGRES_CONNECTION: dict[str, Any] = {"connect_timeout": 10, "keepalives_idle": 30, "tcp_user_timeout": 60_000}
SECONDS_LOCKED = 60


class StudyDatabaseError(RuntimeError):
    """A study database that cannot be used; names it without secrets, says what is wrong and what to do."""


def mirror(url: str, records: Sequence[TrialRecord], seconds_to_retry: float = SECONDS_TO_RETRY) -> int:
    """Add those records that the database lacks, each to its own study; how many these were.

    Raises StudyDatabaseError where the database cannot be used, also after trying for so many seconds. Then nothing is
    lost: the same call adds what is missing.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError

    database, passing = _database(url), (StorageInternalError, DBAPIError)
    attempts = Retrying(
        stop=stop_after_delay(seconds_to_retry),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        retry=retry_if_exception_type(passing),
        reraise=True,
    )
    try:
        return attempts(_mirror, database, records)
    except passing as fault:
        remedy = "check JEC_STUDY_DATABASE, that its server runs, and PGPASSWORD or PGPASSFILE"
        raise StudyDatabaseError(f"{database.render_as_string()}: {_first_line(fault)}; {remedy}") from fault


def _database(url: str) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        database = make_url(url)
    except ArgumentError:
        raise StudyDatabaseError("JEC_STUDY_DATABASE is no URL: write postgresql://USER@HOST/DATABASE") from None
    backend = database.get_backend_name()
    if database.password or "password" in database.query:
        raise StudyDatabaseError("JEC_STUDY_DATABASE must not hold a password: give it as PGPASSWORD or by PGPASSFILE")
    if backend not in {"postgresql", "sqlite"} or not database.database:
        name = database.render_as_string()
        raise StudyDatabaseError(f"{name}: write postgresql://USER@HOST/DATABASE, or sqlite:///FILE on one machine")
    if backend == "sqlite" and not Path(database.database).absolute().parent.is_dir():
        folder = Path(database.database).absolute().parent
        raise StudyDatabaseError(f"{database.render_as_string()}: there is no folder {folder}; make it")
    return database


def _mirror(database: URL, records: Sequence[TrialRecord]) -> int:
    added = 0
    with _alone(database):
        storage = _storage(database)
        by_study: dict[str, list[TrialRecord]] = {}
        for record in records:
            by_study.setdefault(study_name(record), []).append(record)
        for name, its in by_study.items():
            added += _add(storage, name, its)
    return added


def _add(storage: BaseStorage, name: str, records: Sequence[TrialRecord]) -> int:
    import optuna

    with quiet():
        study = optuna.create_study(study_name=name, storage=storage, direction="minimize", load_if_exists=True)
    for key in ("inputs", "terms"):
        study.set_user_attr(key, asdict(getattr(records[0], key)))
    known = {trial.user_attrs.get("identity") for trial in study.get_trials(deepcopy=False)}
    missing = {identity(record): record for record in records if identity(record) not in known}
    study.add_trials([optuna_trial(record) for record in missing.values()])
    return len(missing)


def _storage(database: URL) -> BaseStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy.pool import NullPool

    return RDBStorage(
        database.render_as_string(),
        engine_kwargs={"poolclass": NullPool, "connect_args": _connection(database)},
    )


def _connection(database: URL) -> dict[str, Any]:
    return POSTGRES_CONNECTION if database.get_backend_name() == "postgresql" else {"timeout": SECONDS_LOCKED}


@contextmanager
def _alone(database: URL) -> Iterator[None]:
    """One process at a time: what is there already and adding what is not must not be interleaved with others'."""
    if database.get_backend_name() == "sqlite":
        with Path(f"{database.database}.lock").open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield
        return
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    engine = create_engine(database, poolclass=NullPool, connect_args=_connection(database))
    with engine.begin() as connection:
        # The server lets go of the lock when this connection ends, also if this machine just vanished.
        connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{SECONDS_LOCKED}s'"))
        connection.execute(text(f"SET LOCAL lock_timeout = '{SECONDS_LOCKED}s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        yield


def _first_line(fault: BaseException) -> str:
    """What the server or its client says: Optuna puts it behind its own words."""
    said = str(fault.__cause__ or fault).strip()
    return said.splitlines()[0] if said else type(fault).__name__
