"""Can the model repository be reached?

Belongs here: asking its server. Does not belong here: what lies there (`repository.py`).

Triton waits for a dead S3 server for a quarter of a minute and more, several times a model, without a word: whoever
has it read a repository asks first.
"""

from __future__ import annotations

import os
import ssl
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

TIMEOUT = 3.0  # seconds: an S3 server that lives answers any request within that, be it with a refusal
PAUSE = 0.3  # seconds, before it is asked again
SCHEME = "s3://"


class UnreachableRepositoryError(RuntimeError):
    """The server that holds the model repository doesn't answer."""


def require_reachable(repository: str) -> None:
    """UnreachableRepositoryError, within seconds, if an s3:// repository's server doesn't answer; folders pass."""
    if not repository.startswith(SCHEME):
        return
    server, faults = urlsplit(_server(repository)), (OSError, HTTPException)
    attempts = Retrying(
        stop=stop_after_delay(TIMEOUT), wait=wait_fixed(PAUSE), retry=retry_if_exception_type(faults), reraise=True
    )
    try:
        attempts(_ask, server)
    except faults as error:
        raise _unreachable(repository, server, str(error)) from error


def _ask(server: SplitResult) -> None:
    with closing(_connection(server)) as connection:
        connection.request("GET", "/")
        status = connection.getresponse().status
    if status >= 500:  # so does what stands before a server that is gone; a busy one does once
        raise HTTPException(f"status {status}")


def _connection(server: SplitResult) -> HTTPConnection:
    if server.scheme == "http":
        return HTTPConnection(str(server.hostname), server.port, timeout=TIMEOUT)
    trusted = ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
    return HTTPSConnection(str(server.hostname), server.port, timeout=TIMEOUT, context=trusted)


def _unreachable(repository: str, server: SplitResult, fault: str) -> UnreachableRepositoryError:
    return UnreachableRepositoryError(
        f"{repository}: its server {server.geturl()} doesn't answer within {TIMEOUT:.0f} s ({fault}): start it, or set "
        "AWS_ENDPOINT_URL to the right address; models that are loaded are served all the same"
    )


def _server(repository: str) -> str:
    """The S3 server of a repository as Triton names it: the address may begin with it, else it is Amazon's."""
    place = repository.removeprefix(SCHEME)
    if "://" in place:
        server = urlsplit(place)
        return f"{server.scheme}://{server.netloc}"
    return f"https://s3.{os.environ.get('AWS_DEFAULT_REGION', 'us-east-1')}.amazonaws.com"
