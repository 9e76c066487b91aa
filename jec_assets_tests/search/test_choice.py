from __future__ import annotations

from dataclasses import fields, replace

import pytest

from jec_assets.search.choice import NoFinishedTrialError, choose_best
from jec_assets.search.provenance import InputDigests
from jec_assets_tests.search.samples import DIGESTS, failed, finished


def test_the_lowest_validation_loss_wins() -> None:
    records = [finished(2, 0.071), failed(3), finished(0, 0.072), finished(1, 0.070)]
    choice = choose_best(records, DIGESTS)
    assert choice.best.number == 1
    assert [record.number for record in choice.candidates] == [0, 1, 2]
    assert [record.number for record in choice.failed] == [3]
    assert choice.stale == ()


def test_of_equal_losses_the_first_trial_wins() -> None:
    assert choose_best([finished(4, 0.07), finished(2, 0.07)], DIGESTS).best.number == 2


@pytest.mark.parametrize("field", [field.name for field in fields(InputDigests)])
def test_records_of_other_inputs_are_stale_whatever_their_loss(field: str) -> None:
    other = replace(DIGESTS, **{field: "other"})
    choice = choose_best([finished(0, 0.01, other), failed(1, other), finished(2, 0.08)], DIGESTS)
    assert choice.best.number == 2
    assert [record.number for record in choice.stale] == [0, 1]
    assert choice.failed == ()


def test_nothing_to_choose_from_says_what_there_is() -> None:
    stale = finished(2, 0.07, replace(DIGESTS, code_version="other"))
    with pytest.raises(
        NoFinishedTrialError, match=r"trial 001 failed: loss nan; .*code: 002\): materialize trial_model"
    ):
        choose_best([failed(1), stale], DIGESTS)
    with pytest.raises(NoFinishedTrialError, match="there are no records at all"):
        choose_best([], DIGESTS)
