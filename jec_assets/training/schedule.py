"""The learning rate at each step, as closed formulas of where the training stands.

Belongs here: the schedules. Does not belong here: handing a rate to an optimizer (`optimizers.py`).

A schedule has no state: the step tells the rate, in a training that was interrupted too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from jec_assets.training.config import ScheduleName

FINAL_FRACTION = 0.01
DECAYING_TENTHS = 3  # of all epochs

# Of one cycle: torch's defaults.
RISING_SHARE = 0.3
START_FRACTION = 1 / 25
END_FRACTION = START_FRACTION / 1e4


@dataclass(frozen=True)
class Moment:
    """A step of a training: `step` of `steps` in `epoch` of `epochs`, all counted from 1."""

    epoch: int
    epochs: int
    step: int
    steps: int

    @property
    def number(self) -> int:
        """The step, counted from 1 over all epochs."""
        return (self.epoch - 1) * self.steps + self.step

    @property
    def elapsed(self) -> float:
        """The share of the steps that lie behind: 0 at the first step, 1 at the last."""
        return (self.number - 1) / max(self.epochs * self.steps - 1, 1)


def learning_rate(schedule: ScheduleName, rate: float, moment: Moment) -> float:
    """The rate of a step, from that of the training.

    >>> [learning_rate("flat_decay", 1.0, Moment(epoch, 7, 1, 100)) for epoch in (1, 5, 6, 7)]
    [1.0, 1.0, 0.1, 0.01]
    """
    formulas: dict[ScheduleName, Callable[[Moment], float]] = {
        "flat_decay": _flat_decay,
        "cosine": _cosine,
        "one_cycle": _one_cycle,
        "constant": lambda _: 1.0,
    }
    return rate * formulas[schedule](moment)


def decaying_epochs(epochs: int) -> int:
    """How many epochs at the end have a falling rate: 30 %, rounded down; at least one, but never the first."""
    return min(max(epochs * DECAYING_TENTHS // 10, 1), epochs - 1)


def _flat_decay(moment: Moment) -> float:
    """Constant, then falling exponentially from epoch to epoch; the last of several has 1 %.

    Source: paper, Section 4.1: "After 70% of epochs, 35 in this case, a scheduler starts decreasing the learning rate
    exponentially on a per-epoch basis down to 1% of the initial value at the end of training."
    """
    decaying = decaying_epochs(moment.epochs)
    decayed = max(0, moment.epoch - (moment.epochs - decaying))
    return math.pow(FINAL_FRACTION, decayed / max(decaying, 1))


def _cosine(moment: Moment) -> float:
    """Half a cosine down to 1 %, step by step.

    Source: I. Loshchilov, F. Hutter, SGDR, arXiv:1608.03983, Eq. 5, without restarts.
    """
    return _between(1.0, FINAL_FRACTION, moment.elapsed)


def _one_cycle(moment: Moment) -> float:
    """Half a cosine from 1/25 up to the rate in the first 30 % of the steps, then one down to 1/250,000.

    Source: L. N. Smith, N. Topin, Super-Convergence, arXiv:1708.07120, as torch's OneCycleLR with its defaults, but
    without cycling the momentum, which not every optimizer has.
    """
    peak = (RISING_SHARE * moment.epochs * moment.steps - 1) / max(moment.epochs * moment.steps - 1, 1)
    if moment.elapsed <= peak:
        return _between(START_FRACTION, 1.0, moment.elapsed / peak if peak > 0 else 1.0)
    return _between(1.0, END_FRACTION, (moment.elapsed - peak) / (1 - peak))


def _between(start: float, end: float, share: float) -> float:
    """Half a cosine from start to end."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
