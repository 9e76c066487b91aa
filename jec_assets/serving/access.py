"""How a server is reached that stands behind a proxy: TLS, and a token.

Belongs here: what a client shows and whom it trusts. Does not belong here: connections (`transport.py`,
`async_transport.py`) and the proxy itself (`deployments/proxy`).
"""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_TOKEN = re.compile(r"[\x21-\x7e]+")  # what a header can carry


class AccessError(ValueError):
    """The token or the certificates can't be used."""


@dataclass(frozen=True)
class Access:
    """TLS to a server, which is shown a token; a token never goes over a connection without TLS.

    token: what the proxy was given as JEC_PROXY_TOKEN; None: none is asked for. certificates: PEM file of the
    authorities that vouch for the server; None: the machine's. AccessError where they can't be used.
    """

    token: str | None = field(default=None, repr=False)
    certificates: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a token that would end a header."""
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise AccessError("a token has letters, digits and signs, no spaces and no line ends: strip what was read")

    @classmethod
    def by_files(cls, token_file: Path | None, certificates: Path | None = None) -> Access:
        """The token is in a file."""
        try:
            token = None if token_file is None else token_file.read_text().strip()
        except OSError as error:
            raise AccessError(f"the token can't be read: {error}") from error
        return cls(token, certificates)

    @cached_property
    def context(self) -> ssl.SSLContext:
        """Whom a connection trusts."""
        try:
            return ssl.create_default_context(cafile=None if self.certificates is None else str(self.certificates))
        except OSError as error:  # ssl.SSLError is one
            raise AccessError(f"{self.certificates} holds no certificates: {error}") from error

    @property
    def headers(self) -> dict[str, str]:
        """What goes with every request, HTTP and gRPC."""
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}
