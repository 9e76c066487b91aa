"""Which run of a retraining comes next, from those there were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.defs.automation.chain import Attempt, Launch, Outcome, Progress, Stage, progress

CHAIN = (Stage("ingest"), Stage("trials", ("000", "001")), Stage("publish"))
INGESTED = Attempt("ingest", None, "succeeded")


def trial(part: str, outcome: Outcome) -> Attempt:
    return Attempt("trials", part, outcome)


def test_the_first_stage_comes_first() -> None:
    assert progress(CHAIN, [], 2) == Progress("running", "ingest", (Launch("ingest", None, 1),))


def test_a_stage_waits_for_the_one_before() -> None:
    assert progress(CHAIN, [Attempt("ingest", None, "running")], 2) == Progress("running", "ingest")
    launches = (Launch("trials", "000", 1), Launch("trials", "001", 1))
    assert progress(CHAIN, [INGESTED], 2) == Progress("running", "trials", launches)


def test_a_partition_whose_run_was_never_started_is_started_alone() -> None:
    assert progress(CHAIN, [INGESTED, trial("001", "running")], 2).launches == (Launch("trials", "000", 1),)


def test_what_failed_is_tried_again_while_the_others_go_on() -> None:
    attempts = [INGESTED, trial("000", "failed"), trial("001", "running")]
    assert progress(CHAIN, attempts, 2) == Progress("running", "trials", (Launch("trials", "000", 2),))
    assert progress(CHAIN, attempts, 1) == Progress("running", "trials", (), ("trials 000",))


def test_one_trial_that_ended_well_is_enough_to_publish_and_the_others_are_named() -> None:
    attempts = [INGESTED, trial("000", "failed"), trial("000", "failed"), trial("001", "succeeded")]
    expected = Progress("running", "publish", (Launch("publish", None, 1),), ("trials 000",))
    assert progress(CHAIN, attempts, 2) == expected
    assert progress(CHAIN, [*attempts, Attempt("publish", None, "succeeded")], 2).outcome == "succeeded"


def test_no_trial_is_not_enough() -> None:
    attempts = [INGESTED, trial("000", "failed"), trial("001", "canceled")]
    assert progress(CHAIN, attempts, 1) == Progress("failed", "trials", (), ("trials 000", "trials 001"))


def test_what_somebody_canceled_is_not_tried_again() -> None:
    assert progress(CHAIN, [Attempt("ingest", None, "canceled")], 9) == Progress("canceled", "ingest", (), ("ingest",))


def test_a_failed_run_that_somebody_executed_again_lets_the_chain_go_on() -> None:
    failed = [Attempt("ingest", None, "failed")] * 2
    assert progress(CHAIN, failed, 2).outcome == "failed"
    assert progress(CHAIN, [*failed, INGESTED], 2).stage == "trials"


def test_keys_of_launches() -> None:
    assert [Launch("ingest", None, 1).key, Launch("trials", "003", 2).key] == ["ingest/1", "trials/003/2"]


@pytest.mark.parametrize("most", [1, 2, 3])
@given(outcomes=st.lists(st.sampled_from(["succeeded", "failed", "canceled"]), min_size=15, max_size=15))
def test_every_chain_ends_and_starts_nothing_twice(most: int, outcomes: list[Outcome]) -> None:
    attempts: list[Attempt] = []
    launched: list[Launch] = []
    while (standing := progress(CHAIN, attempts, most)).outcome == "running":
        assert standing.launches
        launched += standing.launches
        attempts += [Attempt(each.job, each.part, outcomes.pop()) for each in standing.launches]
    assert len(launched) == len(set(launched))
    assert all(each.number <= most for each in launched)
    assert progress(CHAIN, attempts, most).launches == ()
