"""The choice of a family's best trial.

Belongs here: which records may be compared, and the rule. The lowest **validation** loss wins: a choice by the test set
would make the test set's loss too good to be true. Does not belong here: any look at the test set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.search.record import FailedTrial, FinishedTrial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.search.provenance import InputDigests
    from jec_assets.search.record import TrialRecord


class NoFinishedTrialError(LookupError):
    """There is no finished trial to choose from."""


@dataclass(frozen=True)
class Choice:
    """The best trial, and what became of all records, each by trial number: candidates include the best.

    candidates: finished on the present inputs. stale: finished or failed on others, not compared. failed: on the
    present.
    """

    best: FinishedTrial
    candidates: tuple[FinishedTrial, ...]
    stale: tuple[TrialRecord, ...]
    failed: tuple[FailedTrial, ...]


def choose_best(records: Sequence[TrialRecord], current: InputDigests) -> Choice:
    """The finished record with the lowest validation loss among those made of the current inputs by the current code.

    Of equal losses the lowest trial number wins. `NoFinishedTrialError` says what there is instead of a candidate.
    """
    ordered = sorted(records, key=lambda record: record.number)
    comparable = [record for record in ordered if record.inputs == current]
    stale = tuple(record for record in ordered if record.inputs != current)
    candidates = tuple(record for record in comparable if isinstance(record, FinishedTrial))
    failed = tuple(record for record in comparable if isinstance(record, FailedTrial))
    if not candidates:
        raise NoFinishedTrialError(_nothing_to_choose(stale, failed))
    return Choice(min(candidates, key=lambda record: record.validation_loss), candidates, stale, failed)


def _nothing_to_choose(stale: Sequence[TrialRecord], failed: Sequence[FailedTrial]) -> str:
    reasons = [f"trial {record.number:03d} failed: {record.error}" for record in failed]
    if stale:
        numbers = ", ".join(f"{record.number:03d}" for record in stale)
        reasons.append(f"of other jets, features or code: {numbers}")
    found = "; ".join(reasons) or "there are no records at all"
    return f"no finished trial on the present jets, features and code ({found}): materialize trial_model"
