"""Where models are served, and having it serve them.

Belongs here: the endpoint, whether it is ready, loading published models. Does not belong here: starting a server
(`triton.py`) and inference (`client.py`).

An endpoint is this machine's own Triton (`LocalTriton.start_or_reuse`), one that runs already (`existing_endpoint`), or
replicas on a cluster (`jec_assets.serving.kubernetes`).
"""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jec_assets.serving.command_line import TOKEN_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import tritonclient.http

    from jec_assets.serving.record import PublishedModel

READY_TIMEOUT = 3.0  # seconds: a server that is healthy says so at once
LOAD_TIMEOUT = 120.0
UNLOAD_TIMEOUT = 5.0
POLL = 0.05


class EndpointError(RuntimeError):
    """The endpoint doesn't answer, or doesn't serve what it should."""


@dataclass(frozen=True)
class Endpoint:
    """A server. Addresses are host:port; metrics and pid are None where they aren't known.

    token_file: holds what the server wants to see before it loads models; None where it asks for nothing.
    replicas: name of a host that stands for all its replicas, on the same ports; None where there is one server.
    """

    kind: Literal["local", "url", "kubernetes"]
    http: str
    grpc: str
    metrics: str | None = None
    pid: int | None = None
    token_file: str | None = None
    replicas: str | None = None

    @property
    def url(self) -> str:
        """The HTTP address as people open it."""
        return f"http://{self.http}"

    def management_headers(self) -> dict[str, str]:
        """HTTP headers of requests that load, unload and list models; EndpointError if the token can't be read."""
        if self.token_file is None:
            return {}
        try:
            return {TOKEN_HEADER: Path(self.token_file).read_text().strip()}
        except OSError as error:
            raise EndpointError(
                f"models of {self.url} are managed by whoever may read {self.token_file}: {error.strerror}; ask the "
                "user who started it, or start it again"
            ) from error


def existing_endpoint(http: str, grpc: str, token_file: str | None = None) -> Endpoint:
    """A server that runs already, by its host:port of HTTP and of gRPC; EndpointError if it isn't ready."""
    addresses = http.removeprefix("http://").rstrip("/"), grpc.removeprefix("grpc://").rstrip("/")
    endpoint = Endpoint("url", *addresses, token_file=token_file)
    if not ready(endpoint):
        raise EndpointError(
            f"{endpoint.url}/v2/health/ready doesn't answer 200: start the server or set JEC_ENDPOINT_URL"
        )
    return endpoint


def replicas_of(endpoint: Endpoint) -> tuple[Endpoint, ...]:
    """The servers behind an endpoint, each of which loads models for itself; EndpointError where they aren't found."""
    if endpoint.replicas is None:
        return (endpoint,)
    try:
        found = socket.getaddrinfo(endpoint.replicas, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise EndpointError(f"the replicas of {endpoint.url} are not found: {endpoint.replicas}: {error}") from error
    return tuple(_replica(endpoint, host) for host in sorted({str(address[0]) for *_, address in found}))


def ready(endpoint: Endpoint) -> bool:
    """Whether the server takes requests now."""
    try:
        with connected(endpoint, READY_TIMEOUT) as server:
            return bool(server.is_server_ready())
    except EndpointError:
        return False


def live(endpoint: Endpoint) -> bool:
    """Whether the server answers at all, be it that it isn't ready."""
    try:
        with connected(endpoint, READY_TIMEOUT) as server:
            server.is_server_live()
    except EndpointError:
        return False
    return True


def listens(endpoint: Endpoint) -> bool:
    """Whether anything takes connections at its HTTP address, be it that it never answers."""
    host, _, port = endpoint.http.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=READY_TIMEOUT).close()
    except OSError:
        return False
    return True


def load(endpoint: Endpoint, models: Sequence[PublishedModel]) -> None:
    """Have the server serve these versions to whoever names none.

    All are tried before EndpointError says which failed, so that one broken model keeps no other from being served; the
    server keeps serving the version that it had of a model that fails.
    """
    failures: list[str] = []
    for replica in replicas_of(endpoint):
        with connected(replica, LOAD_TIMEOUT) as server:
            for model in models:
                failures += _load_one(replica, server, model.family, model.version)
    if failures:
        raise EndpointError(f"{endpoint.url} doesn't serve what is published: {'; '.join(failures)}")


def load_as(endpoint: Endpoint, name: str, version: int) -> None:
    """Have the server serve a version under a name that isn't its family's; EndpointError if it can't."""
    for replica in replicas_of(endpoint):
        with connected(replica, LOAD_TIMEOUT) as server:
            for failure in _load_one(replica, server, name, version):
                raise EndpointError(f"{replica.url} doesn't serve {failure}")


def unload(endpoint: Endpoint, name: str) -> None:
    """Have the server forget a name; one that it doesn't serve is none to forget. EndpointError if it can't."""
    for replica in replicas_of(endpoint):
        with connected(replica, LOAD_TIMEOUT) as server:
            server.unload_model(name, headers=replica.management_headers())


def load_again(endpoint: Endpoint, name: str) -> None:
    """Have the server end what computes for a model and start it anew; EndpointError if it can't.

    Only that repairs a model one of whose processes died: Triton doesn't load what it thinks it has.
    """
    with connected(endpoint, LOAD_TIMEOUT) as server:
        server.unload_model(name, headers=endpoint.management_headers())
        server.load_model(name, headers=endpoint.management_headers())


@contextmanager
def connected(endpoint: Endpoint, seconds: float) -> Iterator[tritonclient.http.InferenceServerClient]:
    """Triton's own HTTP client, for what isn't inference; what fails inside is an EndpointError.

    seconds: for the connection and for each answer
    """
    from tritonclient.http import InferenceServerClient
    from tritonclient.utils import InferenceServerException

    try:
        with InferenceServerClient(endpoint.http, connection_timeout=seconds, network_timeout=seconds) as server:
            yield server
    except (OSError, HTTPException, InferenceServerException) as error:
        raise EndpointError(f"{endpoint.url}: {error}") from error


def _replica(endpoint: Endpoint, host: str) -> Endpoint:
    name = f"[{host}]" if ":" in host else host

    def on_host(address: str) -> str:
        return f"{name}:{address.rpartition(':')[2]}"

    metrics = None if endpoint.metrics is None else on_host(endpoint.metrics)
    return replace(endpoint, http=on_host(endpoint.http), grpc=on_host(endpoint.grpc), metrics=metrics, replicas=None)


def _load_one(
    endpoint: Endpoint, server: tritonclient.http.InferenceServerClient, name: str, version: int
) -> Iterator[str]:
    from tritonclient.utils import InferenceServerException

    try:
        server.load_model(name, headers=endpoint.management_headers())
        # Triton answers before it has taken down the versions that the configuration names no more.
        deadline = time.monotonic() + UNLOAD_TIMEOUT
        while (versions := _versions(server, name)) and max(versions) != version and time.monotonic() < deadline:
            time.sleep(POLL)
    except (OSError, HTTPException, InferenceServerException) as error:
        yield f"{name}: {error}"
        return
    if max(versions, default=0) != version:
        yield f"{name}: version {version} is published, {versions} served from another repository"


def _versions(server: tritonclient.http.InferenceServerClient, name: str) -> list[int]:
    return [int(version) for version in server.get_model_metadata(name)["versions"]]
