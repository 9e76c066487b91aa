"""What a training says about itself.

Belongs here: the figures of each epoch and of the whole. Does not belong here: the weights, which stay in the network.
Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochFigures:
    """One epoch, counted from 1. Losses are `losses.calibration_loss` over all jets of a split.

    training_loss is the mean over the epoch's batches while the weights move and dropout is on; validation_loss is
    that of the weights at the epoch's end. gradient_norm is the mean over the steps. jets_per_second counts training
    alone.
    """

    epoch: int
    training_loss: float
    validation_loss: float
    learning_rate: float
    gradient_norm: float
    jets_per_second: float


@dataclass(frozen=True)
class TrainingResult:
    """A finished training: the epoch whose weights the network now has, and every epoch's figures."""

    best_epoch: int
    best_validation_loss: float
    history: tuple[EpochFigures, ...]
    device: str
    seconds: float
