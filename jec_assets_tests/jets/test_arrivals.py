"""Arrivals: every difference between two listings is seen, and a policy says what is enough."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.jets.arrivals import Change, Policy, Sighting, calibrated_files, change_between, ingested_files
from jec_assets.jets.sources import JetFile
from jec_assets.storage import Storage

KNOWN = [JetFile("s3://jets/a.root", 1000, "a"), JetFile("s3://jets/b.root", 3000, "b")]
ANY_FILES = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(0, 9), st.sampled_from("xyz")), max_size=6
).map(lambda found: [JetFile(url, *rest) for url, rest in found.items()])


def change_of(files: int = 1, percent: float = 1.0) -> Change:
    return Change(tuple(map(str, range(files))), (), (), percent, "version")


def test_what_arrived_what_was_written_over_and_what_is_gone() -> None:
    change = change_between(KNOWN, [JetFile("s3://jets/a.root", 1000, "other"), JetFile("s3://jets/c.root", 400, "c")])
    assert (change.arrived, change.rewritten, change.gone) == (
        ("s3://jets/c.root",),
        ("s3://jets/a.root",),
        ("s3://jets/b.root",),
    )
    assert change.percent == pytest.approx(100 * (1000 + 400 + 3000) / 4000)
    assert str(change) == "files: 1 arrived, 1 written over, 1 gone (110 % of the jets)"


def test_an_object_of_the_same_size_with_another_etag_is_another_one() -> None:
    change = change_between(KNOWN, [KNOWN[0], JetFile(KNOWN[1].url, KNOWN[1].size, "other")])
    assert change.rewritten == (KNOWN[1].url,)


def test_where_nothing_was_known_everything_is_more() -> None:
    change = change_between([], KNOWN)
    assert math.isinf(change.percent)
    assert Policy(None, 1e9, 0).is_reached_by(change)
    assert str(change) == "files: 2 arrived (none were known before)"


@given(ANY_FILES, ANY_FILES)
def test_a_change_is_empty_exactly_where_the_listings_are_the_same(before: list[JetFile], after: list[JetFile]) -> None:
    assert (change_between(before, after).files == 0) == ({*before} == {*after})
    assert change_between(before, after) == change_between(before[::-1], after[::-1])


@given(ANY_FILES, ANY_FILES, ANY_FILES)
def test_another_change_has_another_version(before: list[JetFile], one: list[JetFile], other: list[JetFile]) -> None:
    same = change_between(before, one).version == change_between(before, other).version
    assert same == ({*one} == {*other})


@pytest.mark.parametrize(
    ("policy", "change", "reached"),
    [
        (Policy(2, 50, 0), change_of(files=2, percent=1), True),
        (Policy(2, 50, 0), change_of(files=1, percent=50), True),
        (Policy(2, 50, 0), change_of(files=1, percent=49), False),
        (Policy(None, 50, 0), change_of(files=999, percent=49), False),
        (Policy(None, 0, 0), change_of(files=0, percent=0), False),
    ],
)
def test_so_many_files_or_so_many_jets_are_enough(policy: Policy, change: Change, reached: bool) -> None:
    assert policy.is_reached_by(change) == reached


def test_a_source_is_quiet_from_the_look_that_first_saw_it_as_it_is() -> None:
    policy = Policy(1, 1, quiet_seconds=60)
    first = Sighting.of(KNOWN, 100.0, None)
    assert first.wait(policy, 100.0) == 60
    again = Sighting.of(KNOWN[::-1], 150.0, first.as_text())
    assert (again, again.wait(policy, 150.0), again.wait(policy, 170.0)) == (first, 10, 0)
    assert Sighting.of(KNOWN[:1], 155.0, first.as_text()).since == 155.0


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", "3", '{"version": "x"}', '{"since": 3, "other": 1}'])
def test_a_text_that_says_nothing_starts_the_quiet_period(text: str) -> None:
    assert Sighting.of(KNOWN, 100.0, text).since == 100.0


def test_nothing_is_known_before_the_first_jets(storage: Storage) -> None:
    assert ingested_files(storage) == calibrated_files(storage) == []
