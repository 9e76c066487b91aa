"""Jets in, correction factors out: the client of a served network.

Belongs here: batches, retries, checks before sending. Does not belong here: protocols (`transport.py`).
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Self

import numpy as np
from tenacity import (
    retry,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
    wait_random,
)

from jec_assets.serving.record import PublishedModel
from jec_assets.serving.tensors import padded_batches
from jec_assets.serving.transport import (
    Protocol,
    RequestRefusedError,
    ServedModel,
    ServerStatistics,
    ServerUnavailableError,
    Transport,
)
from jec_assets.serving.units import check_units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.tensors import PaddedJets

TIMEOUT = 60.0  # seconds per request; none is repeated when so much time has passed
COUNTED_WITHIN = 10.0  # seconds
LATEST = ""  # Triton's word for the highest version that it serves


# Asking again changes nothing on the server: pauses of 0.1, 0.2, 0.4, 0.8 s and a little more.
_repeated = retry(
    retry=retry_if_exception_type(ServerUnavailableError),
    wait=wait_exponential(multiplier=0.1) + wait_random(0, 0.1),
    stop=stop_after_attempt(5) | stop_after_delay(TIMEOUT),
    reraise=True,
)


class WrongFeaturesError(ValueError):
    """Jets don't have the features that the served network wants."""


class NoQuantilesError(ValueError):
    """The served network predicts no quantiles."""


class JetClient:
    """A connection to a server of jet networks, to be used by one thread and closed (or used as a context).

    address: host:port of that protocol. Requests are repeated, with growing pauses, while the server can't be reached;
    after five attempts ServerUnavailableError. RequestRefusedError where the server says no. The connection is kept
    open from request to request.
    """

    def __init__(self, address: str, protocol: Protocol = "http", timeout: float = TIMEOUT) -> None:
        self._transport = Transport.connect(address, protocol, timeout)
        self._known: dict[tuple[str, ServedModel], PublishedModel | None] = {}

    @classmethod
    def of(cls, endpoint: Endpoint, protocol: Protocol) -> JetClient:
        """A client of an endpoint."""
        return cls({"http": endpoint.http, "grpc": endpoint.grpc}[protocol], protocol)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def log_factors(self, family: str, jets: PackedJets, version: str = LATEST) -> NDArray[np.float32]:
        """Predicted log(genJetPt / jetPt), float32 (jets,), in their order; exp of it times jetPt is the corrected pT.

        Raises what `outputs` does.
        """
        return np.ascontiguousarray(self.outputs(family, jets, version)[:, 0])

    def quantiles(self, family: str, jets: PackedJets, version: str = LATEST) -> NDArray[np.float32]:
        """Where 16 % and 84 % of like jets have log(genJetPt / jetPt), float32 (jets, 2), in their order.

        NoQuantilesError where the network predicts none; else raises what `outputs` does.
        """
        outputs = self.outputs(family, jets, version)
        if outputs.shape[1] == 1:
            raise NoQuantilesError(f"{family} predicts no quantiles: serve a network that was trained with them")
        return np.ascontiguousarray(outputs[:, 1:])

    def outputs(self, family: str, jets: PackedJets, version: str = LATEST) -> NDArray[np.float32]:
        """All that the network answers, float32 (jets, 1 or 3), in the jets' order, see `jec_assets.models.outputs`.

        Jets of like particle counts share a request, so that little is padded. Before anything is sent:
        WrongFeaturesError if the network wants other features than `jets` has, UnitsError if they are in other units
        than GeV and radians, BatchError if a value isn't finite.
        """
        served = self.model(family)
        self._check_features(family, served, jets)
        outputs = np.empty((len(jets), served.outputs), np.float32)
        for indices, batch in padded_batches(jets):
            batch.check()
            outputs[indices] = self.answer(family, batch, version)
        return outputs

    @_repeated
    def answer(self, family: str, batch: PaddedJets, version: str = LATEST) -> NDArray[np.float32]:
        """One request: predicted log(genJetPt / jetPt), and the quantiles of networks that have them.

        float32 (jets, 1 or 3). What is sent isn't checked here.
        """
        return self._transport.infer(family, batch, version)

    @_repeated
    def model(self, family: str) -> ServedModel:
        """What is served under that name."""
        return self._transport.model(family)

    def published(self, family: str) -> PublishedModel:
        """The record of the version that is served; RequestRefusedError where the server has none."""
        model = self._published(family, self.model(family))
        if model is None:
            raise RequestRefusedError(
                f"{self._transport.address}: the configuration of {family} doesn't say what is served: publish it again"
            )
        return model

    def _published(self, family: str, served: ServedModel) -> PublishedModel | None:
        """The record of what is served, asked for once; None where the server has none."""
        if (family, served) not in self._known:
            record = self._record(family)
            self._known[family, served] = None if record is None else PublishedModel.from_dict(json.loads(record))
        return self._known[family, served]

    @_repeated
    def _record(self, family: str) -> str | None:
        return self._transport.record(family)

    def statistics(self, family: str, requests: int = 0) -> ServerStatistics:
        """The server's own statistics of a model, as soon as it has counted so many requests.

        It counts a request shortly after it has answered it. TimeoutError if it never counts so many.
        """
        deadline = time.monotonic() + COUNTED_WITHIN
        while (statistics := self._statistics(family)).requests < requests:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the server counted {statistics.requests} requests of {family}, not {requests}")
            time.sleep(0.001)
        return statistics

    @_repeated
    def _statistics(self, family: str) -> ServerStatistics:
        return self._transport.statistics(family)

    def _check_features(self, family: str, served: ServedModel, jets: PackedJets) -> None:
        wanted, given = (served.particle_features, served.jet_features), (jets.particles.shape[1], jets.jets.shape[1])
        if wanted != given:
            raise WrongFeaturesError(
                f"{family} wants {wanted[0]} particle and {wanted[1]} jet features, these jets have {given[0]} and "
                f"{given[1]}: compute the feature set that the model was trained with"
            )
        if model := self._published(family, served):
            check_units(jets, model.card.jet_features)
