"""HTTP: the metrics, a page for people, and the two questions of an orchestrator.

Nothing here asks OpenStack anything: every answer is made from what the pollers last saw.
"""

from __future__ import annotations

import asyncio
import errno
import gzip
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.landing import CloudStatus, MigrationStatus, StatusPage, landing_page

__all__ = [
    "Bounds",
    "CloudStatus",
    "ListenError",
    "MigrationStatus",
    "Pages",
    "StatusPage",
    "WebServer",
    "WrongAddressError",
    "build_app",
    "parse_address",
]

log = logging.getLogger(__name__)

#: Pages made at the same time; more would only share the interpreter and multiply the memory.
MOST_PAGES_AT_ONCE = 4

#: Bytes of a request's head; a Prometheus sends some 300, and none of our pages takes a body.
LONGEST_HEAD = 16_384

#: Connections that wait to be accepted: the usual limit of the kernel is far above what Prometheus ever opens at once.
BACKLOG = 128

#: Seconds an idle connection is kept: more than the usual scrape intervals, so that no scrape need connect anew.
KEEP_ALIVE = 75

#: Seconds that answers under way are given when the server stops; Prometheus comes again, and all must end within 5.
GRACE = 2

_LONGEST_STOP = 4.5
_START_WITHIN = 10.0
_WORTH_COMPRESSING = 500
#: Half the time of zlib's default for a tenth more bytes.
_COMPRESSION = 4

_ADDRESS = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<host>[^\s:\[\]/]*)):(?P<port>[0-9]{1,5})")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much clients may take.

    `connections`: a Prometheus needs one; each costs a file descriptor, of which the usual limit is 1,024.
    `silence`: seconds in which a connection must have got one whole answer; above KEEP_ALIVE and any scrape timeout.
    """

    connections: int = 256
    silence: float = 120.0


class ListenError(Exception):
    """The server cannot listen; the message says where and why."""


class WrongAddressError(ListenError):
    """What was asked for is no address, or no path, at all."""


class Pages(Protocol):
    """What is shown. Every method answers at once, from memory, and may be called from several threads."""

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the page of metrics and its content type, in the format that an Accept header prefers."""
        ...

    def status(self) -> StatusPage:
        """Return what the page for people shows."""
        ...

    def healthy(self) -> tuple[bool, str]:
        """Tell whether the process does its work, and in one line what it does not."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Tell whether the metrics can be relied on, and in one line why not."""
        ...


def build_app(pages: Pages, telemetry_path: str = "/metrics") -> Starlette:
    """Return the application; without a page for people where the metrics themselves are at `/`.

    Raises WrongAddressError where the telemetry path is none or another page's.
    """
    routes = [
        Route("/-/healthy", _line_of_text(pages.healthy), methods=["GET"]),
        Route("/-/ready", _line_of_text(pages.ready), methods=["GET"]),
    ]
    if not _PATH.fullmatch(telemetry_path) or telemetry_path in [route.path for route in routes]:
        raise WrongAddressError(f"cannot serve the metrics at {telemetry_path!r}: write a path such as /metrics")
    turn = asyncio.Semaphore(MOST_PAGES_AT_ONCE)

    async def metrics(request: Request) -> Response:
        accept = ", ".join(request.headers.getlist("accept"))
        async with turn:
            return await run_in_threadpool(_answer, request.headers, lambda: pages.metrics(accept))

    async def landing(request: Request) -> Response:
        async with turn:
            return await run_in_threadpool(
                _answer, request.headers, lambda: landing_page(pages.status(), telemetry_path)
            )

    routes.append(Route(telemetry_path, metrics, methods=["GET"]))
    if telemetry_path != "/":
        routes.append(Route("/", landing, methods=["GET"]))
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refuse})
    app.router.redirect_slashes = False
    return app


def _line_of_text(ask: Callable[[], tuple[bool, str]]) -> Callable[[Request], Response]:
    def endpoint(_: Request) -> Response:
        good, words = ask()
        return PlainTextResponse(f"{words}\n", 200 if good else 503, {"Cache-Control": "no-store"})

    return endpoint


