"""The client for programs that have other things to do while a server computes.

Belongs here: many requests at once, with the checks, batches, pauses and numbers of `client.py`. Does not belong here:
connections (`async_transport.py`), and anything that one request at a time needs too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from tenacity import AsyncRetrying

from jec_assets.serving.async_transport import AsyncTransport
from jec_assets.serving.client import LATEST, PATIENCE, on_record, quantiles_in
from jec_assets.serving.sendable import check_sendable
from jec_assets.serving.tensors import batches_by_length, padded_batch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.access import Access
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.metadata import ServedModel
    from jec_assets.serving.patience import Deadline, Patience
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.transport import Protocol

AT_ONCE = 8  # requests: enough that a server of a few instances never waits for the client
T = TypeVar("T")


class AsyncJetClient:
    """A connection to a server of jet networks for one event loop, to be used as an asynchronous context.

    address: host:port of that protocol. at_once: requests that are under way at the same time, of all calls together;
    more of them wait here, not in the server. access: see `JetClient`. Raises what `JetClient` does, with the same
    patience: what a request waits here counts as part of its call.

        async with AsyncJetClient("127.0.0.1:8000") as client:
            log_factors = await client.log_factors("pfn", jets)
    """

    def __init__(
        self,
        address: str,
        protocol: Protocol = "http",
        patience: Patience = PATIENCE,
        at_once: int = AT_ONCE,
        access: Access | None = None,
    ) -> None:
        self._address, self._protocol, self._patience, self._access = address, protocol, patience, access
        self._free = asyncio.Semaphore(at_once)
        self._known: dict[tuple[str, ServedModel], PublishedModel | None] = {}

    @classmethod
    def of(cls, endpoint: Endpoint, protocol: Protocol, patience: Patience = PATIENCE) -> AsyncJetClient:
        """A client of an endpoint."""
        return cls({"http": endpoint.http, "grpc": endpoint.grpc}[protocol], protocol, patience)

    async def __aenter__(self) -> Self:
        self._transport = AsyncTransport.connect(self._address, self._protocol, self._access)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    async def log_factors(self, family: str, jets: PackedJets, version: str = LATEST) -> NDArray[np.float32]:
        """See `JetClient.log_factors`."""
        return np.ascontiguousarray((await self.outputs(family, jets, version))[:, 0])

    async def quantiles(self, family: str, jets: PackedJets, version: str = LATEST) -> NDArray[np.float32]:
        """See `JetClient.quantiles`."""
        return quantiles_in(await self.outputs(family, jets, version), family)

    async def outputs(self, family: str, jets: PackedJets, version: str = LATEST) -> NDArray[np.float32]:
        """See `JetClient.outputs`; the first request that fails ends the others."""
        deadline = self._patience.deadline()
        served = await self._asked(lambda: self._transport.model(family), deadline)
        check_sendable(family, jets, served, await self._published(family, served, deadline))
        outputs, pinned = np.empty((len(jets), served.outputs), np.float32), version or served.latest

        async def fill(indices: NDArray[np.int64]) -> None:
            def ask() -> Awaitable[NDArray[np.float32]]:
                # Padded no sooner than it is sent: all at once may fill memory.
                return self._transport.infer(family, padded_batch(jets, indices), pinned)

            outputs[indices] = await self._asked(ask, deadline)

        tasks = [asyncio.create_task(fill(indices)) for indices in batches_by_length(jets.counts)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return outputs

    async def published(self, family: str) -> PublishedModel:
        """See `JetClient.published`."""
        deadline = self._patience.deadline()
        served = await self._asked(lambda: self._transport.model(family), deadline)
        return on_record(await self._published(family, served, deadline), family, self._address)

    async def _published(self, family: str, served: ServedModel, deadline: Deadline) -> PublishedModel | None:
        if (family, served) not in self._known:
            self._known[family, served] = await self._asked(lambda: self._transport.record(family), deadline)
        return self._known[family, served]

    async def _asked(self, ask: Callable[[], Awaitable[T]], deadline: Deadline) -> T:
        async def once() -> T:
            async with self._free:
                seconds = deadline.seconds()
                return await self._transport.in_time(ask(), seconds)

        return await AsyncRetrying(**deadline.retries())(once)
