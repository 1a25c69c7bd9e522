"""The web server: an address, and a thread that answers there."""

from __future__ import annotations

import errno
import logging
import re
import socket
import threading
import time
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from exporter.web.auth import Passwords
from exporter.web.connections import KEEP_ALIVE, Bounds, Connection
from exporter.web.door import Door
from exporter.web.requests import LONGEST_HEAD
from exporter.web.security import Guard, Security
from exporter.web.tls import Tls

log = logging.getLogger(__name__)

#: Connections that wait to be accepted. The kernel ignores any more, and they try again a second later; it allows 4,096
#: at most, where nobody has changed that.
BACKLOG = 1024

#: Seconds that answers under way are given when the server stops; Prometheus comes again, and all must end within 5.
GRACE = 2

_USUAL_BOUNDS = Bounds()
_LONGEST_STOP = 4.5
_START_WITHIN = 10.0

_ADDRESS = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]+(?:%\w+)?)\]|(?P<host>[^\s:\[\]/]*)):(?P<port>[0-9]{1,5})")


class ListenError(Exception):
    """The server cannot listen; the message says where and why."""


class WrongAddressError(ListenError):
    """What was asked for is no address, or no path, at all."""


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


class _Server(uvicorn.Server):
    """uvicorn, which looks after the answers, behind a door of our own, which looks after the clients."""

    def __init__(self, app: ASGIApp, bounds: Bounds, tls: Callable[[], Tls | None]) -> None:
        super().__init__(_server_config(app, bounds))
        self._bounds, self._tls = bounds, tls

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the door."""
        (listening,) = sockets or []
        self._door = Door(
            listening, lambda client: Connection(client, self.config, self.server_state), self._tls, self._bounds
        )
        await super().startup(sockets=[])
        self._door.open()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, let answers under way come to their end, and send everybody away."""
        self._door.close()
        await super().shutdown(sockets)
        self._door.clear()


class WebServer:
    """The application at an address, served by a thread of its own."""

    def __init__(
        self, app: ASGIApp, address: str, bounds: Bounds = _USUAL_BOUNDS, security: Security | None = None
    ) -> None:
        """Prepare to listen at an address as parse_address reads it; raise WrongAddressError where it is none."""
        self._host, self._port = parse_address(address)
        self._scheme = "http" if security is None or security.tls() is None else "https"
        self._passwords = Passwords()
        guarded = app if security is None else Guard(app, security, self._passwords)
        self._server = _Server(guarded, bounds, _no_tls if security is None else security.tls)
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Return the port that is listened on; after the start the one that the system chose where 0 was asked for."""
        return self._port

    @property
    def url(self) -> str:
        """Return an address for a browser on this machine."""
        host = "localhost" if self._host in ("", "0.0.0.0", "::") else self._host
        return f"{self._scheme}://[{host}]:{self.port}" if ":" in host else f"{self._scheme}://{host}:{self.port}"

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
        self._passwords.close()
        if self._thread is not None and self._thread.is_alive():
            log.warning("an answer is still being made; it is left behind")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "the port is in use by another program"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _no_tls() -> None:
    """Return that there is no TLS."""


def _server_config(app: ASGIApp, bounds: Bounds) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        # The door counts clients; this is for the work that clients have left behind.
        limit_concurrency=2 * bounds.connections + 1,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=LONGEST_HEAD,
    )
