"""Where models are served, and having it serve them.

Belongs here: the endpoint, whether it is ready, loading published models. Does not belong here: starting a server
(`triton.py`) and inference (`client.py`).

An endpoint is this machine's own Triton (`LocalTriton.start_or_reuse`) or one that runs already (`existing_endpoint`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import tritonclient.http

    from jec_assets.serving.record import PublishedModel

READY_TIMEOUT = 3.0  # seconds: a server that is healthy says so at once
LOAD_TIMEOUT = 120.0


class EndpointError(RuntimeError):
    """The endpoint doesn't answer, or doesn't serve what it should."""


@dataclass(frozen=True)
class Endpoint:
    """A server. Addresses are host:port; metrics and pid are None where they aren't known."""

    kind: Literal["local", "url"]
    http: str
    grpc: str
    metrics: str | None = None
    pid: int | None = None

    @property
    def url(self) -> str:
        """The HTTP address as people open it."""
        return f"http://{self.http}"


def existing_endpoint(http: str, grpc: str) -> Endpoint:
    """A server that runs already, by its host:port of HTTP and of gRPC; EndpointError if it isn't ready."""
    endpoint = Endpoint("url", http.removeprefix("http://").rstrip("/"), grpc.removeprefix("grpc://").rstrip("/"))
    if not ready(endpoint):
        raise EndpointError(
            f"{endpoint.url}/v2/health/ready doesn't answer 200: start the server or set JEC_ENDPOINT_URL"
        )
    return endpoint


def ready(endpoint: Endpoint) -> bool:
    """Whether the server takes requests now."""
    from tritonclient.utils import InferenceServerException

    try:
        with _server(endpoint, READY_TIMEOUT) as server:
            return bool(server.is_server_ready())
    except (OSError, HTTPException, InferenceServerException):
        return False


def load(endpoint: Endpoint, models: Sequence[PublishedModel]) -> None:
    """Have the server serve these versions to whoever names none.

    All are tried before EndpointError says which failed, so that one broken model keeps no other from being served; the
    server keeps serving the version that it had of a model that fails.
    """
    with _server(endpoint, LOAD_TIMEOUT) as server:
        failures = [failure for model in models for failure in _load_one(server, model.family, model.version)]
    if failures:
        raise EndpointError(f"{endpoint.url} doesn't serve what is published: {'; '.join(failures)}")


def load_as(endpoint: Endpoint, name: str, version: int) -> None:
    """Have the server serve a version under a name that isn't its family's; EndpointError if it can't."""
    with _server(endpoint, LOAD_TIMEOUT) as server:
        failures = list(_load_one(server, name, version))
    if failures:
        raise EndpointError(f"{endpoint.url}: {failures[0]}")


def unload(endpoint: Endpoint, name: str) -> None:
    """Have the server serve a model no more; fine where it doesn't. EndpointError if it can't be asked."""
    from tritonclient.utils import InferenceServerException

    try:
        with _server(endpoint, LOAD_TIMEOUT) as server:
            server.unload_model(name)
    except (OSError, HTTPException, InferenceServerException) as error:
        raise EndpointError(f"{endpoint.url} can't unload {name}: {error}") from error


def _load_one(server: tritonclient.http.InferenceServerClient, name: str, version: int) -> Iterator[str]:
    from tritonclient.utils import InferenceServerException

    try:
        server.load_model(name)
        versions = server.get_model_metadata(name)["versions"]
    except (OSError, HTTPException, InferenceServerException) as error:
        yield f"{name}: {error}"
        return
    if max(map(int, versions), default=0) != version:
        yield f"{name}: version {version} is published, {versions} served from another repository"


@contextmanager
def _server(endpoint: Endpoint, seconds: float) -> Iterator[tritonclient.http.InferenceServerClient]:
    from tritonclient.http import InferenceServerClient

    with InferenceServerClient(endpoint.http, connection_timeout=seconds, network_timeout=seconds) as server:
        yield server