async def _refuse(_: Request, error: Exception) -> Response:
    """Answer what is not there, or not so, in a line of plain text."""
    assert isinstance(error, HTTPException)  # noqa: S101  # it is registered for nothing else
    headers = {name: ", ".join(sorted(value.split(", "))) for name, value in (error.headers or {}).items()}
    return PlainTextResponse(f"{error.status_code} {error.detail}\n", error.status_code, headers)


def _answer(asked: Headers, make: Callable[[], tuple[bytes, str]]) -> Response:
    """Return a page, compressed where the client allows it."""
    body, content_type = make()
    headers = {
        "Content-Type": content_type,
        "Vary": "Accept, Accept-Encoding",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    }
    if len(body) >= _WORTH_COMPRESSING and _allows_gzip(", ".join(asked.getlist("accept-encoding"))):
        body = gzip.compress(body, _COMPRESSION, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers)


def _allows_gzip(accepted: str) -> bool:
    """Tell whether an Accept-Encoding header allows gzip (RFC 9110, 12.5.3)."""
    weights: dict[str, bool] = {}
    for each in accepted.lower().split(","):
        coding, *parameters = (part.strip() for part in each.split(";"))
        weights[coding] = not any(re.fullmatch(r"q=0(\.0*)?", parameter.replace(" ", "")) for parameter in parameters)
    return weights.get("gzip", weights.get("*", False))


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of `host:port`, `:port` (every interface) or `[::1]:port`.

    Raises WrongAddressError for anything else.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65_535:
        raise WrongAddressError(f"{address!r} is no address to listen on: write host:port, :port or [::1]:port")
    return match["literal"] or match["host"] or "", int(match["port"])


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; no host means every interface of both families, where there are both."""
    if not host:
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                raise
            return socket.create_server(("", port), backlog=BACKLOG)
    family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(place[:2], family=family, backlog=BACKLOG)


class _Connection(H11Protocol):
    """A connection that is closed when nothing comes of it.

    uvicorn itself waits without end for a client that connects and is silent, or sends half a request, or does not read
    its answer, and refuses no connection before it has sent a request.
    """

    bounds: ClassVar[Bounds]
    _watchdog: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._watch()
        if len(self.connections) > self.bounds.connections:
            transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unwatch()

    def _watch(self) -> None:
        self._unwatch()
        self._watchdog = self.loop.call_later(self.bounds.silence, self.transport.abort)

    def _unwatch(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()


class WebServer:
    """The application at an address, served by a thread of its own."""

    def __init__(self, app: Starlette, address: str, bounds: Bounds = Bounds()) -> None:
        """Prepare to listen at an address as parse_address reads it; raise WrongAddressError where it is none."""
        self._host, self._port = parse_address(address)
        self._server = uvicorn.Server(_server_config(app, bounds))
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Return the port that is listened on; after the start the one that the system chose where 0 was asked for."""
        return self._port

    @property
    def url(self) -> str:
        """Return an address for a browser on this machine."""
        host = "localhost" if self._host in ("", "0.0.0.0", "::") else self._host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def start(self) -> None:
        """Listen, and return once requests are answered; raise ListenError where that is not possible."""
        try:
            listening = _bind(self._host, self._port)
        except (OSError, UnicodeError) as error:
            raise ListenError(f"cannot listen on {self._host}:{self._port}: {_reason(error)}") from error
        self._port = listening.getsockname()[1]
        self._thread = threading.Thread(target=self._server.run, args=([listening],), name="web", daemon=True)
        self._thread.start()
        until = time.monotonic() + _START_WITHIN
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                raise ListenError("the web server did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        """Stop within five seconds, whatever connections are open; answers under way get GRACE seconds."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_LONGEST_STOP)
        if self._thread is not None and self._thread.is_alive():
            log.warning("an answer is still being made; it is left behind")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "the port is in use by another program"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _server_config(app: Starlette, bounds: Bounds) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=type("_BoundConnection", (_Connection,), {"bounds": bounds}),
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        limit_concurrency=bounds.connections + 1,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )
