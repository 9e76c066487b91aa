"""Curves of a training for TensorBoard.

Belongs here: which scalars are written, and under which names.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jec_assets.training.result import EpochFigures

FIRST_EPOCH = 1


@contextmanager
def scalar_writer(folder: Path | None) -> Iterator[Callable[[EpochFigures], None]]:
    """A function that writes an epoch's figures to event files in `folder`, or nowhere for None.

    Curves that the folder holds of an earlier training are hidden by the first point, as TensorBoard's purge step does.
    """
    if folder is None:
        yield lambda _: None
        return
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(log_dir=str(folder), purge_step=FIRST_EPOCH) as writer:

        def write(figures: EpochFigures) -> None:
            for name, value in (
                ("loss/training", figures.training_loss),
                ("loss/validation", figures.validation_loss),
                ("learning_rate", figures.learning_rate),
                ("gradient_norm", figures.gradient_norm),
                ("jets_per_second", figures.jets_per_second),
            ):
                writer.add_scalar(name, value, figures.epoch)
            writer.flush()

        yield write
