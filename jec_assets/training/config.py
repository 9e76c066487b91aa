"""How one network is trained, declared.

Belongs here: every number that training depends on beside the jets and the network. Does not belong here: how the
numbers are chosen (`jec_assets.search`) and what training makes of them (`loop.py`). Imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from pathlib import Path

OptimizerName = Literal["AdaGrad", "Adam", "AdamW", "Ranger", "RMSProp"]
OPTIMIZERS: tuple[OptimizerName, ...] = get_args(OptimizerName)


@dataclass(frozen=True)
class TrainingConfig:
    """One training.

    learning_rate: the initial one, see `schedule.py`
    batch_size: jets a step, see `loader.batch_bounds`
    seed: of dropout and of the order of the jets
    threads: of torch's operators on the CPU; 0 leaves torch's own choice. Another number of threads sums in another
        order: results then differ in their last bits
    scalars_folder: where TensorBoard's event files go; None writes none
    """

    optimizer: OptimizerName
    learning_rate: float
    epochs: int
    batch_size: int
    seed: int
    threads: int = 0
    scalars_folder: Path | None = None

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(
                f"training needs at least one epoch and two jets a batch, got epochs={self.epochs}, "
                f"batch_size={self.batch_size}"
            )
