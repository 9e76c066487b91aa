"""How one network is trained, declared.

Belongs here: every choice that training depends on beside the jets and the network, with the paper's as defaults.
Does not belong here: how they are chosen (`jec_assets.search`) and what training makes of them (`loop.py`). Imports no
torch.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from jec_assets.models.outputs import CALIBRATION, QUANTILES

if TYPE_CHECKING:
    from pathlib import Path

    from jec_assets.storage import Storage

OptimizerName = Literal["AdaGrad", "Adam", "AdamW", "Ranger", "RMSProp"]
ScheduleName = Literal["flat_decay", "cosine", "one_cycle", "constant"]
LossName = Literal["absolute", "quantile", "huber", "log_cosh"]
WeightingName = Literal["none", "event_weights", "flat_weights", "flat_sampling"]
PrecisionName = Literal["auto", "float32", "bfloat16", "float16"]
OPTIMIZERS: tuple[OptimizerName, ...] = get_args(OptimizerName)
SCHEDULES: tuple[ScheduleName, ...] = get_args(ScheduleName)
LOSSES: tuple[LossName, ...] = get_args(LossName)
WEIGHTINGS: tuple[WeightingName, ...] = get_args(WeightingName)
PRECISIONS: tuple[PrecisionName, ...] = get_args(PrecisionName)

# Jets whose |target| is this or more carry no loss, whatever the loss (paper, Eq. 1).
MAX_ABS_TARGET = 1.0


class TrainingConfigError(ValueError):
    """A training that cannot be; the message names the field and what it may be."""


@dataclass(frozen=True)
class Optimization:
    """How a gradient moves the weights.

    optimizer: see `optimizers.py`
    learning_rate: the schedule's, see `schedule.py`: of its beginning, or of its peak for `one_cycle`
    schedule: what the rate is at a step
    clip_norm: gradients longer than this (over all weights) are shortened to it; None clips nothing
    average_decay: weights that are validated and kept are an exponential moving average with this decay a step, see
        `averaging.py`; None averages nothing
    """

    optimizer: OptimizerName
    learning_rate: float
    schedule: ScheduleName = "flat_decay"
    clip_norm: float | None = None
    average_decay: float | None = None

    def __post_init__(self) -> None:
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("schedule", self.schedule, SCHEDULES)
        _require("learning_rate", self.learning_rate, _positive(self.learning_rate), "a positive number")
        if self.clip_norm is not None:
            _require("clip_norm", self.clip_norm, _positive(self.clip_norm), "a positive number, or None not to clip")
        if self.average_decay is not None:
            inside = 0 < self.average_decay < 1
            _require("average_decay", self.average_decay, inside, "between 0 and 1 (0.999), or None not to average")


@dataclass(frozen=True)
class Computation:
    """How it is computed; results differ in their last bits only.

    threads: of torch's operators on the CPU; 0 leaves torch's own choice
    precision: of the network's products in training, see `precision.py`; `auto` goes by the device
    deterministic: refuse operators whose sums have no fixed order; on a GPU slower, on the CPU all are deterministic
    loading_threads: gather batches ahead, see `loader.BatchPlan`; 0 gathers them when they are asked for
    """

    threads: int = 0
    precision: PrecisionName = "auto"
    deterministic: bool = False
    loading_threads: int = 0

    def __post_init__(self) -> None:
        _one_of("precision", self.precision, PRECISIONS)
        _require("loading_threads", self.loading_threads, self.loading_threads >= 0, "0 or more")
        _require("threads", self.threads, self.threads >= 0, "0 (torch's choice) or more")


@dataclass(frozen=True)
class Checkpointing:
    """Where an unfinished training is kept, see `checkpoint.py`.

    digest: of whatever decides the training's outcome (jets, network, code); a checkpoint of another one is not used
    seconds: between two checkpoints within an epoch; each epoch ends with one. Time decides only what is kept
    """

    storage: Storage
    key: str
    digest: str
    seconds: float = 30.0

    def __post_init__(self) -> None:
        _require("seconds", self.seconds, self.seconds >= 0, "0 (a checkpoint every step) or more")


@dataclass(frozen=True)
class CurvesCopy:
    """Where TensorBoard's event files are copied to as a training goes on, so that they outlast its machine."""

    storage: Storage
    prefix: str


@dataclass(frozen=True)
class TrainingConfig:
    """One training.

    epochs: how often each jet is seen
    batch_size: jets a step, over all processes, see `loader.py`
    seed: of dropout and of the order of the jets
    loss: what is minimized, see `losses.py`; a network for `quantile` has three outputs, see `output_names`
    weighting: how much each jet counts in training, see `weighting.py`; in validation all count the same
    patience: end after so many epochs without a lower validation loss; None never does
    scalars_folder: where TensorBoard's event files go; None writes none
    scalars_copy: where they go beside; None: nowhere
    checkpoints: where to keep what a killed training goes on from; None keeps nothing
    """

    optimization: Optimization
    epochs: int
    batch_size: int
    seed: int
    loss: LossName = "absolute"
    weighting: WeightingName = "none"
    patience: int | None = None
    computation: Computation = field(default_factory=Computation)
    scalars_folder: Path | None = None
    scalars_copy: CurvesCopy | None = None
    checkpoints: Checkpointing | None = None

    def __post_init__(self) -> None:
        _one_of("loss", self.loss, LOSSES)
        _one_of("weighting", self.weighting, WEIGHTINGS)
        _require("epochs", self.epochs, self.epochs >= 1, "1 or more")
        _require("batch_size", self.batch_size, self.batch_size >= 2, "2 or more")
        if self.patience is not None:
            _require("patience", self.patience, self.patience >= 1, "1 or more, or None to train all epochs")

    def decisive(self) -> dict[str, Any]:
        """What decides the outcome beyond rounding, as plain values."""
        names = ("epochs", "batch_size", "seed", "loss", "weighting", "patience")
        return asdict(self.optimization) | {name: getattr(self, name) for name in names}


def output_names(loss: LossName) -> tuple[str, ...]:
    """The outputs of a network that is trained with this loss."""
    return QUANTILES if loss == "quantile" else CALIBRATION


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    _require(name, value, value in allowed, f"one of {', '.join(allowed)}")


def _require(name: str, value: object, holds: bool, allowed: str) -> None:
    if not holds:
        raise TrainingConfigError(f"{name} of a training must be {allowed}, not {value!r}")


def _positive(value: float) -> bool:
    return 0 < value < math.inf
