"""One step of a training: a batch's gradient, and the weights moved by it.

Belongs here: everything that changes weights. Does not belong here: the order of steps, and what is made of their
figures (`loop.py`).

The loss of a step is sum_i w_i l_i / n over the n jets of all processes. Each process computes the part of its own
jets; the gradients are summed in one pass, so that n processes move their weights as one with the joined batch would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from jec_assets.models import group
from jec_assets.training.averaging import AveragedNetwork
from jec_assets.training.losses import jet_losses
from jec_assets.training.optimizers import make_optimizer, set_learning_rate
from jec_assets.training.precision import MixedPrecision
from jec_assets.training.schedule import Moment, learning_rate

if TYPE_CHECKING:
    from torch import Tensor

    from jec_assets.models.network import JetNetwork
    from jec_assets.training.config import TrainingConfig
    from jec_assets.training.loader import Batch


@dataclass(frozen=True)
class StepFigures:
    """What a step came to: the loss of all processes' jets, the length of its gradient before clipping.

    checkpoint: whether a process asked for one after this step; the same in every process.
    """

    loss: float
    gradient_norm: float
    checkpoint: bool


class Step:
    """A step that was taken, whose figures may still be on their way from the device."""

    def __init__(self, moment: Moment, rate: float, batch: Batch, outputs: Tensor, figures: Tensor) -> None:
        self.moment, self.learning_rate, self.batch, self.outputs = moment, rate, batch, outputs
        self._figures = figures.to("cpu", non_blocking=True)
        self._arrived = torch.cuda.Event() if figures.is_cuda else None  # type: ignore[no-untyped-call]
        if self._arrived is not None:
            self._arrived.record()

    def figures(self) -> StepFigures:
        """The figures; waits for them."""
        if self._arrived is not None:
            self._arrived.synchronize()
        loss, norm, wanted = self._figures.tolist()
        return StepFigures(loss, norm, wanted > 0)


class Stepper:
    """A network in training, with all that moves its weights.

    `evaluated` is the network to validate and keep: the average of the weights where they are averaged.
    """

    def __init__(self, network: JetNetwork, config: TrainingConfig, device: torch.device) -> None:
        plan = config.optimization
        self._network, self._plan, self._loss = network, plan, config.loss
        self._weights = [weight for weight in network.parameters() if weight.requires_grad]
        self._optimizer = make_optimizer(plan.optimizer, self._weights, plan.learning_rate)
        self._average = None if plan.average_decay is None else AveragedNetwork(network, plan.average_decay)
        self._precision = MixedPrecision(config.computation.precision, device)

    @property
    def evaluated(self) -> JetNetwork:
        """See the class."""
        return self._network if self._average is None else self._average.network

    @property
    def dtype(self) -> torch.dtype:
        """In which numbers the network's products are computed."""
        return self._precision.dtype

    @property
    def may_overflow(self) -> bool:
        """Whether a gradient that is not finite is a step left out, rather than the training's end."""
        return self._precision.leaves_out_steps

    def take(self, batch: Batch, moment: Moment, checkpoint: bool) -> Step:
        """Move the weights; `checkpoint` is this process's wish for one."""
        rate = learning_rate(self._plan.schedule, self._plan.learning_rate, moment)
        set_learning_rate(self._optimizer, rate)
        self._optimizer.zero_grad()
        with self._precision.autocast():
            outputs = self._network(batch.particles, batch.offsets, batch.jets).float()
        loss = (batch.weight * jet_losses(self._loss, outputs, batch.target)).sum() / batch.jets_in_step
        self._precision.backward(loss)
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        loss, wanted = _summed(gradients, loss.detach(), checkpoint)
        self._precision.unscale(self._optimizer)
        norm = get_total_norm(gradients)
        if self._plan.clip_norm is not None:
            clip_grads_with_norm_(self._weights, self._plan.clip_norm, norm)
        self._precision.step(self._optimizer)
        if self._average is not None:
            self._average.update_parameters(self._network)
        return Step(moment, rate, batch, outputs.detach(), torch.stack([loss, norm, wanted]))

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, beside the batch and the random numbers."""
        return {
            "network": self._network.state_dict(),
            "average": None if self._average is None else self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._precision.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._network.load_state_dict(state["network"])
        if self._average is not None:
            self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._precision.load_state_dict(state["scaler"])


def _summed(gradients: list[Tensor], loss: Tensor, checkpoint: bool) -> tuple[Tensor, Tensor]:
    """Sum the gradients over the processes in place; the summed loss and wishes. All travel as one vector."""
    wanted = loss.new_full((), float(checkpoint))
    if group.size() == 1:
        return loss, wanted
    parts = [*gradients, loss, wanted]
    summed = group.sum_over_processes(nn.utils.parameters_to_vector(parts))
    pieces = torch.split(summed, [part.numel() for part in parts])
    for gradient, piece in zip(gradients, pieces, strict=False):
        gradient.copy_(piece.view_as(gradient))
    return pieces[-2][0], pieces[-1][0]
