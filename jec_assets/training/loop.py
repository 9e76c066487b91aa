"""The training loop: epochs over shuffled jets, the best epoch kept, and a checkpoint to go on from.

Belongs here: what happens in which order. Does not belong here: the parts (batches, steps, validation, checkpoints,
curves), each in a module of its own, and what a trial's record holds (`jec_assets.search.record`).
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.models import group
from jec_assets.models.inputs import Standardization
from jec_assets.models.prediction import choose_device
from jec_assets.training.audience import Audience, open_audience
from jec_assets.training.checkpoint import Checkpoints
from jec_assets.training.config import TrainingConfigError, output_names
from jec_assets.training.course import Course
from jec_assets.training.divergence import features_fault, step_fault
from jec_assets.training.faults import (
    BrokenJetsError,
    NotFiniteError,
    TooFewJetsError,
    TrainingDivergedError,
    memory_faults,
)
from jec_assets.training.loader import ShuffledBatches
from jec_assets.training.progress import Progress, Stopwatch
from jec_assets.training.reproducible import deterministic, random_states, seeded, set_random_states, threads
from jec_assets.training.result import is_over
from jec_assets.training.schedule import Moment
from jec_assets.training.step import Step, Stepper
from jec_assets.training.validation import validation_loss
from jec_assets.training.weighting import batch_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from jec_assets.jets.labels import LabeledJets
    from jec_assets.models.network import JetNetwork
    from jec_assets.training.config import TrainingConfig
    from jec_assets.training.progress import Reporter
    from jec_assets.training.result import TrainingResult


def train(
    network: JetNetwork,
    training: LabeledJets,
    validation: LabeledJets,
    config: TrainingConfig,
    reporter: Reporter,
) -> TrainingResult:
    """Train the network in place; it ends on the CPU, in evaluation mode, with the weights of its best epoch.

    The best epoch is the one with the lowest validation loss, the earliest of equal ones. Standardization is fitted to
    the training jets first. The reporter is called after the first step and then every few seconds. A training that
    was killed goes on from its checkpoint, and on the CPU ends with the same bits.

    In a group of processes all of them call it alike and end with the same weights; only the first reports and writes.

    Raises `TooFewJetsError` for fewer than two training jets or no validation jet, `BrokenJetsError` for features that
    are no numbers, `TrainingConfigError` for a network with other outputs than its loss wants, `TrainingDivergedError`
    for a loss or gradient that is not finite, `TrainingMemoryError` where the device's memory does not suffice. Errors
    about jets have their ids.
    """
    _check(network, training, validation, config)
    device = choose_device()
    with _surroundings(config):
        network.set_standardization(_standardization(training))
        batches = ShuffledBatches(training, batch_plan(config, training.labels), device)
        stepper = Stepper(network.to(device), config, device)
        checkpoints = Checkpoints(config.checkpoints, _circumstances(config, stepper, device))
        course = _begun(checkpoints, stepper, device)
        with open_audience(reporter, config, course.position(batches.steps)) as audience:
            loop = _Loop(config, stepper, course, checkpoints, audience, device)
            while not is_over(course.history, config.epochs, config.patience):
                loop.train_epoch(batches, training)
                loop.end_epoch(validation)
    network.load_state_dict(course.best_weights)
    network.cpu().eval()
    return course.result(device)


@dataclass(frozen=True)
class _Loop:
    """A training under way."""

    config: TrainingConfig
    stepper: Stepper
    course: Course
    checkpoints: Checkpoints
    audience: Audience
    device: torch.device

    def train_epoch(self, batches: ShuffledBatches, jets: LabeledJets) -> None:
        """Take the steps that the epoch under way still lacks."""
        epoch, done = self.course.epoch, self.course.sums.steps
        steps = batches.steps(epoch)
        clock = Stopwatch(self.course.sums.seconds)
        # A GPU's figures are read when its next step is under way, so that it never waits for the CPU.
        ahead = 1 if self.device.type == "cuda" else 0
        under_way: deque[Step] = deque()
        for number, batch in enumerate(batches.epoch(epoch, done), done + 1):
            moment = Moment(epoch, self.config.epochs, number, steps)
            under_way.append(self.stepper.take(batch, moment, self.checkpoints.due()))
            if len(under_way) > ahead and self._settle(under_way.popleft(), jets, clock):
                while under_way:
                    self._settle(under_way.popleft(), jets, clock)
                self._keep()
        while under_way:
            self._settle(under_way.popleft(), jets, clock)

    def end_epoch(self, validation: LabeledJets) -> None:
        """Validate the weights that the epoch ends with, keep them if they are the best, and keep where we are."""
        if not self.course.sums.moved:
            raise self._diverged("no step had a finite gradient")
        network, alive = self.stepper.evaluated, self.audience.still_alive
        try:
            loss = validation_loss(network, validation, self.config.batch_size, alive)
        except NotFiniteError as error:
            raise self._diverged(str(error)) from error
        self.audience.epoch(self.course.end_epoch(loss, network))
        self._keep()

    def _settle(self, step: Step, jets: LabeledJets, clock: Stopwatch) -> bool:
        """Account for a step; whether a checkpoint is wanted after it."""
        figures, moment = step.figures(), step.moment
        if not (math.isfinite(figures.loss) and (math.isfinite(figures.gradient_norm) or self.stepper.may_overflow)):
            raise self._diverged(
                f"step {moment.step}: loss {figures.loss}, norm of the gradient {figures.gradient_norm}; "
                f"{step_fault(step, jets.labels)}"
            )
        sums = self.course.sums
        sums.add(step, figures, clock.seconds())
        self.audience.step(
            Progress(
                moment.epoch,
                moment.epochs,
                moment.step,
                moment.steps,
                loss=figures.loss,
                learning_rate=step.learning_rate,
                gradient_norm=figures.gradient_norm,
                jets_per_second=sums.jets_per_second,
            )
        )
        return figures.checkpoint

    def _keep(self) -> None:
        """Write a checkpoint; all processes together, since each has random numbers of its own."""
        if not self.checkpoints.kept:
            return
        self.audience.flush()
        self.checkpoints.write(
            {
                "weights": self.stepper.state_dict(),
                "course": self.course.state_dict(),
                "random": random_states(self.device),
            }
        )

    def _diverged(self, what: str) -> TrainingDivergedError:
        plan = self.config.optimization
        return TrainingDivergedError(
            f"epoch {self.course.epoch}, {what}; with {plan.optimizer} at a learning rate of {plan.learning_rate:.3g}: "
            "lower it, unless a jet's features or target are to blame"
        )


def _begun(checkpoints: Checkpoints, stepper: Stepper, device: torch.device) -> Course:
    """The beginning, or where the checkpoint says."""
    state = checkpoints.read()
    if state is None:
        return Course()
    stepper.load_state_dict(state["weights"])
    set_random_states(state["random"], device)
    return Course.from_state_dict(state["course"])


def _check(network: JetNetwork, training: LabeledJets, validation: LabeledJets, config: TrainingConfig) -> None:
    if len(training) < 2 or len(validation) == 0:
        raise TooFewJetsError(
            f"training needs at least two jets and a validation jet, got {len(training)} and {len(validation)}: add "
            "files or loosen the selection"
        )
    outputs = output_names(config.loss)
    if network.outputs != len(outputs):
        raise TrainingConfigError(
            f"the loss {config.loss!r} is that of a network with the outputs {', '.join(outputs)}, not of one with "
            f"{network.outputs}: build it with outputs={len(outputs)}"
        )


def _standardization(training: LabeledJets) -> Standardization:
    standardization = Standardization.fit(training.packed)
    if not all(np.isfinite(constants).all() for constants in vars(standardization).values()):
        raise BrokenJetsError(f"{features_fault(training)}; filter the jets again")
    return standardization


@contextmanager
def _surroundings(config: TrainingConfig) -> Iterator[None]:
    with ExitStack() as stack:
        stack.enter_context(memory_faults(config.batch_size))
        stack.enter_context(threads(config.computation.threads))
        stack.enter_context(deterministic(config.computation.deterministic))
        stack.enter_context(seeded(config.seed + group.rank()))  # each process drops out units of its own
        yield


def _circumstances(config: TrainingConfig, stepper: Stepper, device: torch.device) -> dict[str, object]:
    """What a checkpoint must have in common with a training beside jets, network and code."""
    return {
        "config": config.decisive(),
        "processes": group.size(),
        "device": device.type,
        "precision": str(stepper.dtype),
    }
