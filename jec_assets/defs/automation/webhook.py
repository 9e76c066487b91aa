"""Telling another program of something, as JSON by an HTTP POST to a URL that nobody else may know.

Belongs here: reading that URL from its file, sending, and trying again. Does not belong here: what is told
(`failures.py`). The URL is a secret: no message, log line or exception here contains it.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

if TYPE_CHECKING:
    from pathlib import Path

# Five failures may be told in one look of a sensor, which may take a minute.
SECONDS = 3.0
ATTEMPTS = 3
FIRST_PAUSE = 0.5  # seconds; the next is twice as long
TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500


class WebhookError(RuntimeError):
    """The webhook was not told; the message says why, and not where it is."""


class _TransientError(WebhookError):
    """The same, for a reason that may pass."""


@dataclass(frozen=True)
class Webhook:
    """Where to tell. Its URL is not shown where the object is."""

    file: Path

    def tell(self, message: Mapping[str, str | None]) -> None:
        """Send a message, a few times where the server fails in a way that may pass. Raises WebhookError."""
        request = urllib.request.Request(  # noqa: S310 - `_url` lets http and https through
            self._url(), json.dumps(message).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        attempts = Retrying(
            retry=retry_if_exception_type(_TransientError),
            wait=wait_exponential(multiplier=FIRST_PAUSE),
            stop=stop_after_attempt(ATTEMPTS),
            reraise=True,
        )
        attempts(_send, request)

    def _url(self) -> str:
        try:
            url = self.file.read_text(encoding="utf-8").strip()
        except OSError as fault:
            raise WebhookError(
                f"{self.file} is to hold the webhook's URL and can't be read ({fault.strerror}): "
                "write it, or unset JEC_FAILURE_WEBHOOK_FILE"
            ) from fault
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise WebhookError(f"{self.file} does not hold an http:// or https:// URL: write one")
        return url


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET without the message, perhaps to another host."""

    def redirect_request(self, *_: object) -> None:
        """Take the redirect for the answer, an error."""


def _send(request: urllib.request.Request) -> None:
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=SECONDS):
            return
    except urllib.error.HTTPError as answer:
        answer.close()
        passes = answer.code == TOO_MANY_REQUESTS or answer.code >= SERVER_ERROR
        error = _TransientError if passes else WebhookError
        raise error(f"the webhook answered {answer.code}") from None
    except (OSError, http.client.HTTPException) as fault:  # URLError and time-outs are OSErrors
        reason = getattr(fault, "reason", fault)
        raise _TransientError(f"the webhook can't be reached: {reason!r}") from None
