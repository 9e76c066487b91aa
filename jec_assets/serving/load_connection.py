"""Connections that cost the machine little, for whoever keeps a hundred of them busy.

Belongs here: one prepared request after the other over HTTP, and whether the answer is right. Does not belong here: how
many come when and how long they are waited for (`load.py`), and clients for people (`client.py`): nothing is repeated
here.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from jec_assets.serving.answer import AnswerReader
from jec_assets.serving.tensors import LOG_FACTOR, PaddedJets
from jec_assets.serving.transport import OK
from jec_assets.serving.wire import JSON_LENGTH, InferRequest, MalformedAnswerError, infer_path, message, outputs_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.answer import Answer
    from jec_assets.serving.runtime import JetSession

TOLERANCE = 1e-5  # of predictions: which jets are computed together moves the last digits


@dataclass(frozen=True)
class LoadRequest:
    """A request as it goes over the wire, and the prediction that must come back, float32 (jets, 1)."""

    message: bytes
    expected: NDArray[np.float32]

    @classmethod
    def of(cls, family: str, batch: PaddedJets, session: JetSession) -> LoadRequest:
        """A request for these jets; session: the same model in this process."""
        request = InferRequest.of(batch)
        parts = message("POST", infer_path(family, ""), {"Host": "load", **request.headers}, request.body)
        return cls(b"".join(parts), session.log_factors(batch))

    def is_answered_by(self, answer: Answer) -> bool:
        """Whether that is the right answer."""
        if answer.status != OK:
            return False
        try:
            factors = outputs_in(answer.body, answer.headers.get(JSON_LENGTH.lower()))[LOG_FACTOR]
        except (MalformedAnswerError, KeyError):
            return False
        return factors.shape == self.expected.shape and bool(np.abs(factors - self.expected).max() <= TOLERANCE)


def single_jets(family: str, jets: PackedJets, session: JetSession, number: int, seed: int) -> list[LoadRequest]:
    """Requests for one random jet each."""
    chosen = np.random.default_rng(seed).integers(len(jets), size=number)
    batches = [PaddedJets.of(jets.take(np.array([jet]))).in_steps() for jet in chosen]
    return [LoadRequest.of(family, batch, session) for batch in batches]


class LoadConnection(asyncio.Protocol):
    """One connection; `ask` waits for the answer before the next request may be sent."""

    def __init__(self) -> None:
        self._reader = AnswerReader()
        self._asked: tuple[LoadRequest, asyncio.Future[bool]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._settle(False)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._asked is None:
            return
        try:
            answer = self._reader.feed(data)
        except MalformedAnswerError:
            self._transport.close()
            return
        if answer is not None:
            self._reader = AnswerReader()
            self._settle(self._asked[0].is_answered_by(answer))

    async def ask(self, request: LoadRequest) -> bool:
        """Whether the right answer came; False at once where the connection is lost."""
        if self._transport.is_closing():
            return False
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked = request, answered
        self._transport.write(request.message)
        return await answered

    def close(self) -> None:
        """Close it."""
        self._transport.close()

    def _settle(self, right: bool) -> None:
        asked, self._asked = self._asked, None
        if asked is not None and not asked[1].done():
            asked[1].set_result(right)
