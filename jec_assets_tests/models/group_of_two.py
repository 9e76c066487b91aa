"""Two processes joined by torch.distributed, which compute something together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch

from jec_assets.pools import worker_pool

Part = TypeVar("Part")
Result = TypeVar("Result")
PATIENCE = timedelta(seconds=60)  # a process that waits for the other in vain fails


class GroupOfTwo:
    """See `group_of_two`."""

    def __init__(self, executors: Sequence[ProcessPoolExecutor]) -> None:
        self._executors = executors

    def run(self, compute: Callable[[Part], Result], parts: tuple[Part, Part]) -> list[Result]:
        """`compute(part)` in each process at the same time."""
        futures = [executor.submit(compute, part) for executor, part in zip(self._executors, parts, strict=True)]
        return [future.result() for future in futures]


@contextmanager
def group_of_two(meeting_place: Path) -> Iterator[GroupOfTwo]:
    """Two processes that end with the block; they find each other by a file that doesn't exist yet."""
    with ExitStack() as stack:
        executors = [stack.enter_context(worker_pool(1, _join, str(meeting_place), rank)) for rank in range(2)]
        yield GroupOfTwo(executors)


def _join(meeting_place: str, rank: int) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting_place}", rank=rank, world_size=2, timeout=PATIENCE
    )
