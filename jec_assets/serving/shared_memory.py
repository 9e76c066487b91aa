"""Memory that a server on the same machine shares with its clients.

Belongs here: a region of it, whose it is, and what is left of it by clients that were killed. Does not belong here:
telling the server (`shared_transport.py`) and which jets lie in it (`client.py`).

A region has a name until the server has mapped it. After that nothing in the file system is left of it, however client
or server end; what the server still holds for a client that was killed, its watcher has it give back.
"""

from __future__ import annotations

import logging
import mmap
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from jec_assets.processes import SHARED_MEMORY, running_since
from jec_assets.serving.endpoint import connected
from jec_assets.serving.wire import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from jec_assets.serving.endpoint import Endpoint

PREFIX = "jec_client_"
NAME = re.compile(
    rf"{PREFIX}(?P<pid>[0-9]{{1,9}})_(?P<started>[0-9]{{1,12}})_(?P<namespace>[0-9]{{1,12}})_[0-9a-f]{{16}}"
)
NAMESPACE = Path("/proc/self/ns/pid")
ALIGNMENT = 64  # bytes: a line of the processor's caches
TIMEOUT = 3.0  # seconds
_LOGGER = logging.getLogger(__name__)


class SharedMemoryError(RuntimeError):
    """This machine lends no shared memory."""


@dataclass(frozen=True)
class Owner:
    """The process that a region is of. started: seconds since 1970; namespace: where the number `pid` means it."""

    pid: int
    started: int
    namespace: int

    @classmethod
    def this(cls) -> Owner:
        """This process."""
        return cls(os.getpid(), int(psutil.Process().create_time()), NAMESPACE.stat().st_ino)

    @classmethod
    def of(cls, name: str) -> Owner | None:
        """Whose the region of that name is; None for what is no region of a client."""
        parts = NAME.fullmatch(name)
        return parts and cls(int(parts["pid"]), int(parts["started"]), int(parts["namespace"]))

    def new_name(self) -> str:
        """The name of another region, which nobody can guess."""
        return f"{PREFIX}{self.pid}_{self.started}_{self.namespace}_{secrets.token_hex(8)}"

    def has_ended(self) -> bool:
        """Whether it is known to have ended: of processes elsewhere, in another container for one, nothing is known."""
        return self.namespace == NAMESPACE.stat().st_ino and running_since(self.pid, self.started) is None


class Region:
    """Memory of this process that others map by its name, if they are of the same user."""

    def __init__(self, name: str, size: int) -> None:
        """size: bytes; SharedMemoryError where there aren't so many."""
        self.name, self.size = name, size
        try:
            file = os.open(SHARED_MEMORY / name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
            try:
                os.posix_fallocate(file, 0, size)  # else writing to what isn't there ends the process
                self._memory = mmap.mmap(file, size)
            finally:
                os.close(file)
        except OSError as error:
            raise SharedMemoryError(
                f"{SHARED_MEMORY} lends no {size >> 20} MB for jets ({error.strerror}): make room there (docker run "
                "--shm-size), or use a client without shared memory"
            ) from error

    def hold(self, arrays: Mapping[str, NDArray[np.generic]]) -> tuple[Tensor, ...]:
        """Write arrays of numbers into it, `room` of bytes; where each of them lies, in Triton's words."""
        tensors, start = [], 0
        for name, array in arrays.items():
            np.ndarray(array.shape, array.dtype, self._memory, start)[...] = array
            place = (
                ("shared_memory_region", self.name),
                ("shared_memory_offset", start),
                ("shared_memory_byte_size", array.nbytes),
            )
            tensors.append(Tensor(name, array.dtype.str, array.shape, place))
            start += _aligned(array.nbytes)
        return tuple(tensors)

    def close(self) -> None:
        """This process needs it no longer."""
        self._memory.close()


def room(arrays: Mapping[str, NDArray[np.generic]]) -> int:
    """Bytes that these arrays take in a region."""
    return sum(_aligned(array.nbytes) for array in arrays.values())


def forget_name(name: str) -> None:
    """Nobody can map that region from now on who hasn't yet."""
    (SHARED_MEMORY / name).unlink(missing_ok=True)


def give_back_of_the_dead(endpoint: Endpoint) -> tuple[str, ...]:
    """Have this machine's server let go of what it shares with processes that ended otherwise than by closing; names.

    EndpointError if the server doesn't answer.
    """
    from tritonclient.utils import InferenceServerException

    _forget_names_of_the_dead()
    given_back = []
    with connected(endpoint, TIMEOUT) as server:
        headers = endpoint.management_headers()
        shared = [str(region["name"]) for region in server.get_system_shared_memory_status(headers=headers)]
        for name in filter(_is_of_the_dead, shared):
            try:
                server.unregister_system_shared_memory(name, headers=headers)
            except InferenceServerException as error:  # a request that its client sent last waits for its turn
                _LOGGER.debug("%s is kept for now: %s", name, error)
            else:
                given_back.append(name)
    return tuple(given_back)


def _forget_names_of_the_dead() -> None:
    """Remove regions of this user whose client was killed before the server had mapped them."""
    with os.scandir(SHARED_MEMORY) as entries:
        for entry in entries:
            if _is_of_the_dead(entry.name) and _is_own_file(entry):
                forget_name(entry.name)


def _is_of_the_dead(name: str) -> bool:
    owner = Owner.of(name)
    return owner is not None and owner.has_ended()


def _is_own_file(entry: os.DirEntry[str]) -> bool:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


def _aligned(size: int) -> int:
    return size + -size % ALIGNMENT
