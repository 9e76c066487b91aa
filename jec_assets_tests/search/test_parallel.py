"""Trials in processes of their own give what they give in this one."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from jec_assets.search import parallel
from jec_assets.search.parallel import Slots, TrialProcessDiedError, run_trials
from jec_assets.search.record import FailedTrial, FinishedTrial, read_records
from jec_assets.search.sampler import TrialPlan
from jec_assets.search.trial import Study, run_trial
from jec_assets.storage import Storage
from jec_assets.training.progress import Progress
from jec_assets_tests.search.samples import plan, silent, study

TWO = Slots(2)


def ignore(_: int, __: Progress) -> None:
    pass


def die(study: Study, plan: TrialPlan) -> None:
    os._exit(9)


def test_trials_side_by_side_are_the_trials_one_by_one(storage: Storage) -> None:
    plans = [plan(number, learning_rate=0.01 * (number + 1)) for number in range(3)]
    heard: list[tuple[int, Progress]] = []
    together = {
        record.number: record for record in run_trials(study(storage), plans, TWO, lambda *report: heard.append(report))
    }
    alone = Storage(f"{storage.root}_alone")
    for each in plans:
        expected, found = run_trial(study(alone), each, silent), together[each.number]
        assert isinstance(expected, FinishedTrial)
        assert isinstance(found, FinishedTrial)
        assert found.weights_digest == expected.weights_digest
    assert {number for number, _ in heard} == {0, 1, 2}
    assert [record.number for record in read_records(storage, "pfn")] == [0, 1, 2]


def test_a_trial_that_cannot_be_trained_does_not_stop_the_others(storage: Storage) -> None:
    plans = [plan(0, learning_rate=1e30), plan(1)]
    records = {record.number: record for record in run_trials(study(storage), plans, TWO, ignore)}
    assert isinstance(records[0], FailedTrial)
    assert isinstance(records[1], FinishedTrial)


def test_a_bug_reaches_the_caller(storage: Storage) -> None:
    setup = study(storage)
    elsewhere = replace(setup, inputs=replace(setup.inputs, training=setup.inputs.training / "nowhere"))
    with pytest.raises(RuntimeError, match="nowhere"):
        list(run_trials(elsewhere, [plan()], TWO, ignore))


def test_a_killed_process_is_said_with_the_remedy(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_run", die)
    with pytest.raises(TrialProcessDiedError, match="JEC_PARALLEL_TRIALS"):
        list(run_trials(study(storage), [plan()], TWO, ignore))


def test_there_is_a_slot_for_every_so_many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(7)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert Slots.of_this_machine(workers=3, threads=1) == Slots(2)
    assert Slots.of_this_machine(workers=1, threads=0) == Slots(7)
    assert Slots.of_this_machine(workers=4, threads=2) == Slots(1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6")
    assert Slots.of_this_machine(workers=1, threads=1) == Slots(3, ("3", "5", "6"))
    assert Slots.of_this_machine(workers=2, threads=1) == Slots(2, ("3,5", "6"))
