"""Jets for a server on the same machine, in memory that it and this process share.

Belongs here: regions of shared memory, from the first jet in them until the server lets go of them. Does not belong
here: HTTP (`transport.py`), how a request is described (`wire.py`), which jets share one (`client.py`).

Receiving a thousand jets, megabytes, takes Triton an eighth of what a PFN computes for them. In shared memory they are
written once, where it reads them; answers are small and come over HTTP.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import re
import secrets
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import psutil

from jec_assets.processes import SHARED_MEMORY
from jec_assets.serving.endpoint import connected
from jec_assets.serving.transport import (
    DeadlineError,
    HttpTransport,
    RequestRefusedError,
    ServerUnavailableError,
    translated,
)
from jec_assets.serving.wire import Request, Tensor, description

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.tensors import PaddedJets

PREFIX = "jec_client_"
NAME = re.compile(rf"{PREFIX}(?P<pid>\d+)_\w+")
SMALLEST = 1 << 20  # bytes of a region: enough for a few hundred jets
ALIGNMENT = 64  # bytes: a line of the processor's caches
TIMEOUT = 3.0  # seconds
_LOGGER = logging.getLogger(__name__)


class SharedMemoryError(RuntimeError):
    """This machine has no shared memory left."""


class Region:
    """Memory of this process that others map by its name, which nobody can guess and only this user can use."""

    def __init__(self, size: int) -> None:
        """size: bytes; SharedMemoryError where there aren't so many."""
        self.name = f"{PREFIX}{os.getpid()}_{secrets.token_hex(8)}"
        self.size = size
        with self._created() as file:
            self._memory = mmap.mmap(file, size)

    def hold(self, batch: PaddedJets) -> tuple[Tensor, ...]:
        """Write jets into it; where each of their tensors lies, in Triton's words."""
        tensors, start = [], 0
        for name, array in batch.arrays.items():
            np.ndarray(array.shape, array.dtype, self._memory, start)[...] = array
            place = (
                ("shared_memory_region", self.name),
                ("shared_memory_offset", start),
                ("shared_memory_byte_size", array.nbytes),
            )
            tensors.append(Tensor(name, array.dtype.str, array.shape, place))
            start += _aligned(array.nbytes)
        return tuple(tensors)

    def forget_name(self) -> None:
        """Nobody else can map it from now on, and nothing is left of it once all that have it are gone."""
        (SHARED_MEMORY / self.name).unlink(missing_ok=True)

    def close(self) -> None:
        """This process needs it no longer."""
        self._memory.close()

    @contextmanager
    def _created(self) -> Iterator[int]:
        file = os.open(SHARED_MEMORY / self.name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            os.posix_fallocate(file, 0, self.size)  # else writing to what isn't there ends the process
            yield file
        except OSError as error:
            self.forget_name()
            raise SharedMemoryError(
                f"{SHARED_MEMORY} has no room for {self.size >> 20} MB of jets ({error.strerror}): give it more "
                "(docker run --shm-size), or use a client without shared memory"
            ) from error
        finally:
            os.close(file)


class SharedMemoryTransport(HttpTransport):
    """HTTP to a server of this machine by whoever may manage it, with jets in shared memory.

    Raises besides what `Transport` does SharedMemoryError, and EndpointError where the server's token can't be read.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint.http)
        self._endpoint = endpoint
        self._region: Region | None = None
        self._is_known = False  # to the server that this is connected with, which may have been started again

    def close(self) -> None:
        """See `Transport.close`; the server lets go of the memory."""
        self._give_back(time.monotonic() + TIMEOUT)
        super().close()

    def _request(self, batch: PaddedJets, end: float) -> Request:
        needed = sum(_aligned(array.nbytes) for array in batch.arrays.values())
        may_be_read = self._awaits_answer  # and must not change then
        if self._region is None or self._region.size < needed or may_be_read or not self._is_known:
            self._give_back(end)
            self._region = self._shared(needed, end)
            self._is_known = True
        return Request.of_json(description(self._region.hold(batch)), {})

    def _disconnect(self) -> None:
        super()._disconnect()
        self._is_known = False

    def _shared(self, needed: int, end: float) -> Region:
        """A region that the server knows, of a power of two of bytes so that few are needed one after the other."""
        region = Region(max(SMALLEST, 1 << (needed - 1).bit_length()))
        try:
            self._manage(region, "register", {"key": f"/{region.name}", "offset": 0, "byte_size": region.size}, end)
        except RequestRefusedError as error:
            remedy = "memory is shared with a server on this machine that the same user has started"
            raise RequestRefusedError(f"{error}: {remedy}") from error
        finally:
            region.forget_name()
        return region

    def _give_back(self, end: float) -> None:
        region, self._region = self._region, None
        if region is None:
            return
        region.close()
        try:
            with translated(self.address):
                self._manage(region, "unregister", {}, min(end, time.monotonic() + TIMEOUT))
        except (RequestRefusedError, ServerUnavailableError, DeadlineError) as error:
            # It is gone, and its memory with it; or it reads what nobody waited for, until this process ends.
            _LOGGER.info("%s keeps %s: %s", self.address, region.name, error)

    def _manage(self, region: Region, what: str, said: dict[str, str | int], end: float) -> None:
        request = Request.of_json(json.dumps(said).encode(), self._endpoint.management_headers())
        self._send("POST", f"/v2/systemsharedmemory/region/{region.name}/{what}", end, request)
        self._receive(end)


def give_back_of_the_dead(endpoint: Endpoint) -> tuple[str, ...]:
    """Have this machine's server let go of what it shares with processes that ended otherwise than by closing; names.

    EndpointError if the server doesn't answer.
    """
    from tritonclient.utils import InferenceServerException

    for file in SHARED_MEMORY.glob(f"{PREFIX}*"):
        if _is_of_the_dead(file.name):  # before the server knew it
            file.unlink(missing_ok=True)
    given_back = []
    with connected(endpoint, TIMEOUT) as server:
        headers = endpoint.management_headers()
        shared = [str(region["name"]) for region in server.get_system_shared_memory_status(headers=headers)]
        for name in filter(_is_of_the_dead, shared):
            try:
                server.unregister_system_shared_memory(name, headers=headers)
            except InferenceServerException as error:  # a request that its client sent last waits for its turn
                _LOGGER.info("%s is kept for now: %s", name, error)
            else:
                given_back.append(name)
    return tuple(given_back)


def _is_of_the_dead(name: str) -> bool:
    parts = NAME.fullmatch(name)
    return parts is not None and not psutil.pid_exists(int(parts["pid"]))


def _aligned(size: int) -> int:
    return size + -size % ALIGNMENT
