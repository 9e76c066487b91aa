"""What can go wrong in a training without anybody's bug.

Belongs here: the errors that say that these hyperparameters, on these jets, cannot be trained. The search turns a
`TrainingFaultError` into the record of a failed trial; every other exception is a bug and propagates.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class TooFewJetsError(ValueError):
    """A split holds fewer jets than training needs."""


class BrokenJetsError(ValueError):
    """Training jets whose features are no numbers; the message names them."""


class TrainingFaultError(Exception):
    """The hyperparameters cannot be trained; the message says why and what to change."""


class TrainingDivergedError(TrainingFaultError):
    """A loss or a gradient is not finite; the message says when, and of which jets."""


class NotFiniteError(ArithmeticError):
    """A number that is NaN or infinite, and where it comes from."""


class TrainingMemoryError(TrainingFaultError):
    """The network with its batch does not fit into the device's memory."""


@contextmanager
def memory_faults(batch_size: int) -> Iterator[None]:
    """Raise `TrainingMemoryError` where torch cannot allocate, on the GPU or on the CPU."""
    import torch

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError | torch.OutOfMemoryError) or _is_cpu_allocation(error)):
            raise
        raise TrainingMemoryError(
            f"out of memory with {batch_size} jets a batch: lower the batch size (JEC_BATCH_SIZE)"
        ) from error


def _is_cpu_allocation(error: Exception) -> bool:
    # torch has no exception class for this one: its allocator's message is all that tells it apart.
    return "DefaultCPUAllocator: can't allocate memory" in str(error)
