"""Curves of a training for TensorBoard: a point per epoch, and points per step at most every second.

Belongs here: which scalars are written, under which names, what becomes of points that a killed run left behind, and
copies of the files.
Steps have event files of their own, in the subfolder `steps`, since TensorBoard hides outdated points by their step.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from jec_assets.training.progress import Throttle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch.utils.tensorboard import SummaryWriter

    from jec_assets.training.config import CurvesCopy
    from jec_assets.training.progress import Progress
    from jec_assets.training.result import EpochFigures

STEPS_FOLDER = "steps"
SECONDS_BETWEEN_STEPS = 1.0


class Curves:
    """Writes figures to event files. copies: None where nobody wants any."""

    def __init__(self, epochs: SummaryWriter, steps: SummaryWriter, copies: Copies | None) -> None:
        self._epochs, self._steps, self._copies = epochs, steps, copies
        self._throttle = Throttle(self._write_step, SECONDS_BETWEEN_STEPS)

    def epoch(self, figures: EpochFigures) -> None:
        """A point in each of the epochs' curves."""
        for name, value in (
            ("loss/training", figures.training_loss),
            ("loss/validation", figures.validation_loss),
            ("learning_rate", figures.learning_rate),
            ("gradient_norm", figures.gradient_norm),
            ("jets_per_second", figures.jets_per_second),
        ):
            self._epochs.add_scalar(name, value, figures.epoch)

    def step(self, progress: Progress) -> None:
        """A point in each of the steps' curves, if it is time."""
        self._throttle(progress)

    def flush(self) -> None:
        """Leave nothing in memory: points before a checkpoint are not written again by a run that goes on from it."""
        self._epochs.flush()
        self._steps.flush()
        if self._copies is not None:
            self._copies.renew()

    def _write_step(self, progress: Progress) -> None:
        for name, value in (
            ("step/loss", progress.loss),
            ("step/learning_rate", progress.learning_rate),
            ("step/gradient_norm", progress.gradient_norm),
        ):
            self._steps.add_scalar(name, value, progress.number)


class Copies:
    """Copies of a folder's event files, which only ever grow."""

    def __init__(self, folder: Path, place: CurvesCopy) -> None:
        self._folder, self._place = folder, place
        self._sizes: dict[Path, int] = {}

    def renew(self) -> None:
        """Copy the files that have grown."""
        for file in sorted(self._folder.rglob("events.*")):
            data = file.read_bytes()
            if self._sizes.get(file) != len(data):
                key = f"{self._place.prefix}/{file.relative_to(self._folder).as_posix()}"
                self._place.storage.publish_bytes(key, data)
                self._sizes[file] = len(data)


@contextmanager
def open_curves(
    folder: Path | None, epochs_done: int, steps_done: int, copy: CurvesCopy | None = None
) -> Iterator[Curves | None]:
    """The curves in a folder, copied with every flush and at the end; None for None.

    Points beyond so many epochs and steps, which an earlier run left in the folder, are hidden as TensorBoard's purge
    step does, so that a training that goes on writes none twice.
    """
    if folder is None:
        yield None
        return
    from torch.utils.tensorboard import SummaryWriter

    copies = None if copy is None else Copies(folder, copy)
    with ExitStack() as stack:
        if copies is not None:
            stack.callback(copies.renew)
        epochs = stack.enter_context(SummaryWriter(str(folder), purge_step=epochs_done + 1))
        steps = stack.enter_context(SummaryWriter(str(folder / STEPS_FOLDER), purge_step=steps_done + 1))
        yield Curves(epochs, steps, copies)
