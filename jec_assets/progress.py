"""How far a command is: a bar in a terminal, a line every few seconds in a log.

Belongs here: showing progress to whoever runs a command. Does not belong here: measuring it, which is the library's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from rich.console import Console

    from jec_assets.training.progress import Progress as TrainingProgress

SECONDS_BETWEEN_LINES = 5.0


class _Bars:
    """Bars in a terminal while a block runs; nothing where nobody watches one."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._console = console
        self._bars = Progress(*columns, console=console, disable=not console.is_terminal)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


class StageBars(_Bars):
    """A bar per named stage; where nobody watches a terminal, a line per stage at most every few seconds."""

    def __init__(self, console: Console) -> None:
        description = TextColumn("{task.description:>10}")
        super().__init__(console, description, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._tasks: dict[str, TaskID] = {}
        self._last_line = 0.0

    def update(self, done: int, total: int, stage: str) -> None:
        """Show that `done` of `total` are done in a stage."""
        if not self._console.is_terminal:
            self._line(done, total, stage)
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total)
        self._bars.update(self._tasks[stage], completed=done)

    def _line(self, done: int, total: int, stage: str) -> None:
        now = time.monotonic()
        if done >= total or now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._console.print(f"{stage}: {done} of {total}", highlight=False)


class TrainingBars(_Bars):
    """A bar per training, over all its epochs, with the latest loss and speed; without a terminal a line per report.

    Hand `reporter("PFN trial 007")` to `jec_assets.training.loop.train`, which says how far it is every few seconds.
    """

    def __init__(self, console: Console) -> None:
        description, figures = TextColumn("{task.description}"), TextColumn("{task.fields[figures]}")
        super().__init__(console, description, BarColumn(), figures, TimeRemainingColumn())

    def reporter(self, label: str) -> Callable[[TrainingProgress], None]:
        """What a training is to call; its bar appears with the first call."""
        task: TaskID | None = None

        def report(progress: TrainingProgress) -> None:
            nonlocal task
            if not self._console.is_terminal:
                self._console.print(f"{label}: {progress}", highlight=False)
                return
            epoch = f"epoch {progress.epoch}/{progress.epochs}"
            figures = f"{epoch}, loss {progress.loss:.4f}, {progress.jets_per_second:,.0f} jets/s"
            if task is None:
                task = self._bars.add_task(label, total=progress.epochs * progress.steps, figures=figures)
            self._bars.update(task, completed=progress.number, figures=figures)

        return report
