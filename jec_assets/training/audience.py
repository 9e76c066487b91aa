"""Those who watch a training: the caller's reporter and TensorBoard.

Belongs here: who hears what. Does not belong here: how often (`progress.py`) and under which names (`scalars.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from jec_assets.models import group
from jec_assets.training.progress import Throttle
from jec_assets.training.scalars import open_curves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jec_assets.training.config import TrainingConfig
    from jec_assets.training.progress import Progress, Reporter
    from jec_assets.training.result import EpochFigures
    from jec_assets.training.scalars import Curves


class Audience:
    """A reporter and curves; either may be missing."""

    def __init__(self, reporter: Reporter | None, curves: Curves | None) -> None:
        self._report = reporter and Throttle(reporter)
        self._curves = curves
        self._latest: Progress | None = None

    def step(self, progress: Progress) -> None:
        """A step is done."""
        self._latest = progress
        self.still_alive()
        if self._curves is not None:
            self._curves.step(progress)

    def still_alive(self) -> None:
        """No step is done, but time passes."""
        if self._report is not None and self._latest is not None:
            self._report(self._latest)

    def epoch(self, figures: EpochFigures) -> None:
        """An epoch is done."""
        if self._curves is not None:
            self._curves.epoch(figures)

    def flush(self) -> None:
        """What was told so far shall outlast this process."""
        if self._curves is not None:
            self._curves.flush()


@contextmanager
def open_audience(reporter: Reporter, config: TrainingConfig, done: tuple[int, int]) -> Iterator[Audience]:
    """The audience of a training with so many epochs and steps done already; only the first process has one."""
    if group.rank() > 0:
        yield Audience(None, None)
        return
    with open_curves(config.scalars_folder, *done, config.scalars_copy) as curves:
        yield Audience(reporter, curves)
