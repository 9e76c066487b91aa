"""HTTP and gRPC to a Triton server, behind one face.

Belongs here: tritonclient's two clients and their differences. Does not belong here: batches, retries and checks
(`client.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from jec_assets.serving.config import RECORD_PARAMETER
from jec_assets.serving.tensors import JETS, LOG_FACTOR, OUTPUTS, PARTICLES

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from jec_assets.serving.tensors import PaddedJets

Protocol = Literal["http", "grpc"]
PROTOCOLS: tuple[Protocol, ...] = ("http", "grpc")
TRANSIENT_STATUS = {"429", "503", "StatusCode.UNAVAILABLE", "StatusCode.RESOURCE_EXHAUSTED"}
CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's own pauses before it connects again, ms; they begin at a second, longer than this client's pauses.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
TRITON_TYPES = {"float32": "FP32", "int64": "INT64"}


class RequestRefusedError(RuntimeError):
    """The server refused a request or failed to answer it; asking again would not help."""


class ServerUnavailableError(RuntimeError):
    """The server can't be reached, or is too busy, for now."""


@dataclass(frozen=True)
class ServedModel:
    """What a server says of a model: its versions, rising, the widths of its inputs, how many numbers it answers."""

    versions: tuple[int, ...]
    particle_features: int
    jet_features: int
    outputs: int


@dataclass(frozen=True)
class ServerStatistics:
    """What a model has done since it was loaded; times in seconds, summed over requests."""

    requests: int
    queue: float
    compute: float

    def __sub__(self, earlier: ServerStatistics) -> ServerStatistics:
        return ServerStatistics(
            self.requests - earlier.requests, self.queue - earlier.queue, self.compute - earlier.compute
        )


class Transport(ABC):
    """A connection to a server. Every method raises RequestRefusedError or ServerUnavailableError."""

    def __init__(self, library: ModuleType, address: str) -> None:
        self.address = address
        self._library = library

    @classmethod
    def connect(cls, address: str, protocol: Protocol, timeout: float) -> Transport:
        """A connection to host:port, made when it is first used; timeout: seconds per request."""
        return {"http": HttpTransport, "grpc": GrpcTransport}[protocol](address, timeout)

    def infer(self, family: str, batch: PaddedJets, version: str) -> NDArray[np.float32]:
        """The model's outputs in the order of `tensors.OUTPUTS`, float32 (jets, numbers per jet)."""
        with _Translated(self.address):
            result = self._infer(family, self._tensors(batch), version)
            answers = {name: result.as_numpy(name) for name in OUTPUTS}
        given = {name: answer for name, answer in answers.items() if name == LOG_FACTOR or answer is not None}
        for name, answer in given.items():
            if np.shape(answer) != (len(batch), OUTPUTS[name]):
                raise RequestRefusedError(
                    f"{self.address}: {family} answered {len(batch)} jets with {name} of shape {np.shape(answer)}"
                )
        return np.concatenate([np.asarray(answer, np.float32) for answer in given.values()], axis=1)

    def model(self, family: str) -> ServedModel:
        """What is served under that name."""
        with _Translated(self.address):
            metadata = self._metadata(family)
        widths = {tensor["name"]: int(tensor["shape"][-1]) for tensor in metadata["inputs"]}
        outputs = sum(int(tensor["shape"][-1]) for tensor in metadata["outputs"])
        return ServedModel(tuple(sorted(map(int, metadata["versions"]))), widths[PARTICLES], widths[JETS], outputs)

    def record(self, family: str) -> str | None:
        """The record that the model was published with, JSON; None where its configuration has none."""
        with _Translated(self.address):
            parameters = self._config(family).get("parameters", {})
        return str(parameters[RECORD_PARAMETER]["string_value"]) if RECORD_PARAMETER in parameters else None

    def statistics(self, family: str) -> ServerStatistics:
        """Statistics of a model, all its versions together."""
        with _Translated(self.address):
            models = [model["inference_stats"] for model in self._statistics(family)["model_stats"]]
        # JSON made from a protobuf leaves zeros out and writes large numbers as text.
        requests = sum(int(model["success"].get("count", 0)) for model in models)
        queue, compute = (
            sum(int(model[kind].get("ns", 0)) for model in models) * 1e-9 for kind in ("queue", "compute_infer")
        )
        return ServerStatistics(requests, queue, compute)

    def _tensors(self, batch: PaddedJets) -> list[Any]:
        tensors = []
        for name, array in batch.arrays.items():
            tensor = self._library.InferInput(name, list(array.shape), TRITON_TYPES[array.dtype.name])
            tensor.set_data_from_numpy(array)
            tensors.append(tensor)
        return tensors

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    @abstractmethod
    def _infer(self, family: str, tensors: list[Any], version: str) -> Any: ...

    @abstractmethod
    def _metadata(self, family: str) -> dict[str, Any]: ...

    @abstractmethod
    def _config(self, family: str) -> dict[str, Any]: ...

    @abstractmethod
    def _statistics(self, family: str) -> dict[str, Any]: ...


class HttpTransport(Transport):
    """HTTP with binary tensors, one connection kept open; to be used by the thread that made it."""

    def __init__(self, address: str, timeout: float) -> None:
        import tritonclient.http

        super().__init__(tritonclient.http, address)
        self._client = tritonclient.http.InferenceServerClient(
            address, connection_timeout=timeout, network_timeout=timeout
        )

    def close(self) -> None:
        """See `Transport.close`."""
        self._client.close()

    def _infer(self, family: str, tensors: list[Any], version: str) -> Any:
        return self._client.infer(family, tensors, model_version=version)

    def _metadata(self, family: str) -> dict[str, Any]:
        return dict(self._client.get_model_metadata(family))

    def _config(self, family: str) -> dict[str, Any]:
        return dict(self._client.get_model_config(family))

    def _statistics(self, family: str) -> dict[str, Any]:
        return dict(self._client.get_inference_statistics(family))


class GrpcTransport(Transport):
    """gRPC over one channel."""

    def __init__(self, address: str, timeout: float) -> None:
        import tritonclient.grpc

        super().__init__(tritonclient.grpc, address)
        self._client = tritonclient.grpc.InferenceServerClient(address, channel_args=CHANNEL)
        self._timeout = timeout

    def close(self) -> None:
        """See `Transport.close`."""
        self._client.close()

    def _infer(self, family: str, tensors: list[Any], version: str) -> Any:
        return self._client.infer(family, tensors, model_version=version, client_timeout=self._timeout)

    def _metadata(self, family: str) -> dict[str, Any]:
        return dict(self._client.get_model_metadata(family, as_json=True, client_timeout=self._timeout))

    def _config(self, family: str) -> dict[str, Any]:
        return dict(self._client.get_model_config(family, as_json=True, client_timeout=self._timeout)["config"])

    def _statistics(self, family: str) -> dict[str, Any]:
        return dict(self._client.get_inference_statistics(family, as_json=True, client_timeout=self._timeout))


class _Translated:
    """Turns the two clients' exceptions into the two of this module."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from tritonclient.utils import InferenceServerException

        if isinstance(error, InferenceServerException) and error.status() not in TRANSIENT_STATUS:
            raise RequestRefusedError(f"{self._address}: {error.message()}") from error
        if isinstance(error, InferenceServerException | OSError | HTTPException):
            raise ServerUnavailableError(f"{self._address}: {error}") from error
