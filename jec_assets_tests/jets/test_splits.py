"""Splits: shares, stability, events together, caps by event hash."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.jets.identity import event_hash
from jec_assets.jets.splits import SHARES, digest_of_rows, first_by_hash, rows_of_split


def index_of(events: int, jets_per_event: int = 2) -> pl.DataFrame:
    number = np.repeat(np.arange(events), jets_per_event)
    hashes = event_hash(np.full_like(number, 1), np.full_like(number, 7), number.astype(np.uint64))
    return pl.DataFrame({"file": np.zeros_like(number), "row": np.arange(len(number)), "event_hash": hashes})


def test_hash_never_changes() -> None:
    # Files filtered years apart must agree: these numbers are part of the data format.
    hashes = event_hash(np.array([1, 301]), np.array([1, 7]), np.array([12, 2**63], np.uint64))
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [8540611211042726931, 11445677309402988954]


@pytest.mark.parametrize("name", SHARES)
def test_shares(name: str) -> None:
    index = index_of(50_000)
    low, high = SHARES[name]
    share = len(rows_of_split(index, name)) / len(index)
    assert share == pytest.approx(high - low, abs=0.01)


def test_every_jet_is_in_exactly_one_split() -> None:
    index = index_of(3_000)
    rows = pl.concat([rows_of_split(index, name) for name in SHARES])
    assert sorted(rows["row"].to_list()) == index["row"].to_list()


@given(st.integers(1, 400))
def test_a_cap_keeps_whole_events_and_grows_by_adding(cap: int) -> None:
    index = index_of(200)
    taken = first_by_hash(index, cap)
    assert cap - 2 < len(taken) <= cap
    assert set(taken.group_by("event_hash").len()["len"]) <= {2}
    larger = first_by_hash(index, cap + 50)
    assert set(taken["row"]) <= set(larger["row"])


def test_no_cap_takes_all() -> None:
    index = index_of(10)
    assert first_by_hash(index, None).equals(index)


def taken(files: list[int], rows: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"file": files, "row": rows}, schema={"file": pl.UInt32, "row": pl.UInt32})


def test_the_digest_is_that_of_the_rows_wherever_their_files_stand() -> None:
    digest = digest_of_rows(taken([0, 0, 1], [4, 9, 4]), ["a", "b"], "paper")
    assert digest_of_rows(taken([1, 1, 3], [4, 9, 4]), ["A", "a", "ab", "b"], "paper") == digest
    assert digest_of_rows(taken([1, 0, 0], [4, 9, 4]), ["a", "b"], "paper") == digest
    others = [
        digest_of_rows(taken([0, 0, 1], [4, 9, 4]), ["a", "b"], "extended"),
        digest_of_rows(taken([0, 0, 1], [4, 9, 4]), ["a", "c"], "paper"),
        digest_of_rows(taken([0, 0, 1], [4, 8, 4]), ["a", "b"], "paper"),
        digest_of_rows(taken([0, 1, 1], [4, 4, 9]), ["a", "b"], "paper"),
        digest_of_rows(taken([0, 0], [4, 9]), ["a", "b"], "paper"),
    ]
    assert len({digest, *others}) == 1 + len(others)
