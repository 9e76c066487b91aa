"""Jets in, correction factors out: the client of a served network.

Belongs here: what is asked for, in which batches and in which order. Does not belong here: protocols (`transport.py`),
checks before sending (`sendable.py`), how long to wait (`patience.py`), many requests at once (`async_client.py`).
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from jec_assets.serving.patience import Patience
from jec_assets.serving.sendable import check_sendable
from jec_assets.serving.tensors import padded_batches
from jec_assets.serving.transport import Protocol, RequestRefusedError, ServerUnavailableError, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.access import Access
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.metadata import ServedModel, ServerStatistics
    from jec_assets.serving.patience import Deadline
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.tensors import PaddedJets

AT_ONCE = 2  # requests of a call that are under way: what one process can send while another one computes
COUNTED_WITHIN = 10.0  # seconds
LATEST = ""  # Triton's word for the highest version that it serves; of a call of many requests: when it begins
PATIENCE = Patience()
T = TypeVar("T")


class NoQuantilesError(ValueError):
    """The served network predicts no quantiles."""


class JetClient:
    """Connections to a server of jet networks, to be used by one thread and closed (or used as a context).

    address: host:port of that protocol. Connections are kept open from request to request. Requests are repeated
    while the server can't be reached or is too busy; then ServerUnavailableError. DeadlineError where it doesn't answer
    in time, which is not asked again; RequestRefusedError where it says no.

    access: for a server behind a proxy, see `Access`.
    """

    def __init__(
        self,
        address: str,
        protocol: Protocol = "http",
        patience: Patience = PATIENCE,
        access: Access | None = None,
    ) -> None:
        self._transports: Sequence[Transport] = [Transport.connect(address, protocol, access) for _ in range(AT_ONCE)]
        self._transport, *_ = self._transports
        self._patience = patience
        self._known: dict[tuple[str, ServedModel], PublishedModel | None] = {}

    @classmethod
    def of(cls, endpoint: Endpoint, protocol: Protocol, patience: Patience = PATIENCE) -> JetClient:
        """A client of an endpoint."""
        return cls({"http": endpoint.http, "grpc": endpoint.grpc}[protocol], protocol, patience)

    @classmethod
    def beside(cls, endpoint: Endpoint, patience: Patience = PATIENCE) -> JetClient:
        """A client on the same machine as a server that it may manage: jets lie in memory that both share.

        What is asked of it raises EndpointError where the server's token can't be read, SharedMemoryError where the
        machine has no such memory left, and RequestRefusedError where the server is on another machine.
        """
        from jec_assets.serving.shared_transport import SharedMemoryTransport

        client = cls.of(endpoint, "http", patience)
        client._transports = [SharedMemoryTransport(endpoint) for _ in range(AT_ONCE)]  # connected when first used
        client._transport, *_ = client._transports
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        with ExitStack() as closing:
            for transport in self._transports:
                closing.callback(transport.close)

    def log_factors(self, family: str, jets: PackedJets, version: str = LATEST) -> NDArray[np.float32]:
        """Predicted log(genJetPt / jetPt), float32 (jets,), in their order; exp of it times jetPt is the corrected pT.

        Raises what `outputs` does.
        """
        return np.ascontiguousarray(self.outputs(family, jets, version)[:, 0])

    def quantiles(self, family: str, jets: PackedJets, version: str = LATEST) -> NDArray[np.float32]:
        """Where 16 % and 84 % of like jets have log(genJetPt / jetPt), float32 (jets, 2), in their order.

        NoQuantilesError where the network predicts none; else raises what `outputs` does.
        """
        return quantiles_in(self.outputs(family, jets, version), family)

    def outputs(self, family: str, jets: PackedJets, version: str = LATEST) -> NDArray[np.float32]:
        """All that the network answers, float32 (jets, 1 or 3), in the jets' order, see `jec_assets.models.outputs`.

        Jets of like particle counts share a request, so that little is padded. All are answered by one version: where
        none is named, by the highest when the call begins; ServerUnavailableError, which names it, if it is withdrawn
        meanwhile.
        Before anything is sent: WrongFeaturesError if the network wants other features than `jets` has, UnitsError if
        they are in other units than GeV and radians, BatchError if a value isn't finite or of another type.
        """
        deadline = self._patience.deadline()
        served = self._asked(lambda seconds: self._transport.model(family, seconds), deadline)
        check_sendable(family, jets, served, self._published(family, served, deadline))
        outputs = np.empty((len(jets), served.outputs), np.float32)
        for indices, answer in self._answers(family, padded_batches(jets), version or served.latest, deadline):
            outputs[indices] = answer
        return outputs

    def answer(self, family: str, batch: PaddedJets, version: str = LATEST) -> NDArray[np.float32]:
        """One request: predicted log(genJetPt / jetPt), and the quantiles of networks that have them.

        float32 (jets, 1 or 3). What is sent isn't checked here.
        """
        return self._answer(family, batch, version, self._patience.deadline())

    def model(self, family: str) -> ServedModel:
        """What is served under that name."""
        return self._asked(lambda seconds: self._transport.model(family, seconds), self._patience.deadline())

    def published(self, family: str) -> PublishedModel:
        """The record of the version that is served; RequestRefusedError where the server has none."""
        model = self._published(family, self.model(family), self._patience.deadline())
        return on_record(model, family, self._transport.address)

    def statistics(self, family: str, requests: int = 0) -> ServerStatistics:
        """The server's own statistics of a model, as soon as it has counted so many requests.

        It counts a request shortly after it has answered it. TimeoutError if it never counts so many.
        """
        give_up = time.monotonic() + COUNTED_WITHIN
        while (statistics := self._statistics(family)).requests < requests:
            if time.monotonic() > give_up:
                raise TimeoutError(f"the server counted {statistics.requests} requests of {family}, not {requests}")
            time.sleep(0.001)
        return statistics

    def _statistics(self, family: str) -> ServerStatistics:
        return self._asked(lambda seconds: self._transport.statistics(family, seconds), self._patience.deadline())

    def _answers(
        self, family: str, batches: Iterable[tuple[NDArray[np.int64], PaddedJets]], version: str, deadline: Deadline
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Each batch's answer. While the server computes one, the next is on its way, over the other connection."""
        under_way: deque[tuple[NDArray[np.int64], Callable[[], NDArray[np.float32]]]] = deque()
        for (indices, batch), transport in zip(batches, cycle(self._transports), strict=False):
            if len(under_way) == len(self._transports):
                earlier, answer = under_way.popleft()
                yield earlier, answer()
            begun = _Begun(transport, family, batch, version, deadline)
            under_way.append((indices, partial(deadline.kept, begun.answer)))
        for indices, answer in under_way:
            yield indices, answer()

    def _answer(self, family: str, batch: PaddedJets, version: str, deadline: Deadline) -> NDArray[np.float32]:
        return self._asked(lambda seconds: self._transport.infer(family, batch, version, seconds), deadline)

    def _published(self, family: str, served: ServedModel, deadline: Deadline) -> PublishedModel | None:
        """The record of what is served, asked for once; None where the server has none."""
        if (family, served) not in self._known:
            self._known[family, served] = self._asked(lambda seconds: self._transport.record(family, seconds), deadline)
        return self._known[family, served]

    def _asked(self, ask: Callable[[float], T], deadline: Deadline) -> T:
        """What the server answers when it is asked, in so many seconds, and asked again."""
        return deadline.kept(ask)


