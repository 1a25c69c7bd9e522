"""What is served: the metrics, a page for people and one for programs, the two questions of an orchestrator, the reload.

Nothing here asks OpenStack anything: every answer is made from what the pollers last saw.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.filters import WrongFilterError
from exporter.landing import StatusPage, landing_page
from exporter.web.server import WrongAddressError

#: Pages made at the same time; more would only share the interpreter and multiply the memory.
MOST_PAGES_AT_ONCE = 4

_WORTH_COMPRESSING = 500
#: Half the time of zlib's default for a tenth more bytes.
_COMPRESSION = 4

_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
_MIGRATIONS = "/api/v1/migrations"
_OWN_PATHS = ("/-/healthy", "/-/ready", "/-/reload", _MIGRATIONS)
#: Keeps a browser from taking a text for something else.
_AS_SAID = {"X-Content-Type-Options": "nosniff"}

Verdict = tuple[bool, str]
_Endpoint = Callable[[Request], Awaitable[Response]]


class Pages(Protocol):
    """What is shown. Every method answers at once, from memory, and may be called from several threads."""

    def metrics(self, accept: str, packed: bool) -> tuple[bytes, str]:
        """Return the page of metrics and its content type, in the format that an Accept header prefers; `packed` as gzip."""
        ...

    def status(self) -> StatusPage:
        """Return what the page for people shows."""
        ...

    def migrations(self, asked: Iterable[tuple[str, str]]) -> tuple[bytes, str]:
        """Return the migrations that pass these filters as JSON, and its content type; raise WrongFilterError."""
        ...

    def healthy(self) -> Verdict:
        """Tell whether the process does its work, and in one line what it does not."""
        ...

    def ready(self) -> Verdict:
        """Tell whether the metrics can be relied on, and in one line why not."""
        ...


def build_app(pages: Pages, telemetry_path: str = "/metrics", reload: Callable[[], Verdict] | None = None) -> Starlette:
    """Return the application; without a page for people where the metrics themselves are at `/`.

    `reload` reads the configuration again, tells whether that went well, and in one line what came of it; without it,
    nobody can ask for that. Raises WrongAddressError where the telemetry path is none or another page's.
    """
    if not _PATH.fullmatch(telemetry_path) or telemetry_path in _OWN_PATHS:
        raise WrongAddressError(f"cannot serve the metrics at {telemetry_path!r}: write a path such as /metrics")
    turn = asyncio.Semaphore(MOST_PAGES_AT_ONCE)
    routes = [
        Route("/-/healthy", _line_of_text(pages.healthy)),
        Route("/-/ready", _line_of_text(pages.ready)),
        Route(telemetry_path, _page(lambda asked: _metrics(asked, pages), turn)),
        Route(_MIGRATIONS, _page(lambda asked: _made(asked, pages.migrations(asked.query_params.multi_items())), turn)),
    ]
    if telemetry_path != "/":
        routes.append(Route("/", _page(lambda asked: _made(asked, landing_page(pages.status(), telemetry_path)), turn)))
    if reload is not None:
        routes.append(Route("/-/reload", _reloading(reload), methods=["POST"]))
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _refuse, WrongFilterError: _correct},
        middleware=[Middleware(_PathsAsWritten)],
    )
    app.router.redirect_slashes = False
    return app


class _PathsAsWritten:
    """Looks a path up as the client wrote it: none of ours needs an escape, so whoever uses one is up to something."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "path": scope["raw_path"].decode("ascii")}, receive, send)


def _page(answer: Callable[[Request], Response], turn: asyncio.Semaphore) -> _Endpoint:
    """Return what answers with a page, once it is its turn."""

    async def endpoint(request: Request) -> Response:
        async with turn:
            if await request.is_disconnected():
                return Response()  # nobody waits for it any more
            return await run_in_threadpool(answer, request)

    return endpoint


def _line_of_text(ask: Callable[[], Verdict]) -> _Endpoint:
    async def endpoint(_: Request) -> Response:
        return _verdict(ask(), 503)

    return endpoint


def _reloading(reload: Callable[[], Verdict]) -> _Endpoint:
    """Return what reloads, for one client after the other."""
    turn = asyncio.Lock()

    async def endpoint(_: Request) -> Response:
        async with turn:
            return _verdict(await run_in_threadpool(reload), 500)

    return endpoint


def _verdict(verdict: Verdict, otherwise: int) -> Response:
    good, words = verdict
    return PlainTextResponse(f"{words}\n", 200 if good else otherwise, {"Cache-Control": "no-store"})


async def _refuse(_: Request, error: Exception) -> Response:
    """Answer what is not there, or not so, in a line of plain text."""
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for nothing else
    headers = {name: ", ".join(sorted(value.split(", "))) for name, value in (error.headers or {}).items()}
    return PlainTextResponse(f"{error.status_code} {error.detail}\n", error.status_code, headers)


async def _correct(_: Request, error: Exception) -> Response:
    """Answer a question that cannot be understood with what is wrong with it."""
    return PlainTextResponse(f"400 Bad Request: {error}\n", 400, {"Cache-Control": "no-store", **_AS_SAID})


def _metrics(asked: Request, pages: Pages) -> Response:
    """Return the page of metrics, which is kept compressed for those who allow it."""
    packed = _allows_gzip(asked)
    body, content_type = pages.metrics(", ".join(asked.headers.getlist("accept")), packed)
    return _answer(body, content_type, packed)


def _made(asked: Request, page: tuple[bytes, str]) -> Response:
    """Return a page that was made for this client, compressed where it allows that."""
    body, content_type = page
    packed = len(body) >= _WORTH_COMPRESSING and _allows_gzip(asked)
    return _answer(gzip.compress(body, _COMPRESSION, mtime=0) if packed else body, content_type, packed)


def _answer(body: bytes, content_type: str, packed: bool) -> Response:
    headers = {
        "Content-Type": content_type,
        "Vary": "Accept, Accept-Encoding",
        "Cache-Control": "no-store",
        **_AS_SAID,
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    }
    return Response(body, headers=headers | ({"Content-Encoding": "gzip"} if packed else {}))


def _allows_gzip(asked: Request) -> bool:
    """Tell whether the Accept-Encoding headers allow gzip (RFC 9110, 12.5.3)."""
    weights: dict[str, bool] = {}
    for each in ", ".join(asked.headers.getlist("accept-encoding")).lower().split(","):
        coding, *parameters = (part.strip() for part in each.split(";"))
        weights[coding] = not any(re.fullmatch(r"q=0(\.0*)?", parameter.replace(" ", "")) for parameter in parameters)
    return weights.get("gzip", weights.get("*", False))
