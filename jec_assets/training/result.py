"""What a training says about itself.

Belongs here: the figures of each epoch and of the whole. Does not belong here: the weights, which stay in the network.
Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class EpochFigures:
    """One epoch, counted from 1.

    training_loss is what is minimized, the mean over the epoch's jets while the weights move and dropout is on.
    validation_loss is `losses.calibration_loss` of the prediction, whatever is minimized, for the weights (averaged,
    where they are) at the epoch's end. learning_rate is that of the last step, gradient_norm the mean over the steps
    before clipping. jets_per_second counts training alone.
    """

    epoch: int
    training_loss: float
    validation_loss: float
    learning_rate: float
    gradient_norm: float
    jets_per_second: float


@dataclass(frozen=True)
class TrainingResult:
    """A finished training: the epoch whose weights the network now has, and every epoch's figures.

    seconds: of all runs that it took, up to the checkpoints that they ended with.
    """

    best_epoch: int
    best_validation_loss: float
    history: tuple[EpochFigures, ...]
    device: str
    seconds: float


def best_of(history: Sequence[EpochFigures]) -> EpochFigures:
    """The epoch with the lowest validation loss, the earliest of equal ones; at least one."""
    return min(history, key=lambda figures: figures.validation_loss)


def is_over(history: Sequence[EpochFigures], epochs: int, patience: int | None) -> bool:
    """Whether all epochs are done, or `patience` of them brought nothing lower."""
    if len(history) == epochs:
        return True
    return bool(history) and patience is not None and len(history) - best_of(history).epoch >= patience
