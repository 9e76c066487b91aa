"""The training loop: epochs over shuffled jets, the best epoch kept.

Belongs here: what happens in which order. Does not belong here: the parts (batches, loss, optimizers, schedule,
reports), each in a module of its own, and what a trial's record holds (`jec_assets.search.record`).

Gradients are not clipped and weights are not averaged, as in the paper (Section 4.1).
"""

from __future__ import annotations

import math
import time
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.utils import get_total_norm

from jec_assets.models.inputs import Standardization
from jec_assets.models.prediction import predict
from jec_assets.training.faults import TooFewJetsError, TrainingDivergedError, memory_faults
from jec_assets.training.loader import Batch, ShuffledBatches, choose_device
from jec_assets.training.losses import calibration_loss
from jec_assets.training.optimizers import make_optimizer, set_learning_rate
from jec_assets.training.progress import Progress, Reporter, Throttle
from jec_assets.training.reproducible import seeded, threads
from jec_assets.training.result import EpochFigures, TrainingResult
from jec_assets.training.scalars import scalar_writer
from jec_assets.training.schedule import learning_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from jec_assets.jets.packed import PackedJets
    from jec_assets.models.network import JetNetwork
    from jec_assets.training.config import TrainingConfig

# Validation jets are predicted in slices of so many batches, so that there is progress to report in between.
BATCHES_PER_SLICE = 32


def train(
    network: JetNetwork,
    training: PackedJets,
    validation: PackedJets,
    config: TrainingConfig,
    reporter: Reporter,
) -> TrainingResult:
    """Train the network in place; it ends on the CPU, in evaluation mode, with the weights of its best epoch.

    The best epoch is the one with the lowest validation loss, the earliest of equal ones. Standardization is fitted to
    the training jets first. The reporter is called after the first step and then every few seconds.

    Raises `TooFewJetsError` for fewer than two training jets or no validation jet, `TrainingDivergedError` for a loss
    or gradient that is not finite, `TrainingMemoryError` where the device's memory does not suffice.
    """
    if len(validation) == 0:
        raise TooFewJetsError("training needs validation jets, got none: add files or loosen the selection")
    start = time.perf_counter()
    device = choose_device()
    batches = ShuffledBatches(training, config.batch_size, config.seed, device)
    with seeded(config.seed), threads(config.threads), memory_faults(config.batch_size):
        network.set_standardization(Standardization.fit(training))
        best, history = _Loop(network.to(device), batches, config).run(validation, Throttle(reporter))
    return TrainingResult(best.epoch, best.validation_loss, history, str(device), time.perf_counter() - start)


class _Loop:
    """A training under way: the network, its batches, and what updates it."""

    def __init__(self, network: JetNetwork, batches: ShuffledBatches, config: TrainingConfig) -> None:
        self._network = network
        self._batches = batches
        self._config = config
        self._optimizer = make_optimizer(config.optimizer, network.parameters(), config.learning_rate)

    def run(self, validation: PackedJets, report: Reporter) -> tuple[EpochFigures, tuple[EpochFigures, ...]]:
        """All epochs; the best one and the history."""
        history: list[EpochFigures] = []
        with scalar_writer(self._config.scalars_folder) as write:
            for epoch in range(1, self._config.epochs + 1):
                history.append(self._run_epoch(epoch, validation, report))
                write(history[-1])
                best = min(history, key=lambda figures: figures.validation_loss)
                if best is history[-1]:
                    weights = deepcopy(self._network.state_dict())
        self._network.load_state_dict(weights)
        self._network.cpu().eval()
        return best, tuple(history)

    def _run_epoch(self, epoch: int, validation: PackedJets, report: Reporter) -> EpochFigures:
        """Train on every jet once, then look at the validation jets."""
        rate = learning_rate(self._config.learning_rate, epoch, self._config.epochs)
        set_learning_rate(self._optimizer, rate)
        sizes, losses, norms = [], [], []
        start = time.perf_counter()
        for step, batch in enumerate(self._batches.epoch(epoch), start=1):
            loss, norm = self._differentiate(batch)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise self._diverged(f"loss {loss}, norm of the gradient {norm}, in epoch {epoch}, step {step}")
            self._optimizer.step()
            progress = Progress(epoch, self._config.epochs, step, len(self._batches), loss)
            report(progress)
            sizes.append(len(batch))
            losses.append(loss)
            norms.append(norm)
        seconds = time.perf_counter() - start
        validation_loss = self._validate(validation, lambda: report(progress))
        if not math.isfinite(validation_loss):
            raise self._diverged(f"validation loss {validation_loss} after epoch {epoch}")
        return EpochFigures(
            epoch=epoch,
            training_loss=float(np.average(losses, weights=sizes)),
            validation_loss=validation_loss,
            learning_rate=rate,
            gradient_norm=float(np.mean(norms)),
            jets_per_second=sum(sizes) / seconds,
        )

    def _differentiate(self, batch: Batch) -> tuple[float, float]:
        """Leave the batch's gradient in the weights; its loss, and the norm of the gradient over all weights."""
        self._network.train()
        self._optimizer.zero_grad()
        loss = calibration_loss(self._network(batch.particles, batch.offsets, batch.jets)[:, 0], batch.target)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = get_total_norm([weight.grad for weight in self._network.parameters() if weight.grad is not None])
        return loss.item(), norm.item()

    def _validate(self, validation: PackedJets, still_alive: Callable[[], None]) -> float:
        """The loss on the validation jets, in evaluation mode; `still_alive` is called in between."""
        jets_per_slice = self._config.batch_size * BATCHES_PER_SLICE
        predictions: list[Tensor] = []
        for start in range(0, len(validation), jets_per_slice):
            jets = validation.slice(start, start + jets_per_slice)
            predictions.append(torch.from_numpy(predict(self._network, jets, self._config.batch_size)))
            still_alive()
        return calibration_loss(torch.cat(predictions), torch.tensor(validation.target)).item()

    def _diverged(self, what: str) -> TrainingDivergedError:
        return TrainingDivergedError(
            f"{what}, with {self._config.optimizer} at a learning rate of {self._config.learning_rate:.3g}: lower it"
        )
