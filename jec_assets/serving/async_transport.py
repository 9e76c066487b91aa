"""HTTP and gRPC to a Triton server for asyncio, behind one face.

Belongs here: connections of an event loop. Does not belong here: what servers say of themselves (`metadata.py`), how
failures are called (`transport.py`), and how many requests there are at once (`async_client.py`).
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeVar

from jec_assets.serving.metadata import ServedModel, record_in
from jec_assets.serving.tensors import OUTPUTS
from jec_assets.serving.transport import (
    OK,
    ServerUnavailableError,
    checked,
    failure,
    grpc_arguments,
    reason,
    side_by_side,
    tensors_of,
    translated,
    understood,
)
from jec_assets.serving.wire import JSON_LENGTH, InferRequest, MalformedAnswerError, infer_path, model_path, outputs_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from jec_assets.serving.access import Access
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.tensors import PaddedJets
    from jec_assets.serving.transport import Protocol

T = TypeVar("T")


class AsyncTransport(ABC):
    """Connections to a server, as many as there are requests under way, kept open; made in a running event loop."""

    def __init__(self, address: str) -> None:
        self.address = address

    @classmethod
    def connect(cls, address: str, protocol: Protocol, access: Access | None = None) -> AsyncTransport:
        """See `Transport.connect`."""
        return {"http": AsyncHttpTransport, "grpc": AsyncGrpcTransport}[protocol](checked(address), access)

    async def in_time(self, answer: Awaitable[T], seconds: float) -> T:
        """What a method below answers; DeadlineError after so long, else the errors of `Transport`."""
        from aiohttp import ClientConnectorCertificateError, ClientError, ClientResponseError

        with translated(self.address):
            try:
                async with asyncio.timeout(seconds):
                    return await answer
            except ClientConnectorCertificateError:
                raise
            except ClientResponseError as error:
                raise MalformedAnswerError(str(error)) from error
            except ClientError as error:
                raise ServerUnavailableError(f"{self.address}: {error}") from error

    async def infer(self, family: str, batch: PaddedJets, version: str) -> NDArray[np.float32]:
        """See `Transport.infer`."""
        answers = await self._infer(family, batch, version)
        return side_by_side(answers, len(batch), f"{self.address}: {family}")

    async def model(self, family: str) -> ServedModel:
        """See `Transport.model`."""
        with understood():
            return ServedModel.of(await self._metadata(family))

    async def record(self, family: str) -> PublishedModel | None:
        """See `Transport.record`."""
        with understood():
            return record_in(await self._config(family))

    @abstractmethod
    async def close(self) -> None:
        """Close the connections."""

    @abstractmethod
    async def _infer(self, family: str, batch: PaddedJets, version: str) -> Mapping[str, NDArray[Any]]: ...

    @abstractmethod
    async def _metadata(self, family: str) -> dict[str, Any]: ...

    @abstractmethod
    async def _config(self, family: str) -> dict[str, Any]: ...


class AsyncHttpTransport(AsyncTransport):
    """HTTP with binary tensors.

    tritonclient's asyncio client hands megabytes to aiohttp in one piece, which stops the event loop while it is sent.
    """

    def __init__(self, address: str, access: Access | None = None) -> None:
        from aiohttp import ClientSession, ClientTimeout, TCPConnector

        super().__init__(address)
        self._session = ClientSession(
            f"{'https' if access else 'http'}://{address}",
            connector=TCPConnector(limit=0, ssl=access.context if access else True),
            headers=access.headers if access else None,
            timeout=ClientTimeout(total=None),
        )

    async def close(self) -> None:
        """See `AsyncTransport.close`."""
        await self._session.close()
        # aiohttp lets go of its sockets in the loop's next turn, which there may be none of otherwise.
        await asyncio.sleep(0)

    async def _infer(self, family: str, batch: PaddedJets, version: str) -> Mapping[str, NDArray[Any]]:
        request = InferRequest.of(batch)
        body = BytesIO(b"".join(request.body))
        path = infer_path(family, version)
        async with self._session.post(path, data=body, headers=dict(request.headers)) as answer:
            content = await answer.read()
            self._check(answer.status, content)
            return outputs_in(content, answer.headers.get(JSON_LENGTH))

    async def _metadata(self, family: str) -> dict[str, Any]:
        return await self._told(model_path(family))

    async def _config(self, family: str) -> dict[str, Any]:
        return await self._told(f"{model_path(family)}/config")

    async def _told(self, path: str) -> dict[str, Any]:
        async with self._session.get(path) as answer:
            content = await answer.read()
        self._check(answer.status, content)
        told: dict[str, Any] = json.loads(content)
        return told

    def _check(self, status: int, content: bytes) -> None:
        if status != OK:
            raise failure(self.address, str(status), reason(content))


class AsyncGrpcTransport(AsyncTransport):
    """gRPC over one channel."""

    def __init__(self, address: str, access: Access | None = None) -> None:
        import tritonclient.grpc.aio

        super().__init__(address)
        self._library = tritonclient.grpc.aio
        self._client = tritonclient.grpc.aio.InferenceServerClient(address, **grpc_arguments(access))
        self._headers = access.headers if access else None

    async def close(self) -> None:
        """See `AsyncTransport.close`."""
        await self._client.close()

    async def _infer(self, family: str, batch: PaddedJets, version: str) -> Mapping[str, NDArray[Any]]:
        tensors = tensors_of(self._library, batch)
        result = await self._client.infer(family, tensors, model_version=version, headers=self._headers)
        return {name: result.as_numpy(name) for name in OUTPUTS}

    async def _metadata(self, family: str) -> dict[str, Any]:
        return dict(await self._client.get_model_metadata(family, headers=self._headers, as_json=True))

    async def _config(self, family: str) -> dict[str, Any]:
        answer = await self._client.get_model_config(family, headers=self._headers, as_json=True)
        return dict(answer["config"])