class _Begun:
    """A request that is sent before its answer is waited for; and sent again where the server could not be reached."""

    def __init__(self, transport: Transport, family: str, batch: PaddedJets, version: str, deadline: Deadline) -> None:
        self._again = partial(transport.infer, family, batch, version)
        self._fault: ServerUnavailableError | None = None
        self._first: Callable[[], NDArray[np.float32]] | None = None
        try:
            self._first = transport.begin(family, batch, version, deadline.seconds())
        except ServerUnavailableError as fault:
            self._fault = fault

    def answer(self, seconds: float) -> NDArray[np.float32]:
        """The answer to what was sent, the first time that this is asked; then to another request, in so long."""
        (first, self._first), (fault, self._fault) = (self._first, None), (self._fault, None)
        if fault is not None:
            raise fault
        return self._again(seconds) if first is None else first()


def quantiles_in(outputs: NDArray[np.float32], family: str) -> NDArray[np.float32]:
    """The quantiles among a network's outputs; NoQuantilesError where it predicts none."""
    if outputs.shape[1] == 1:
        raise NoQuantilesError(f"{family} predicts no quantiles: serve a network that was trained with them")
    return np.ascontiguousarray(outputs[:, 1:])


def on_record(model: PublishedModel | None, family: str, address: str) -> PublishedModel:
    """The record; RequestRefusedError where there is none."""
    if model is None:
        raise RequestRefusedError(
            f"{address}: the configuration of {family} doesn't say what is served: publish it again"
        )
    return model
