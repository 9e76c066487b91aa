"""Jets in, correction factors out: the client of a served network.

Belongs here: batches, retries, checks before sending. Does not belong here: protocols (`transport.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

import numpy as np
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

from jec_assets.serving.tensors import padded_batches
from jec_assets.serving.transport import Protocol, ServedModel, ServerStatistics, ServerUnavailableError, Transport

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.tensors import PaddedJets

TIMEOUT = 60.0  # seconds per request
COUNTED_WITHIN = 10.0  # seconds
LATEST = ""  # Triton's word for the highest version that it serves


# Asking again changes nothing on the server: pauses of 0.1, 0.2, 0.4, 0.8 s and a little more.
_repeated = retry(
    retry=retry_if_exception_type(ServerUnavailableError),
    wait=wait_exponential(multiplier=0.1) + wait_random(0, 0.1),
    stop=stop_after_attempt(5),
    reraise=True,
)


class WrongFeaturesError(ValueError):
    """Jets don't have the features that the served network wants."""


class JetClient:
    """A connection to a server of jet networks, to be used by one thread and closed (or used as a context).

    address: host:port of that protocol. Requests are repeated, with growing pauses, while the server can't be reached;
    after five attempts ServerUnavailableError. RequestRefusedError where the server says no.
    """

    def __init__(self, address: str, protocol: Protocol = "http", timeout: float = TIMEOUT) -> None:
        self._transport = Transport.connect(address, protocol, timeout)

    @classmethod
    def of(cls, endpoint: Endpoint, protocol: Protocol) -> JetClient:
        """A client of an endpoint."""
        return cls({"http": endpoint.http, "grpc": endpoint.grpc}[protocol], protocol)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def log_factors(self, family: str, jets: PackedJets, version: str = LATEST) -> NDArray[np.float32]:
        """Predicted log(genJetPt / jetPt), float32 (jets,), in their order; exp of it times jetPt is the corrected pT.

        Jets of like particle counts share a request, so that little is padded. WrongFeaturesError if the network wants
        other features than `jets` has, BatchError if a value isn't finite.
        """
        self._check_features(family, jets)
        factors = np.empty(len(jets), np.float32)
        for indices, batch in padded_batches(jets):
            batch.check()
            factors[indices] = self.answer(family, batch, version)[:, 0]
        return factors

    @_repeated
    def answer(self, family: str, batch: PaddedJets, version: str = LATEST) -> NDArray[np.float32]:
        """One request: predicted log(genJetPt / jetPt), float32 (jets, 1). What is sent isn't checked here."""
        return self._transport.infer(family, batch, version)

    @_repeated
    def model(self, family: str) -> ServedModel:
        """What is served under that name."""
        return self._transport.model(family)

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

    def _check_features(self, family: str, jets: PackedJets) -> None:
        served = self.model(family)
        wanted, given = (served.particle_features, served.jet_features), (jets.particles.shape[1], jets.jets.shape[1])
        if wanted != given:
            raise WrongFeaturesError(
                f"{family} wants {wanted[0]} particle and {wanted[1]} jet features, these jets have {given[0]} and "
                f"{given[1]}: compute the feature set that the model was trained with"
            )
