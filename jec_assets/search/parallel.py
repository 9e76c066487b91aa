"""Trials side by side, each in a process of its own.

Belongs here: how many at a time, on which GPU each, and hearing how far they are. Does not belong here: what a trial is
(`trial.py`), and the processes of one data-parallel training (`jec_assets.training.launch`).
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from jec_assets.pools import CONTEXT, worker_pool
from jec_assets.search.trial import run_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.queues import Queue
    from multiprocessing.sharedctypes import Synchronized

    from jec_assets.search.record import TrialRecord
    from jec_assets.search.sampler import TrialPlan
    from jec_assets.search.trial import Study
    from jec_assets.training.progress import Progress

    Report = tuple[int, Progress] | None  # the trial's number and how far it is; None: there is no more to hear
    Listener = Callable[[int, Progress], None]


class TrialProcessDiedError(RuntimeError):
    """A process that trained was killed from outside."""


@dataclass(frozen=True)
class Slots:
    """Room for trials at the same time: `processes` of them, taking turns on the GPUs, if there are any.

    gpus: what CUDA_VISIBLE_DEVICES may be for a trial: a GPU, or as many as the trial has workers
    """

    processes: int
    gpus: tuple[str, ...] = ()

    @classmethod
    def of_this_machine(cls, workers: int, threads: int) -> Slots:
        """As many trials of so many workers as there are GPUs for; without a GPU, cores for so many threads each."""
        import torch

        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = visible.split(",") if visible else [str(number) for number in range(torch.cuda.device_count())]
        together = tuple(",".join(gpus[first : first + workers]) for first in range(0, len(gpus), workers))
        cores = len(os.sched_getaffinity(0))
        return cls(len(together) or max(1, cores // (workers * max(1, threads))), together)


def run_trials(study: Study, plans: Sequence[TrialPlan], slots: Slots, listener: Listener) -> Iterator[TrialRecord]:
    """The plans' records, each as soon as it is there; see `run_trial`.

    The first exception of a trial ends the others; those that finished have their records in storage. Trials that train
    on several machines come one after the other: this one only follows them.
    """
    if study.nodes is not None:
        yield from (run_trial(study, plan, partial(listener, plan.number)) for plan in plans)
        return
    reports: Queue[Report] = CONTEXT.Queue()
    turn: Synchronized[int] = CONTEXT.Value("i", 0)
    with (
        worker_pool(min(slots.processes, len(plans)), _prepare, reports, turn, slots.gpus) as pool,
        _heard(reports, listener),
    ):
        trials = [pool.submit(_run, study, plan) for plan in plans]
        try:
            yield from (trial.result() for trial in as_completed(trials))
        except BrokenProcessPool as broken:
            raise TrialProcessDiedError(
                "a process that trained was killed, most likely for want of memory: lower JEC_PARALLEL_TRIALS; the run "
                "goes on with the trials it lacks"
            ) from broken


@contextmanager
def _heard(reports: Queue[Report], listener: Listener) -> Iterator[None]:
    """Hand reports on to the listener while the block runs."""

    def listen() -> None:
        while (report := reports.get()) is not None:
            listener(*report)

    listening = threading.Thread(target=listen, name="trial reports", daemon=True)
    listening.start()
    try:
        yield
    finally:
        reports.put(None)
        listening.join()


_reports: Queue[Report]  # in a worker process: where it says how far its trial is


def _prepare(reports: Queue[Report], turn: Synchronized[int], gpus: tuple[str, ...]) -> None:
    global _reports  # noqa: PLW0603 - an initializer has no other way to hand something to the tasks of its process
    _reports = reports
    if gpus:
        with turn.get_lock():
            os.environ["CUDA_VISIBLE_DEVICES"] = gpus[turn.value % len(gpus)]
            turn.value += 1


def _run(study: Study, plan: TrialPlan) -> TrialRecord:
    return run_trial(study, plan, lambda progress: _reports.put((plan.number, progress)))
