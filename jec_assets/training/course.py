"""Where a training stands: the epochs behind it, the one under way, the best weights so far.

Belongs here: what is summed up on the way, and that it can be kept and taken up again. Does not belong here: what moves
weights (`step.py`).
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from jec_assets.training.progress import Stopwatch
from jec_assets.training.result import EpochFigures, TrainingResult, best_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import Tensor

    from jec_assets.models.network import JetNetwork
    from jec_assets.training.step import Step, StepFigures


@dataclass
class EpochSums:
    """Sums over the steps of an epoch that are done.

    moved: steps whose gradient was finite, all but for float16. seconds: of training, without validation.
    """

    steps: int = 0
    jets: int = 0
    loss: float = 0.0
    moved: int = 0
    gradient_norm: float = 0.0
    learning_rate: float = 0.0
    seconds: float = 0.0

    def add(self, step: Step, figures: StepFigures, seconds: float) -> None:
        """Count a step, after so many seconds of the epoch."""
        self.steps += 1
        self.jets += step.batch.jets_in_step
        self.loss += step.batch.jets_in_step * figures.loss
        if math.isfinite(figures.gradient_norm):
            self.moved += 1
            self.gradient_norm += figures.gradient_norm
        self.learning_rate, self.seconds = step.learning_rate, seconds

    @property
    def jets_per_second(self) -> float:
        """The speed so far."""
        return self.jets / self.seconds

    def figures(self, epoch: int, validation_loss: float) -> EpochFigures:
        """The figures of the epoch, when all its steps are done."""
        return EpochFigures(
            epoch=epoch,
            training_loss=self.loss / self.jets,
            validation_loss=validation_loss,
            learning_rate=self.learning_rate,
            gradient_norm=self.gradient_norm / self.moved,
            jets_per_second=self.jets_per_second,
        )


@dataclass
class Course:
    """The whole of it; the clock began with the first of the runs that it took."""

    history: list[EpochFigures] = field(default_factory=list)
    sums: EpochSums = field(default_factory=EpochSums)
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    clock: Stopwatch = field(default_factory=Stopwatch)

    @property
    def epoch(self) -> int:
        """The epoch under way, from 1 on."""
        return len(self.history) + 1

    def position(self, steps_of: Callable[[int], int]) -> tuple[int, int]:
        """Epochs and steps that are done; `steps_of` an epoch."""
        epochs = len(self.history)
        return epochs, sum(steps_of(epoch) for epoch in range(1, epochs + 1)) + self.sums.steps

    def end_epoch(self, validation_loss: float, network: JetNetwork) -> EpochFigures:
        """Close the epoch under way; the network's weights are kept if they are the best so far."""
        figures = self.sums.figures(self.epoch, validation_loss)
        self.history.append(figures)
        self.sums = EpochSums()
        if best_of(self.history) is figures:
            self.best_weights = deepcopy(network.state_dict())
        return figures

    def result(self, device: torch.device) -> TrainingResult:
        """The course as others see it; at least one epoch."""
        best = best_of(self.history)
        return TrainingResult(best.epoch, best.validation_loss, tuple(self.history), str(device), self.clock.seconds())

    def state_dict(self) -> dict[str, Any]:
        """All of it, to be kept."""
        return {
            "history": [asdict(figures) for figures in self.history],
            "sums": asdict(self.sums),
            "best_weights": self.best_weights,
            "seconds": self.clock.seconds(),
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> Course:
        """The inverse of `state_dict`."""
        history = [EpochFigures(**figures) for figures in state["history"]]
        return cls(history, EpochSums(**state["sums"]), state["best_weights"], Stopwatch(state["seconds"]))
