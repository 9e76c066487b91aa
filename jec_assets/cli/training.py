"""Commands about training: `jec train`, and `jec train-node` for machines of a cluster.

Belongs here: carrying out single trials, and parts of them. Does not belong here: the whole search, which is a job of
Dagster's.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from jec_assets.cli.app import app, console, fail, settings_now, storage_of

if TYPE_CHECKING:
    from jec_assets.search.record import TrialRecord
    from jec_assets.settings import Settings


@app.command()
def train(
    family: Annotated[str, typer.Argument(help="pfn, particle_net, ...: a family of networks.")],
    trial: Annotated[int, typer.Option(min=0, help="Its number; 0 is the known optimum.")] = 0,
) -> None:
    """Train one trial on the present splits, as its asset does; killed and started again, it goes on where it was.

    The record lies where the asset looks for it, so that a run of the job does not train it again.
    """
    from jec_assets.models.families import UnknownFamilyError, family_named
    from jec_assets.progress import TrainingBars
    from jec_assets.search.record import FinishedTrial
    from jec_assets.search.sampler import trial_key
    from jec_assets.search.setup import plan_of, study_of
    from jec_assets.search.trial import run_trial
    from jec_assets.storage import ArtifactMissingError
    from jec_assets.training.config import TrainingConfigError

    settings = settings_now()
    try:
        label = f"{family_named(family).title} trial {trial_key(trial)}"
        study, plan = study_of(settings, storage_of(settings)), plan_of(settings, family, trial)
    except (UnknownFamilyError, ArtifactMissingError, TrainingConfigError) as fault:
        fail(str(fault))
    console.print(f"{label}: {plan.optimization}, {plan.hyperparameters}", soft_wrap=True, highlight=False)
    with TrainingBars(console) as bars:
        record = run_trial(study, plan, bars.reporter(label))
    if not isinstance(record, FinishedTrial):
        fail(f"{label} failed: {record.error}")
    _show_in_database(settings, record)
    found = f"validation loss {record.validation_loss:.5f} in epoch {record.best_epoch}"
    console.print(f"{label}: {found}", highlight=False)
    print(study.storage.uri(record.key))  # noqa: T201 - for scripts


def _show_in_database(settings: Settings, record: TrialRecord) -> None:
    """Add the record to JEC_STUDY_DATABASE, if there is one; that it cannot be reached is no reason to fail."""
    from jec_assets.search.study_database import StudyDatabaseError, mirror

    if settings.study_database is None:
        return
    try:
        mirror(settings.study_database, [record])
    except StudyDatabaseError as fault:
        console.print(f"not shown in the study database, the next best_model adds it: {fault}", style="yellow")


@app.command(hidden=True)
def train_node(
    files: Annotated[str, typer.Argument(help="The key below which the training's files are in storage.")],
    name: Annotated[str, typer.Option(help="Of the training.")],
    nodes: Annotated[int, typer.Option(min=1, help="How many machines train.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes on each machine.")],
    host: Annotated[str, typer.Option(help="The first machine, as the others know it.")],
    port: Annotated[int, typer.Option(help="A port of the first machine.")],
    index_in: Annotated[str, typer.Option(help="The variable that says which machine this is, from 0.")],
) -> None:
    """Take part in a training on several machines: what each pod of JEC_NODES runs."""
    from jec_assets.training.nodes.files import TrainingFiles
    from jec_assets.training.nodes.meeting import Meeting
    from jec_assets.training.nodes.node import FAULTS, train_on_node

    # The first process of a container ignores what it has no handler for.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    settings = settings_now()
    meeting = Meeting(name, nodes, workers, host, port, int(os.environ[index_in]))
    try:
        train_on_node(
            TrainingFiles(storage_of(settings), files),
            meeting,
            settings.work_folder,
            lambda text: print(text, flush=True),  # noqa: T201 - the pod's log
        )
    except FAULTS as fault:
        fail(f"{type(fault).__name__}: {fault}")
