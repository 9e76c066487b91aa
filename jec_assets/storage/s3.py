"""How S3 servers are spoken to: addressing, patience, and what their faults mean.

Belongs here: the options that every S3 client of this project is made with, and the reading of S3's errors. Does not
belong here: what is stored (`root.py`). Endpoint, region, credentials and trusted certificates are none of these
options: they come from the variables that every S3 client reads (AWS_ENDPOINT_URL, AWS_DEFAULT_REGION,
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_CA_BUNDLE).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
CHANGED = {409, 412}  # another writer was at it in the same moment; a precondition doesn't hold


@dataclass(frozen=True)
class S3Access:
    """How a client asks.

    addressing: `path` puts the bucket behind the server's name, `virtual` into it; `auto` is virtual for Amazon and
    path for every other server, unless AWS's configuration file says otherwise
    attempts: of a request, with growing pauses, where a server fails or is silent. s3fs makes up to five rounds of them
    connect_seconds, read_seconds: how long a server may be silent
    """

    addressing: Literal["auto", "path", "virtual"] = "auto"
    attempts: int = 3
    connect_seconds: float = 3.0
    read_seconds: float = 15.0

    def options(self) -> dict[str, Any]:
        """Options of s3fs's file system, whoever makes it: this package, UPath, uproot."""
        config: dict[str, Any] = {
            "retries": {"mode": "standard", "total_max_attempts": self.attempts},
            "connect_timeout": self.connect_seconds,
            "read_timeout": self.read_seconds,
        }
        if self.addressing != "auto":
            config["s3"] = {"addressing_style": self.addressing}
        # s3fs would answer from its memory of a listing, which misses what other processes write.
        return {"use_listings_cache": False, "config_kwargs": config}


def s3_faults() -> tuple[type[Exception], ...]:
    """Everything that s3fs raises where a server fails, refuses or can't be reached."""
    from aiohttp import ClientError as ConnectionFault
    from botocore.exceptions import BotoCoreError, ClientError

    return OSError, BotoCoreError, ClientError, ConnectionFault


def is_changed(fault: BaseException) -> bool:
    """Whether the server refused because the object is another one by now."""
    from s3fs.utils import FileExpired

    return isinstance(fault, FileExpired) or _answer(fault)[1] in CHANGED


def is_refusal(fault: BaseException) -> bool:
    """Whether asking again would be refused again: credentials, rights, names."""
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError

    lasting = FileNotFoundError, PermissionError, NoCredentialsError, PartialCredentialsError
    return any(isinstance(each, lasting) for each in _chain(fault)) or _answer(fault)[1] in {400, 401, 403, 404}


def explained(fault: BaseException) -> str:
    """What the fault means, and what to do."""
    from aiohttp import ClientError as ConnectionFault
    from botocore.exceptions import ConnectionError as Unreachable
    from botocore.exceptions import HTTPClientError, NoCredentialsError, PartialCredentialsError, SSLError

    lost = HTTPClientError, Unreachable, ConnectionFault, TimeoutError, ConnectionError

    code, status = _answer(fault)
    kinds = tuple(_chain(fault))
    if code in EXPIRED:
        meaning = "the credentials have expired: get new ones and run it again"
    elif any(isinstance(each, NoCredentialsError | PartialCredentialsError) for each in kinds):
        meaning = "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    elif status in {401, 403} or any(isinstance(each, PermissionError) for each in kinds):
        meaning = "it is refused: check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, their age and their rights here"
    elif status == 404 or any(isinstance(each, FileNotFoundError) for each in kinds):
        meaning = "there is no such bucket or object: check the address"
    elif any(isinstance(each, SSLError) for each in kinds):
        meaning = "its certificate isn't trusted: set AWS_CA_BUNDLE to the certificates of its authority"
    elif status is not None and status >= 500:
        meaning = "the server fails or is overloaded: run it again later"
    elif any(isinstance(each, lost) for each in kinds):
        meaning = "the server doesn't answer: check that it runs and AWS_ENDPOINT_URL, then run it again"
    else:
        meaning = "check the address, AWS_ENDPOINT_URL and the server, then run it again"
    return f"{_first_line(fault)}; {meaning}"


def _chain(fault: BaseException | None) -> Iterator[BaseException]:
    while fault is not None:
        yield fault
        fault = fault.__cause__


def _answer(fault: BaseException) -> tuple[str | None, int | None]:
    """The server's error code and HTTP status, where it answered at all."""
    from botocore.exceptions import ClientError

    for each in _chain(fault):
        if isinstance(each, ClientError):
            return each.response.get("Error", {}).get("Code"), each.response["ResponseMetadata"].get("HTTPStatusCode")
    return None, None


def _first_line(fault: BaseException) -> str:
    return str(fault).strip().split("\n", 1)[0][:300] or type(fault).__name__
