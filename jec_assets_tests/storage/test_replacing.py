"""A pointer is replaced only by who has seen what it holds: in a folder, and on a real S3 server."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from jec_assets.storage import ConflictError, Held, Storage
from jec_assets_tests.faulty_s3 import FaultyS3, losing_the_answer

KEY = "things/pointer.json"
RACERS = 16


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.needs("s3"))])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty root of either kind."""
    if request.param == "folder":
        return Storage(str(tmp_path / "root"))
    remote: Storage = request.getfixturevalue("remote")
    return remote


def test_who_has_seen_what_a_pointer_holds_replaces_it(root: Storage) -> None:
    assert root.read_held(KEY) == Held()
    root.replace_json(KEY, {"version": 1}, Held())
    held = root.read_held(KEY)
    assert held.data == root.read_bytes(KEY)
    assert abs(held.modified / 1e9 - time.time()) < 60, "when it was written is known"
    root.replace_json(KEY, {"version": 2}, held)
    assert root.read_json(KEY) == {"version": 2}
    assert root.list("things") == [KEY]


def test_who_has_not_is_told_and_overwrites_nothing(root: Storage) -> None:
    first = root.read_held(KEY)
    root.publish_json(KEY, {"by": "another"})
    with pytest.raises(ConflictError, match=r"pointer\.json: another run replaced it.*run this one again"):
        root.replace_json(KEY, {"by": "me"}, first)
    second = root.read_held(KEY)
    root.publish_json(KEY, {"by": "a third"})
    with pytest.raises(ConflictError):
        root.replace_json(KEY, {"by": "me"}, second)
    third = root.read_held(KEY)
    root.remove(KEY)
    with pytest.raises(ConflictError):
        root.replace_json(KEY, {"by": "me"}, third)
    assert not root.exists(KEY)


@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
def test_of_many_at_once_one_gets_through(root: Storage, there: bool) -> None:
    if there:
        root.publish_json(KEY, {"by": "nobody"})
    held, start = root.read_held(KEY), Barrier(RACERS)

    def race(number: int) -> int | None:
        start.wait()
        try:
            root.replace_json(KEY, {"by": number}, held)
        except ConflictError:
            return None
        return number

    with ThreadPoolExecutor(RACERS) as pool:
        winners = [number for number in pool.map(race, range(RACERS)) if number is not None]
    assert len(winners) == 1
    assert root.read_json(KEY) == {"by": winners[0]}


def test_turns_taken_by_many_are_all_counted(root: Storage) -> None:
    def add(number: int) -> None:
        while True:
            held = root.read_held(KEY)
            before = [] if held.data is None else root.read_json(KEY)
            try:
                root.replace_json(KEY, [*before, number], held)
            except ConflictError:
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(8)))
    assert sorted(root.read_json(KEY)) == list(range(8))


@pytest.mark.needs("s3")
def test_an_answer_that_is_lost_is_no_conflict_with_oneself(remote: Storage, proxy: FaultyS3) -> None:
    remote.publish_json(KEY, {"version": 1})
    held = remote.read_held(KEY)
    proxy.inject(losing_the_answer, "PUT")
    remote.replace_json(KEY, {"version": 2}, held)
    assert remote.read_json(KEY) == {"version": 2}
    proxy.inject(losing_the_answer, "PUT")
    with pytest.raises(ConflictError):
        remote.replace_json(KEY, {"version": 3}, held)
