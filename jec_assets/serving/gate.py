"""A gate before Triton's HTTP: requests for inference get through if what they claim can be.

Belongs here: receiving a request, passing it on, and which fault is which status. Does not belong here: what is
refused (`claims.py`), tokens and TLS (deployments/proxy). It listens on this machine only: a proxy stands before it.

    POST /v2/models/{model}/infer
    POST /v2/models/{model}/versions/{version}/infer

Answers are Triton's own, byte for byte. Refusals are JSON, {"error": "<field>: ..."}, but for what is no HTTP, which
aiohttp refuses in its own words.
"""

from __future__ import annotations

import asyncio
import re
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web

from jec_assets.processes import LOOPBACK
from jec_assets.serving.claims import ClaimError, checked_request
from jec_assets.serving.wire import JSON_LENGTH, SMALL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from jec_assets.serving.claims import CheckedRequest

LARGEST = 64 << 20  # bytes of a request, as in deployments/proxy/jec.conf.template
AT_ONCE = 1 << 18  # bytes
ANSWER_WITHIN = 120.0  # seconds that Triton has, as in that template
END_WITHIN = 5.0  # seconds for requests under way when the gate is asked to end
# No name of a model begins with a dot or needs to be encoded: there is one way to write each.
INFER = re.compile(r"/v2/models/\w[\w.-]*(/versions/[0-9]+)?/infer", re.ASCII)
PASSED_BACK = ("Content-Type", JSON_LENGTH)
TOO_LARGE = f"request: may have {LARGEST:,} bytes"


@asynccontextmanager
async def open_gate(triton: str, port: int, answer_within: float = ANSWER_WITHIN) -> AsyncIterator[None]:
    """A gate on this port, to the Triton at host:port, as long as the context lasts; OSError where it can't listen."""
    session = ClientSession(
        connector=TCPConnector(limit=0),
        timeout=ClientTimeout(total=answer_within),
        cookie_jar=DummyCookieJar(),
        # aiohttp would ask for compressed answers, and Triton would take its time for them.
        skip_auto_headers=("Accept-Encoding", "User-Agent"),
    )
    application = web.Application(client_max_size=LARGEST)
    application.router.add_route("*", r"/{path:[\s\S]*}", Gate(session, triton).answer)
    # What is compressed is refused and never unpacked, not even where aiohttp skips what nobody read.
    runner = web.AppRunner(application, access_log=None, auto_decompress=False, shutdown_timeout=END_WITHIN)
    async with session:
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
            yield
        finally:
            await runner.cleanup()


async def run_gate(triton: str, port: int, opened: Callable[[], None]) -> None:
    """Such a gate until this process is asked to end by SIGTERM or SIGINT; `opened` is called when it listens."""
    asked_to_end, loop = asyncio.Event(), asyncio.get_running_loop()
    async with open_gate(triton, port):
        for ending in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(ending, asked_to_end.set)
        opened()
        await asked_to_end.wait()


class RefusedError(Exception):
    """What is answered in the place of Triton, and with which status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Gate:
    """Answers requests over connections to a Triton that are kept open."""

    def __init__(self, session: ClientSession, triton: str) -> None:
        self._session, self._triton = session, triton

    async def answer(self, request: web.Request) -> web.Response:
        """Triton's answer, or why there is none."""
        lengths = request.headers.getall(JSON_LENGTH, ())
        try:
            _check_head(request)
            checked = checked_request(await _body(request), ", ".join(lengths) if lengths else None)
            return await self._passed_on(request.raw_path, checked)
        except ClaimError as error:
            return web.json_response({"error": str(error)}, status=400)
        except RefusedError as error:
            return web.json_response({"error": str(error)}, status=error.status)

    async def _passed_on(self, path: str, request: CheckedRequest) -> web.Response:
        url, told = f"http://{self._triton}{path}", dict(request.headers)
        try:
            async with self._session.post(url, data=_sent(request), headers=told, allow_redirects=False) as answer:
                content = await answer.read()
        except TimeoutError as error:
            raise RefusedError(504, f"{self._triton} did not answer in time") from error
        except ClientError as error:
            raise RefusedError(503, f"{self._triton} can't be reached: {error}") from error
        back = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        return web.Response(body=content, status=answer.status, headers=back)


def _check_head(request: web.Request) -> None:
    """Refuse what is known to be refused before its body is read."""
    if request.method != "POST" or not INFER.fullmatch(request.raw_path):
        raise RefusedError(404, "request: only inference passes here, POST /v2/models/{model}/infer")
    if any(encoding.lower() != "identity" for encoding in request.headers.getall("Content-Encoding", ())):
        raise RefusedError(415, "Content-Encoding: must be identity")
    if (request.content_length or 0) > LARGEST:
        raise RefusedError(413, TOO_LARGE)


async def _body(request: web.Request) -> bytes:
    """The request's body, whole."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:  # who sends chunks says no length before
        raise RefusedError(413, TOO_LARGE) from error
    except (ConnectionError, web.RequestPayloadError) as error:  # mostly nobody is left who could read this
        raise RefusedError(400, "request: broke off") from error


def _sent(request: CheckedRequest) -> bytes | AsyncIterator[bytes | memoryview]:
    """The body as aiohttp takes it: in one piece where there is little of it, which is quicker than what is copied."""
    return b"".join(request.body) if sum(map(len, request.body)) < SMALL else _parts(request)


async def _parts(request: CheckedRequest) -> AsyncIterator[bytes | memoryview]:
    """The body, a little at a time: what a connection doesn't take at once, asyncio copies."""
    for part in request.body:
        for start in range(0, len(part), AT_ONCE):
            yield part[start : start + AT_ONCE]
