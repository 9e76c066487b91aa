"""The model repository over HTTP, for people who have a token: list, show, fetch, upload, tag, delete.

Belongs here: addresses, the token, size limits, which error is which status. Does not belong here: what they do
(`catalog.py`, `uploads.py`, `repository.py`). Inference is Triton's, and promoting is an act of whoever runs the server
(`jec models promote`): an upload is stored and serves nobody.

    GET    /models                                        ?family= &since= &max_loss= &data_digest= &tag=
    GET    /models/{family}/versions/{version}
    GET    /models/{family}/versions/{version}/model.onnx
    POST   /models/{family}/versions                      form: card (JSON, `UploadedCard`), model (the file)
    DELETE /models/{family}/versions/{version}
    PUT    /models/{family}/tags/{tag}                    JSON: {"version": 3}
    DELETE /models/{family}/tags/{tag}

Every request carries `Authorization: Bearer <token>`.
"""

from __future__ import annotations

import hmac
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from jec_assets.serving.catalog import DateError, Query, entry_of, moment, search
from jec_assets.serving.layout import ModelNameError, check_name
from jec_assets.serving.repository import UnpublishedModelError, VersionInUseError
from jec_assets.serving.tags import UnknownTagError, remove_tag, set_tag
from jec_assets.serving.uploads import InvalidModelError, UploadedCard, check_model
from jec_assets.serving.version_store import BrokenRepositoryError
from jec_assets.storage import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from jec_assets.serving.repository import ModelRepository

MAX_UPLOAD = 256 << 20  # bytes of a request; the largest network of the study has a few MB
SHORTEST_TOKEN = 16  # characters
STATUS: dict[type[Exception], int] = {
    BrokenRepositoryError: 500,
    ConflictError: 409,
    DateError: 422,
    InvalidModelError: 422,
    ModelNameError: 422,
    UnknownTagError: 404,
    UnpublishedModelError: 404,
    VersionInUseError: 409,
}


class WeakTokenError(ValueError):
    """A token that is missing or too short to keep anybody out."""


class TaggedVersion(BaseModel):
    """The version that a tag is given to."""

    version: int


class Guard:
    """What stands before the service: nothing of a request is read without the token, or beyond so many bytes."""

    def __init__(self, service: ASGIApp, token: str, max_upload: int) -> None:
        if len(token) < SHORTEST_TOKEN:
            raise WeakTokenError(
                f"the token must have {SHORTEST_TOKEN} characters or more: make one with `openssl rand -hex 32`"
            )
        self._service = service
        self._expected = f"Bearer {token}".encode()
        self._max_upload = max_upload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] != "http":
            await self._service(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            answer = _refusal(401, "send the repository's token: Authorization: Bearer <token>")
            answer.headers["WWW-Authenticate"] = "Bearer"
            await answer(scope, receive, send)
        elif length.isdigit() and int(length) > self._max_upload:
            await _refusal(413, self._too_large)(scope, receive, send)
        else:
            await self._service(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        """The body, cut off where it is too long: who sends chunks says no length before."""
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_upload:
                raise HTTPException(413, self._too_large)
            return message

        return counted

    @property
    def _too_large(self) -> str:
        return f"a request may have {self._max_upload:,} bytes"


def repository_service(repository: ModelRepository, token: str, max_upload: int = MAX_UPLOAD) -> Guard:
    """The service, for an ASGI server; WeakTokenError for a token that is too short. max_upload: bytes of a request."""
    service = FastAPI(title="Model repository", docs_url=None, redoc_url=None, openapi_url=None)
    for error, status in STATUS.items():
        service.add_exception_handler(error, _teller(status))
    writing = Lock()  # one writer at a time
    _add_reading(service, repository)
    _add_uploading(service, repository, writing)
    _add_changing(service, repository, writing)
    return Guard(service, token, max_upload)


def _add_reading(service: FastAPI, repository: ModelRepository) -> None:
    @service.get("/models")
    def find(
        family: str | None = None,
        since: str | None = None,
        max_loss: float | None = None,
        data_digest: str | None = None,
        tag: str | None = None,
    ) -> dict[str, Any]:
        query = Query(family, moment(since) if since else None, max_loss, data_digest, tag)
        found = search(repository, query)
        return {"models": [entry.to_dict() for entry in found.entries], "damaged": list(found.damaged)}

    @service.get("/models/{family}/versions/{version}")
    def show(family: str, version: int) -> dict[str, Any]:
        return entry_of(repository, check_name(family), version).to_dict()

    @service.get("/models/{family}/versions/{version}/model.onnx")
    def fetch(family: str, version: int) -> Response:
        model = repository.stored(check_name(family), version)
        return Response(repository.onnx(model), media_type="application/octet-stream")


def _add_uploading(service: FastAPI, repository: ModelRepository, writing: Lock) -> None:
    @service.post("/models/{family}/versions", status_code=201)
    def upload(family: str, card: Annotated[str, Form()], model: UploadFile) -> dict[str, Any]:
        check_name(family)
        try:
            said = UploadedCard.model_validate_json(card)
        except ValidationError as error:
            raise InvalidModelError(f"card: {error.errors(include_url=False, include_input=False)}") from error
        onnx = model.file.read()
        whole = said.card(family, onnx)
        check_model(onnx, whole.widths)
        with writing:
            stored = repository.store(whole, onnx)
        return entry_of(repository, family, stored.version).to_dict()


def _add_changing(service: FastAPI, repository: ModelRepository, writing: Lock) -> None:
    @service.delete("/models/{family}/versions/{version}", status_code=204)
    def delete(family: str, version: int) -> None:
        with writing:
            repository.remove(check_name(family), version)

    @service.put("/models/{family}/tags/{tag}", status_code=204)
    def give_tag(family: str, tag: str, tagged: TaggedVersion) -> None:
        with writing:
            set_tag(repository.storage, family, tag, repository.stored(check_name(family), tagged.version).version)

    @service.delete("/models/{family}/tags/{tag}", status_code=204)
    def take_tag(family: str, tag: str) -> None:
        with writing:
            remove_tag(repository.storage, check_name(family), tag)


def _teller(status: int) -> Callable[[Request, Exception], Response]:
    def tell(_: Request, error: Exception) -> Response:
        return _refusal(status, str(error))

    return tell


def _refusal(status: int, said: str) -> JSONResponse:
    return JSONResponse({"detail": said}, status)
