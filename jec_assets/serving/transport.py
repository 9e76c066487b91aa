"""HTTP and gRPC to a Triton server, behind one face.

Belongs here: connections, and how failures are called. Does not belong here: batches, retries and checks
(`client.py`), how HTTP carries tensors (`wire.py`), what servers say of themselves (`metadata.py`).
"""

from __future__ import annotations

import json
import os
import re
import ssl
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPSConnection
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jec_assets.serving.answer import limit, receive, time_left
from jec_assets.serving.metadata import ServedModel, ServerStatistics, record_in
from jec_assets.serving.tensors import LOG_FACTOR, OUTPUTS
from jec_assets.serving.wire import (
    JSON_LENGTH,
    NOT_AS_AGREED,
    InferRequest,
    MalformedAnswerError,
    Request,
    infer_path,
    message,
    model_path,
    outputs_in,
    triton_type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from numpy.typing import NDArray

    from jec_assets.serving.access import Access
    from jec_assets.serving.answer import Answer
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.tensors import PaddedJets

    Tensors = Mapping[str, NDArray[Any]]

Protocol = Literal["http", "grpc"]
PROTOCOLS: tuple[Protocol, ...] = ("http", "grpc")
TRANSIENT_STATUS = {"429", "502", "503", "504", "StatusCode.UNAVAILABLE", "StatusCode.RESOURCE_EXHAUSTED"}
UNKNOWN_CLIENT = {"401", "StatusCode.UNAUTHENTICATED"}
DISTRUSTED = "CERTIFICATE_VERIFY_FAILED"  # gRPC's only word for it
OUT_OF_TIME = "StatusCode.DEADLINE_EXCEEDED"
OK = 200
ADDRESS = re.compile(r"(\[[0-9a-f:.]+\]|([\w-]{1,63}\.)*[\w-]{1,63})(:(?P<port>\d{1,5}))?", re.ASCII | re.IGNORECASE)
HIGHEST_PORT = 65_535
CHANNEL = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's own pauses before it connects again, ms; they begin at a second, longer than this client's pauses.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class AddressError(ValueError):
    """What is no host:port."""


class RequestRefusedError(RuntimeError):
    """The server refused a request or failed to answer it; asking again would not help."""


class ServerUnavailableError(RuntimeError):
    """The server can't be reached, or is too busy, for now."""


class DeadlineError(TimeoutError):
    """The server had not answered when time was up."""


def side_by_side(answers: Mapping[str, NDArray[Any] | None], jets: int, who: str) -> NDArray[np.float32]:
    """Outputs in the order of `tensors.OUTPUTS`, float32 (jets, numbers per jet).

    RequestRefusedError, which begins with `who`, where they have another shape.
    """
    given = {}
    for name, width in OUTPUTS.items():
        answer = answers.get(name)
        if answer is None and name != LOG_FACTOR:
            continue
        if answer is None or answer.shape != (jets, width):
            shape = None if answer is None else answer.shape
            raise RequestRefusedError(f"{who} answered {jets} jets with {name} of shape {shape}")
        given[name] = np.asarray(answer, np.float32)
    return np.concatenate(list(given.values()), axis=1)


def tensors_of(library: ModuleType, batch: PaddedJets) -> list[Any]:
    """A batch as tritonclient's modules take it."""
    tensors = []
    for name, array in batch.arrays.items():
        tensor = library.InferInput(name, list(array.shape), triton_type(name, array.dtype.str))
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    return tensors


def grpc_arguments(access: Access | None) -> dict[str, Any]:
    """What tritonclient's gRPC clients are made with."""
    if access is None:
        return {"channel_args": CHANNEL}
    certificates = None if access.certificates is None else str(access.certificates)
    return {"channel_args": CHANNEL, "ssl": True, "root_certificates": certificates}


def checked(address: str) -> str:
    """The address; AddressError unless it is host:port, or a host at the protocol's own port."""
    parts = ADDRESS.fullmatch(address)
    if parts is None or int(parts["port"] or 0) > HIGHEST_PORT:
        raise AddressError(f"{address!r} is no address: give host:port, without a path")
    return address


@contextmanager
def translated(address: str) -> Iterator[None]:
    """Turns exceptions of connections and of tritonclient into the three of this module.

    Only a connection that can't be made, or is lost, is worth another attempt.
    """
    from tritonclient.utils import InferenceServerException

    try:
        yield
    except InferenceServerException as error:
        raise failure(address, str(error.status()), error.message()) from error
    except TimeoutError as error:
        raise DeadlineError(f"{address}: no answer in time") from error
    except MalformedAnswerError as error:
        raise RequestRefusedError(f"{address} doesn't answer as Triton does: {error}") from error
    except ssl.SSLCertVerificationError as error:
        raise distrusted(address, str(error)) from error
    except OSError as error:
        raise ServerUnavailableError(f"{address}: {error}") from error


@contextmanager
def understood() -> Iterator[None]:
    """Turns what comes of reading another server's words into MalformedAnswerError."""
    try:
        yield
    except (MalformedAnswerError, OSError):  # a certificate's fault is an OSError and a ValueError
        raise
    except NOT_AS_AGREED as error:
        raise MalformedAnswerError(f"what it says of the model can't be read ({error!r})") from error


def distrusted(address: str, message: str) -> RequestRefusedError:
    """The exception for a server's certificate that nobody vouches for."""
    remedy = "name the file of the authority that does (--certificates, or Access)"
    return RequestRefusedError(f"{address} shows a certificate that nobody here vouches for: {remedy}: {message}")


def failure(address: str, status: str, message: str) -> Exception:
    """The exception for a status of HTTP or of gRPC that isn't good."""
    if status == OUT_OF_TIME:
        return DeadlineError(f"{address}: no answer in time")
    if status in UNKNOWN_CLIENT:
        return RequestRefusedError(f"{address} wants a token that it knows (--token-file, or Access): {message}")
    if DISTRUSTED in message:
        return distrusted(address, message)
    kind = ServerUnavailableError if status in TRANSIENT_STATUS else RequestRefusedError
    return kind(f"{address}: {message}")


class Transport(ABC):
    """A connection to a server, made when it is first used and kept open.

    seconds: that a request may take. Every method raises RequestRefusedError, ServerUnavailableError or DeadlineError.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    @classmethod
    def connect(cls, address: str, protocol: Protocol, access: Access | None = None) -> Transport:
        """A connection to host:port; access: None for a server that asks for nothing, without TLS.

        AddressError for what is no address.
        """
        return {"http": HttpTransport, "grpc": GrpcTransport}[protocol](checked(address), access)

    def infer(self, family: str, batch: PaddedJets, version: str, seconds: float) -> NDArray[np.float32]:
        """The model's outputs in the order of `tensors.OUTPUTS`, float32 (jets, numbers per jet)."""
        with translated(self.address):
            answers = self._infer(family, batch, version, seconds)
        return side_by_side(answers, len(batch), f"{self.address}: {family}")

    def begin(self, family: str, batch: PaddedJets, version: str, seconds: float) -> Callable[[], NDArray[np.float32]]:
        """Send such a request; what waits for its outputs, to be called before this is used again, or never."""
        with translated(self.address):
            wait = self._begin(family, batch, version, seconds)

        def outputs() -> NDArray[np.float32]:
            with translated(self.address):
                answers = wait()
            return side_by_side(answers, len(batch), f"{self.address}: {family}")

        return outputs

    def model(self, family: str, seconds: float) -> ServedModel:
        """What is served under that name."""
        with translated(self.address), understood():
            return ServedModel.of(self._metadata(family, seconds))

    def record(self, family: str, seconds: float) -> PublishedModel | None:
        """The record that the model was published with; None where its configuration has none."""
        with translated(self.address), understood():
            return record_in(self._config(family, seconds))

    def statistics(self, family: str, seconds: float) -> ServerStatistics:
        """Statistics of a model, all its versions together."""
        with translated(self.address), understood():
            return ServerStatistics.of(self._statistics(family, seconds))

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    def _infer(self, family: str, batch: PaddedJets, version: str, seconds: float) -> Tensors:
        return self._begin(family, batch, version, seconds)()

    @abstractmethod
    def _begin(self, family: str, batch: PaddedJets, version: str, seconds: float) -> Callable[[], Tensors]: ...

    @abstractmethod
    def _metadata(self, family: str, seconds: float) -> dict[str, Any]: ...

    @abstractmethod
    def _config(self, family: str, seconds: float) -> dict[str, Any]: ...

    @abstractmethod
    def _statistics(self, family: str, seconds: float) -> dict[str, Any]: ...


class HttpTransport(Transport):
    """HTTP with binary tensors over one connection; to be used by one thread at a time."""

    def __init__(self, address: str, access: Access | None = None) -> None:
        super().__init__(address)
        self._connection = HTTPSConnection(address, context=access.context) if access else HTTPConnection(address)
        self._headers = {"Host": address, **(access.headers if access else {})}
        self._awaits_answer = False
        self._pid = os.getpid()

    def close(self) -> None:
        """See `Transport.close`."""
        self._disconnect()

    def _disconnect(self) -> None:
        self._connection.close()
        self._awaits_answer = False

    def _begin(self, family: str, batch: PaddedJets, version: str, seconds: float) -> Callable[[], Tensors]:
        end = time.monotonic() + seconds
        self._send("POST", infer_path(family, version), end, self._request(batch, end))

        def wait() -> Tensors:
            answer = self._receive(end)
            return outputs_in(answer.body, answer.headers.get(JSON_LENGTH.lower()))

        return wait

    def _request(self, batch: PaddedJets, _end: float) -> Request:
        return InferRequest.of(batch)

    def _metadata(self, family: str, seconds: float) -> dict[str, Any]:
        return self._told(model_path(family), seconds)

    def _config(self, family: str, seconds: float) -> dict[str, Any]:
        return self._told(f"{model_path(family)}/config", seconds)

    def _statistics(self, family: str, seconds: float) -> dict[str, Any]:
        return self._told(f"{model_path(family)}/stats", seconds)

    def _told(self, path: str, seconds: float) -> dict[str, Any]:
        end = time.monotonic() + seconds
        self._send("GET", path, end)
        told: dict[str, Any] = json.loads(self._receive(end).body)
        return told

    def _send(self, method: str, path: str, end: float, request: Request | None = None) -> None:
        """Send a request by `end` of the monotonic clock."""
        if os.getpid() != self._pid:
            self._disconnect()  # a process that was forked would send into its parent's requests
            self._pid = os.getpid()
        if self._awaits_answer:
            self._disconnect()  # what comes over it belongs to a request whose answer nobody waited for
        body, headers = (request.body, request.headers) if request else ((), {})
        with ExitStack() as failing:
            failing.callback(self._disconnect)  # what comes over it later belongs to this; the next connects again
            if self._connection.sock is None:
                self._connection.timeout = time_left(end)
                self._connection.connect()
            # HTTPConnection.request would send the head by itself, a tenth of a single jet's time.
            for part in message(method, path, {**self._headers, **headers}, body):
                limit(self._connection.sock, end)
                self._connection.send(part)
            failing.pop_all()
        self._awaits_answer = True

    def _receive(self, end: float) -> Answer:
        """The answer to what was sent, by `end` of the monotonic clock; an exception for one that isn't good."""
        with ExitStack() as failing:
            failing.callback(self._disconnect)
            answer = receive(self._connection.sock, end)
            if answer.stays:
                failing.pop_all()
        self._awaits_answer = False
        if answer.status != OK:
            raise failure(self.address, str(answer.status), reason(answer.body))
        return answer


def reason(content: bytes) -> str:
    """What Triton or a proxy says with a status that isn't 200."""
    try:
        return str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        words = re.sub(r"<[^>]*>", " ", content.decode(errors="replace")).split()  # proxies say it in HTML
        return " ".join(words)[:200]


class GrpcTransport(Transport):
    """gRPC over one channel."""

    def __init__(self, address: str, access: Access | None = None) -> None:
        import tritonclient.grpc

        super().__init__(address)
        self._library = tritonclient.grpc
        self._client = tritonclient.grpc.InferenceServerClient(address, **grpc_arguments(access))
        self._headers = access.headers if access else None

    def close(self) -> None:
        """See `Transport.close`."""
        self._client.close()

    def _infer(self, family: str, batch: PaddedJets, version: str, seconds: float) -> Tensors:
        tensors = tensors_of(self._library, batch)
        result = self._client.infer(
            family, tensors, model_version=version, client_timeout=seconds, headers=self._headers
        )
        return {name: result.as_numpy(name) for name in OUTPUTS}

    def _begin(self, family: str, batch: PaddedJets, version: str, seconds: float) -> Callable[[], Tensors]:
        tensors, answers = tensors_of(self._library, batch), SimpleQueue[tuple[Any, Exception | None]]()

        def answered(result: Any, error: Exception | None) -> None:
            answers.put((result, error))

        self._client.async_infer(
            family, tensors, answered, model_version=version, client_timeout=seconds, headers=self._headers
        )

        def wait() -> Tensors:
            result, error = answers.get()
            if error is not None:
                raise error
            return {name: result.as_numpy(name) for name in OUTPUTS}

        return wait

    def _metadata(self, family: str, seconds: float) -> dict[str, Any]:
        return dict(
            self._client.get_model_metadata(family, headers=self._headers, as_json=True, client_timeout=seconds)
        )

    def _config(self, family: str, seconds: float) -> dict[str, Any]:
        answer = self._client.get_model_config(family, headers=self._headers, as_json=True, client_timeout=seconds)
        return dict(answer["config"])

    def _statistics(self, family: str, seconds: float) -> dict[str, Any]:
        return dict(
            self._client.get_inference_statistics(family, headers=self._headers, as_json=True, client_timeout=seconds)
        )
