"""HTTP to a server on the same machine, with jets in memory that it and this process share.

Belongs here: telling the server of regions, and having it let go of them. Does not belong here: the memory itself
(`shared_memory.py`), HTTP (`transport.py`), how a request is described (`wire.py`).

A thousand jets are megabytes, which a PFN's server receives for a tenth of the time that it computes. In shared memory
they are written once, where it reads them; answers are small and come over HTTP.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from jec_assets.serving.endpoint import EndpointError
from jec_assets.serving.shared_memory import TIMEOUT, Owner, Region, forget_name, room
from jec_assets.serving.tensors import BatchError
from jec_assets.serving.transport import (
    DeadlineError,
    HttpTransport,
    RequestRefusedError,
    ServerUnavailableError,
    translated,
)
from jec_assets.serving.wire import Request, description, triton_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jec_assets.serving.answer import Answer
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.tensors import PaddedJets

SMALLEST = 1 << 20  # bytes of a region: enough for a few hundred jets
PAUSE = 0.05  # seconds between two attempts at giving back what the server still reads
IN_USE = "currently in use"  # Triton's words for a region that a request has which it still answers
UNKNOWN = "Unable to find shared memory region"
_LOGGER = logging.getLogger(__name__)


class SharedMemoryTransport(HttpTransport):
    """HTTP to a server of this machine by whoever may manage it, with jets in shared memory.

    Raises besides what `Transport` does SharedMemoryError, and EndpointError where the server's token can't be read.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint.http)
        self._endpoint = endpoint
        self._owner = Owner.this()
        # What the server may have mapped, also where nobody waited for its word; the last of them is written to, if
        # the server that this is connected with knows it and reads nothing in it.
        self._shared: list[Region] = []
        self._usable: Region | None = None

    def close(self) -> None:
        """See `Transport.close`; the server lets go of the memory."""
        self._leave_to_the_parent()
        with ExitStack() as closing:
            closing.callback(super().close)
            try:
                self._give_all_back(time.monotonic() + TIMEOUT)
            except (DeadlineError, EndpointError, RequestRefusedError, ServerUnavailableError) as error:
                # Mostly it is gone, and its memory with it. Else its watcher will see this process end.
                names = ", ".join(region.name for region in self._shared)
                _LOGGER.info("%s was not told to let go of %s: %s", self.address, names, error)

    def _request(self, batch: PaddedJets, end: float) -> Request:
        arrays = batch.arrays
        for name, array in arrays.items():
            triton_type(name, array.dtype.str)  # before anything is written: memory holds numbers alone
            if not array.size:
                raise BatchError(name, f"holds no values: its shape is {array.shape}")
        self._leave_to_the_parent()
        if self._awaits_answer:
            self._disconnect()
        needed = room(arrays)
        if self._usable is None or self._usable.size < needed:
            self._usable = None
            self._give_back(end)
            self._usable = self._share(needed, end)
        return Request.of_json(description(self._usable.hold(arrays)), {})

    def _disconnect(self) -> None:
        """What answers next may be a server that was started again, and what was sent last may still be read."""
        super()._disconnect()
        self._usable = None

    def _receive(self, end: float) -> Answer:
        try:
            return super()._receive(end)
        except RequestRefusedError as error:
            if UNKNOWN not in str(error):
                raise
            self._usable = None  # whoever manages the server had it let go: another region will do
            raise ServerUnavailableError(str(error)) from error

    def _share(self, needed: int, end: float) -> Region:
        """A region that the server knows, of a power of two of bytes so that few are needed one after the other."""
        name = self._owner.new_name()
        try:
            region = Region(name, max(SMALLEST, 1 << (needed - 1).bit_length()))
            self._shared.append(region)
            self._manage(name, "register", {"key": f"/{name}", "offset": 0, "byte_size": region.size}, end)
        finally:
            forget_name(name)
        return region

    def _give_all_back(self, end: float) -> None:
        """Have the server let go of everything, as soon as it doesn't read it any more."""
        with translated(self.address):
            self._usable = None
            self._give_back(end)
            while self._shared and time.monotonic() < end:
                time.sleep(PAUSE)
                self._give_back(end)
        if self._shared:
            raise DeadlineError("a request that nobody waited for is not answered yet")

    def _give_back(self, end: float) -> None:
        """Have the server let go of all that it reads no more."""
        for region in tuple(self._shared):
            try:
                self._manage(region.name, "unregister", {}, end)
            except RequestRefusedError as error:
                if IN_USE not in str(error):
                    raise
            else:
                self._shared.remove(region)
                region.close()

    def _manage(self, name: str, what: str, said: Mapping[str, str | int], end: float) -> None:
        request = Request.of_json(json.dumps(said).encode(), self._management_headers())
        self._send("POST", f"/v2/systemsharedmemory/region/{name}/{what}", end, request)
        try:
            self._receive(end)
        except RequestRefusedError as error:
            remedy = "memory is shared with a server on this machine that the same user has started"
            raise RequestRefusedError(f"{error}: {remedy}") from error

    def _management_headers(self) -> dict[str, str]:
        try:
            return self._endpoint.management_headers()
        except EndpointError as error:
            if isinstance(error.__cause__, FileNotFoundError):  # as long as a server isn't started
                raise ServerUnavailableError(str(error)) from error
            raise

    def _leave_to_the_parent(self) -> None:
        """In a process that was forked: regions and the connection are those of the process that made them."""
        if os.getpid() != self._owner.pid:
            self._shared.clear()
            self._disconnect()
            self._owner = Owner.this()
