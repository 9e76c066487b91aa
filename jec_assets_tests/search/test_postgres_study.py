"""Trials of twenty Pods in one PostgreSQL database, and a server that goes and comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest

from jec_assets.pools import worker_pool
from jec_assets.search.study_database import StudyDatabaseError, mirror
from jec_assets_tests.postgres import PASSWORD, Postgres, postgres_server
from jec_assets_tests.search.samples import finished

pytestmark = pytest.mark.needs("postgres")

TRIALS = 20


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with pytest.MonkeyPatch.context() as environment, postgres_server() as running:
        environment.setenv("PGPASSWORD", PASSWORD)
        yield running


def numbers(url: str) -> list[int]:
    [study] = optuna.get_all_study_summaries(url)
    return sorted(
        trial.user_attrs["trial"] for trial in optuna.load_study(study_name=study.study_name, storage=url).trials
    )


def test_twenty_trials_at_once_are_shown_once_each(server: Postgres) -> None:
    url, records = server.make_database("at_once"), [finished(number, 0.1) for number in range(TRIALS)]
    with worker_pool(2) as processes, ThreadPoolExecutor(TRIALS) as threads:
        # Each trial adds its own; each choice of a best model, in another process, whatever is missing.
        choices = [processes.submit(mirror, url, records, 120.0) for _ in range(2)]
        trials = [threads.submit(mirror, url, [record], 120.0) for record in records]
        added = sum(each.result() for each in (*choices, *trials))
    assert added == TRIALS
    assert numbers(url) == list(range(TRIALS))


def test_a_server_that_is_restarted_is_waited_for(server: Postgres) -> None:
    url = server.make_database("restarted")
    mirror(url, [finished(0, 0.1)])
    server.end()
    back = threading.Timer(1.0, server.start)
    back.start()
    assert mirror(url, [finished(1, 0.1)], seconds_to_retry=60) == 1
    back.join()
    assert numbers(url) == [0, 1]


def test_what_a_dead_server_missed_is_added_by_the_next_call(server: Postgres) -> None:
    url = server.make_database("dead")
    mirror(url, [finished(0, 0.1)])
    server.end()
    try:
        with pytest.raises(StudyDatabaseError, match=r"^postgresql://dagster@\S+: .*refused; check JEC_STUDY_DATABASE"):
            mirror(url, [finished(1, 0.1)], seconds_to_retry=0.5)
    finally:
        server.start()
    assert mirror(url, [finished(number, 0.1) for number in range(3)]) == 2
    assert numbers(url) == [0, 1, 2]


def test_a_wrong_password_is_said_without_it(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    with pytest.raises(StudyDatabaseError, match=r"password authentication failed .*PGPASSWORD or PGPASSFILE") as fault:
        mirror(server.url(), [finished(0, 0.1)], seconds_to_retry=0)
    assert "hunter2" not in str(fault.value)
