"""The learning rate: constant, then falling exponentially.

Source: paper, Section 4.1: "After 70% of epochs, 35 in this case, a scheduler starts decreasing the learning rate
exponentially on a per-epoch basis down to 1% of the initial value at the end of training."
"""

from __future__ import annotations

import math

FINAL_FRACTION = 0.01
DECAYING_TENTHS = 3  # of all epochs


def decaying_epochs(epochs: int) -> int:
    """How many epochs at the end have a falling rate: 30 %, rounded down; at least one, but never the first."""
    return min(max(epochs * DECAYING_TENTHS // 10, 1), epochs - 1)


def learning_rate(initial: float, epoch: int, epochs: int) -> float:
    """The rate of an epoch, counted from 1 to `epochs`; the last of several has 1 % of the initial rate.

    >>> [learning_rate(1.0, epoch, 7) for epoch in (1, 5, 6, 7)]
    [1.0, 1.0, 0.1, 0.01]
    """
    decaying = decaying_epochs(epochs)
    decayed = max(0, epoch - (epochs - decaying))
    return initial * math.pow(FINAL_FRACTION, decayed / max(decaying, 1))
