"""Can the model repository be reached, and how does Triton call it?

Belongs here: addresses of repositories on S3. Does not belong here: what lies there (`repository.py`).

Triton waits for a dead S3 server for a quarter of a minute and more, several times a model, without a word: whoever
has it read a repository asks first.
"""

from __future__ import annotations

import os
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

TIMEOUT = 3.0  # seconds: an S3 server that lives answers any request within that, be it with a refusal
SCHEME = "s3://"


class UnreachableRepositoryError(RuntimeError):
    """The server that holds the model repository doesn't answer."""


def require_reachable(repository: str) -> None:
    """UnreachableRepositoryError, within seconds, if an s3:// repository's server doesn't answer; folders pass."""
    if not repository.startswith(SCHEME):
        return
    server = urlsplit(_server())
    connect = HTTPConnection if server.scheme == "http" else HTTPSConnection
    connection = connect(str(server.hostname), server.port, timeout=TIMEOUT)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, HTTPException) as error:
        raise UnreachableRepositoryError(
            f"{repository}: its server {server.geturl()} doesn't answer within {TIMEOUT:.0f} s ({error}): start it, or "
            "set AWS_ENDPOINT_URL to the right address; models that are loaded are served all the same"
        ) from error
    finally:
        connection.close()


def triton_address(repository: str) -> str:
    """The repository as Triton wants it named: it reads no AWS_ENDPOINT_URL, the server stands in the address."""
    if not repository.startswith(SCHEME) or not _configured():
        return repository
    return f"{SCHEME}{_server()}/{repository.removeprefix(SCHEME)}"


def _server() -> str:
    region = os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
    return _configured() or f"https://s3.{region}.amazonaws.com"


def _configured() -> str:
    """The S3 server that every S3 client of this machine is told to use; empty: Amazon's."""
    address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    return address.rstrip("/")
