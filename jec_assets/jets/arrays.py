"""Arrays in files that may be larger than memory: written piece by piece, mapped, and let go again.

Belongs here: NumPy's .npy files, and what the system is told about the pages of a mapped one. Does not belong here:
what the arrays mean (`cache.py`).
"""

from __future__ import annotations

import math
import mmap
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


class ArrayLengthError(RuntimeError):
    """An array file got another number of entries than was announced."""


@contextmanager
def array_file(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Iterator[Callable[[NDArray[Any]], None]]:
    """A function that appends rows to a new .npy file of that type and shape; synced to disk at the end.

    Raises ArrayLengthError where the rows don't fill the shape.
    """
    with path.open("wb") as stream:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        start = stream.tell()
        yield lambda values: _write(stream, np.ascontiguousarray(values, dtype))
        written, announced = stream.tell() - start, dtype.itemsize * math.prod(shape)
        if written != announced:
            raise ArrayLengthError(f"{path} got {written} bytes, and {announced} were announced")
        stream.flush()
        os.fsync(stream.fileno())


def _write(stream: Any, values: NDArray[Any]) -> None:
    if values.size:
        stream.write(values.data)


def mapped(path: Path) -> NDArray[Any]:
    """The array of a .npy file, memory-mapped and read-only.

    A plain array on the mapped memory: np.memmap's own bookkeeping slows every small operation.
    """
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def will_need(array: NDArray[Any], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
    """Tell the system to start reading rows starts[i] to stops[i] (half-open) of a mapped array.

    Pages are read into the system's cache in the background and count as this process's memory only when touched.
    Nothing to do for an array in memory.
    """
    mapping = _mapping(array)
    if mapping is None:
        return
    origin = array.ctypes.data - np.frombuffer(mapping, np.uint8).ctypes.data
    row = array.strides[0]
    for start, stop in zip((origin + starts * row).tolist(), (origin + stops * row).tolist(), strict=True):
        page = start - start % mmap.PAGESIZE
        mapping.madvise(mmap.MADV_WILLNEED, page, stop - page)


def release(array: NDArray[Any]) -> None:
    """Let go of the memory of a mapped array; what is touched again is mapped again. Nothing to do for one in memory.

    The whole mapping at once: the system maps neighbors of a page that is touched, so that rows that were never asked
    for would pile up otherwise.
    """
    mapping = _mapping(array)
    if mapping is not None:
        mapping.madvise(mmap.MADV_DONTNEED)


def _mapping(array: NDArray[Any]) -> mmap.mmap | None:
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None
