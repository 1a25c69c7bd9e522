"""A web server with pages of known content, and clients that ask it; every test of HTTP speaks to a real one."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from exporter.domain.view import View
from exporter.filters import read_filters
from exporter.landing import StatusPage
from exporter.report import report
from exporter.web.app import build_app
from exporter.web.connections import Bounds
from exporter.web.security import Security
from exporter.web.server import WebServer
from tests.shown import AT, RICH

METRICS = "# TYPE up gauge\n" + "".join(f'up{{cloud="c{number}"}} 1\n' for number in range(200))


@dataclass
class FakePages:
    """Pages with known content; `view` is what the page for people and the JSON show of the clouds.

    `hold` keeps the metrics waiting until it is set.
    """

    good: bool = True
    body: str = METRICS
    accepted: list[str] = field(default_factory=list)
    hold: threading.Event | None = None
    broken: bool = False
    at_once: int = 0
    most_at_once: int = 0
    view: View = RICH

    def metrics(self, accept: str, packed: bool) -> tuple[bytes, str]:
        if self.broken:
            raise ValueError("a secret detail")
        self.accepted.append(accept)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.hold:
            self.hold.wait(30)
        self.at_once -= 1
        openmetrics = "application/openmetrics-text" in accept
        kind = "application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain; version=0.0.4"
        body = self.body.encode()
        return gzip.compress(body) if packed else body, f"{kind}; charset=utf-8"

    def status(self) -> StatusPage:
        return StatusPage(self.view, AT)

    def migrations(self, asked: Iterable[tuple[str, str]]) -> tuple[bytes, str]:
        return report(self.view, read_filters(asked))

    def healthy(self) -> tuple[bool, str]:
        return (True, "ok") if self.good else (False, "no sign of life from the poller of: prod")

    def ready(self) -> tuple[bool, str]:
        return (True, "ok") if self.good else (False, "not tried yet: prod")


def connect(server: WebServer, tls: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    """Return a connection that is made with the first request."""
    if tls is None:
        return http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    return http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30, context=tls)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@contextmanager
def serving(
    pages: FakePages,
    path: str = "/metrics",
    bounds: Bounds | None = None,
    security: Security | None = None,
    reload: Callable[[], tuple[bool, str]] | None = None,
) -> Iterator[WebServer]:
    server = WebServer(build_app(pages, path, reload), "127.0.0.1:0", bounds or Bounds(), security)
    server.start()
    try:
        yield server
    finally:
        if pages.hold:
            pages.hold.set()
        server.stop()


def ask(server: WebServer, path: str, method: str = "GET", tls: ssl.SSLContext | None = None, **headers: str) -> Answer:
    """Return the answer to one request over a connection of its own; with TLS where a client's context is given."""
    connection = connect(server, tls)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    connection.close()
    return answer


def closed(client: socket.socket) -> bool:
    """Tell whether the server ends a connection; what it had sent before is read away."""
    try:
        while client.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    else:
        return True
    finally:
        client.close()


def answers(server: WebServer) -> bool:
    try:
        return ask(server, "/-/healthy").status == 200
    except OSError:
        return False


def until(true: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.02)
