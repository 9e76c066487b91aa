"""What each machine of a training does: `jec train-node`, in a pod of its own.

Belongs here: fetching the job and the jets from the storage root, this machine's part of the training, and saying there
what became of it. Does not belong here: the training itself (`jec_assets.training.worker`). Imports no torch.
"""

from __future__ import annotations

import tempfile
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jec_assets.jets.cache import CacheError, cache_split
from jec_assets.storage import ArtifactMissingError
from jec_assets.training.job import Failure, UnreadableJobError
from jec_assets.training.launch import KNOWN, WorkerFailedError, WorkerKilledError, environment, run_torchrun
from jec_assets.training.nodes.meeting import address_towards

if TYPE_CHECKING:
    from collections.abc import Callable

    from jec_assets.jets.splits import SplitName
    from jec_assets.storage import Storage
    from jec_assets.training.job import TrainingJob
    from jec_assets.training.nodes.files import TrainingFiles
    from jec_assets.training.nodes.meeting import Meeting
    from jec_assets.training.progress import Progress

# What would go wrong again; and all by which a machine's part may end.
IN_VAIN: tuple[type[Exception], ...] = (*KNOWN, WorkerFailedError, ArtifactMissingError, UnreadableJobError)
FAULTS: tuple[type[Exception], ...] = (WorkerKilledError, *IN_VAIN)


def train_on_node(files: TrainingFiles, meeting: Meeting, work_folder: Path, say: Callable[[str], object]) -> None:
    """Take part in a training; returns when it is finished.

    Whoever follows the training learns from its files why it cannot be finished, where this is why. Raises
    WorkerKilledError where this machine's processes or another machine were lost.
    """
    try:
        _take_part(files, meeting, work_folder, say)
    except IN_VAIN as error:
        files.write_failure(Failure(type(error).__name__, str(error), traceback.format_exc()))
        raise


def _take_part(files: TrainingFiles, meeting: Meeting, work_folder: Path, say: Callable[[str], object]) -> None:
    published = files.read_job()
    work_folder.mkdir(parents=True, exist_ok=True)
    address = address_towards(meeting.host, meeting.port)
    say(f"machine {meeting.index} of {meeting.nodes}, at {address}, meets the others at {meeting.host}:{meeting.port}")
    with tempfile.TemporaryDirectory(prefix="training_", dir=work_folder) as folder:
        job = _own(published, files.storage, work_folder, Path(folder))

        def report(progress: Progress) -> None:
            say(str(progress))
            files.write_progress(progress)

        result = run_torchrun(job, meeting.options(address), environment(meeting.workers, address), report)
        if result is not None:
            files.write_result(result, job.network_file.read_bytes())


def _own(published: TrainingJob, storage: Storage, work_folder: Path, folder: Path) -> TrainingJob:
    """The job with the paths of this machine."""
    checkpoints, cache = published.config.checkpoints, work_folder / "cache" / "jets"
    config = replace(published.config, checkpoints=checkpoints and replace(checkpoints, storage=storage))
    training = _same(published.training, storage, "train", cache)
    validation = _same(published.validation, storage, "validation", cache)
    return replace(published, config=config, training=training, validation=validation, folder=folder)


def _same(published: Path, storage: Storage, name: SplitName, root: Path) -> Path:
    """The folder of this machine's copy of the split, which must be the one that the job was made for."""
    folder = cache_split(storage, name, root).folder
    if folder.name != published.name:
        raise CacheError(
            f"the split {name} in {storage.root} is {folder.name}, and the training was started on {published.name}: "
            "start it again, with the same version of the code in all images"
        )
    return folder
