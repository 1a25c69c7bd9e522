"""A fault proxy: a real HTTP proxy on loopback between the exporter and a cloud, simulated or real.

    with FaultProxy(cloud.auth_url) as proxy:                     # the simulated cloud has one port for both APIs
    with FaultProxy(cloud.auth_url, cloud.compute_url) as proxy:  # the real Keystone and Nova have one each

For each address there is a door, a port of its own. `proxy.through(url)` is a URL by its door. In every answer the cloud's
addresses (catalogue, discovery, links) are replaced by those of the doors, so that a client which is given the auth_url
`proxy.through(cloud.auth_url)` sends everything through the proxy.

A rule says which requests meet which fault:

    rule = proxy.spoil(answer(503), path="/os-migrations", query="marker=", skip=1, times=2)
    ...
    assert rule.met == 2
    proxy.clear()

`path` is the end of the request's path, `query` a part of its query; the first `skip` requests that fit pass, the next `times` meet the fault (None:
all). Of several rules the first that applies is met. `clear()` takes all rules away, and whoever a fault holds goes on.
Faults are in `faults.py`; one is a function of the Exchange and may do with the client's socket what it likes.

`proxy.clock` shifts and cuts every time (clock.py). `refuse()` closes the doors, so that the system itself refuses
connections, and `accept()` opens them again on the same ports. `proxy.seen` are the requests that came.
"""

from __future__ import annotations

import http.client
import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.faults.clock import Clock

#: Seconds that the cloud itself may take for an answer.
PATIENCE = 120.0

#: Headers that hold for one connection only, or that this proxy writes itself.
_OWN_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding", "host"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """Return the path without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """Return the query, encoded as it came."""
        return self.target.partition("?")[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; its length and connection headers are written when it is sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def head(self, length: int | None) -> bytes:
        """Return status line and headers for a body of a length; None: it ends with the connection."""
        lines = [f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, 'Odd')}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append("Connection: close" if length is None else f"Content-Length: {length}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Exchange:
    """One request under way, in the hands of a fault."""

    def __init__(
        self, asked: Asked, connection: socket.socket, forward: Callable[[], Answer], cleared: threading.Event
    ) -> None:
        self.asked = asked
        self.connection = connection
        self.forward = forward
        self._cleared = cleared
        self.keep = True

    def send(self, answer: Answer) -> None:
        """Send a whole answer."""
        self.connection.sendall(answer.head(len(answer.body)) + answer.body)

    def hold(self, seconds: float | None = None) -> bool:
        """Wait until the rules are cleared, or for so many seconds; tell whether they were cleared."""
        return self._cleared.wait(seconds)

    def end(self) -> None:
        """Close the connection when the fault is done."""
        self.keep = False

    def reset(self) -> None:
        """Close the connection so that the client sees a reset."""
        self.keep = False
        reset(self.connection)


Fault = Callable[[Exchange], None]


@dataclass(slots=True, eq=False)
class Rule:
    """Which requests meet a fault; `met` counts those that did."""

    fault: Fault
    method: str = ""
    path: str = ""
    query: str = ""
    skip: int = 0
    times: int | None = None
    met: int = 0
    passed: int = 0

    def applies(self, asked: Asked) -> bool:
        """Tell whether a request meets the fault, and count it."""
        fits = asked.path.rstrip("/").endswith(self.path) and self.query in asked.query
        if not fits or self.method not in ("", asked.method):
            return False
        if self.passed < self.skip:
            self.passed += 1
            return False
        if self.times is not None and self.met >= self.times:
            return False
        self.met += 1
        return True


class FaultProxy:
    """A door for each of some addresses of a cloud; a context manager."""

    def __init__(self, *urls: str) -> None:
        self.clock = Clock()
        self.seen: deque[Asked] = deque(maxlen=10_000)
        self._rules: list[Rule] = []
        self._cleared = threading.Event()
        self._lock = threading.Lock()
        places = dict.fromkeys(urlsplit(url).netloc for url in urls)
        self._doors = {place: _Door(self, place) for place in places}

    def __enter__(self) -> Self:
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
        for door in self._doors.values():
            door.shut()
            door.holder.close()

    def through(self, url: str) -> str:
        """Return the URL by which an address of the cloud is reached through the proxy."""
        parts = urlsplit(url)
        return parts._replace(netloc=self._doors[parts.netloc].address).geturl()

    def spoil(
        self,
        fault: Fault,
        *,
        method: str = "",
        path: str = "",
        query: str = "",
        skip: int = 0,
        times: int | None = None,
    ) -> Rule:
        """Let requests meet a fault."""
        rule = Rule(fault, method, path, query, skip, times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Spoil nothing any more; whoever is held goes on. The clock and the doors stay as they are."""
        with self._lock:
            self._rules.clear()
            self._cleared.set()
            self._cleared = threading.Event()

    def refuse(self) -> None:
        """Close every door and every connection."""
        for door in self._doors.values():
            door.shut()

    def accept(self) -> None:
        """Open every door that is closed."""
        for door in self._doors.values():
            door.open()

    def meet(self, asked: Asked, connection: socket.socket, place: str) -> bool:
        """Answer a request at a door; tell whether the connection may be used again."""
        with self._lock:
            self.seen.append(asked)
            rule = next((each for each in self._rules if each.applies(asked)), None)
            cleared = self._cleared
        exchange = Exchange(asked, connection, lambda: self._forward(asked, place), cleared)
        if rule is None:
            exchange.send(exchange.forward())
        else:
            rule.fault(exchange)
        return exchange.keep

    def _forward(self, asked: Asked, place: str) -> Answer:
        """Return the cloud's own answer, with the proxy's addresses and by its clock."""
        clock = self.clock
        sent = {name: value for name, value in asked.headers.items() if name.lower() not in _OWN_HEADERS}
        connection = http.client.HTTPConnection(place, timeout=PATIENCE)
        try:
            connection.request(asked.method, clock.target(asked.target), asked.body or None, sent)
            got = connection.getresponse()
            body = clock.body(self._own_addresses(got.read()))
        finally:
            connection.close()
        headers = {
            name: clock.date(value) if name.lower() == "date" else self._own_addresses(value.encode()).decode()
            for name, value in got.getheaders()
            if name.lower() not in _OWN_HEADERS
        }
        return Answer(got.status, body, headers)

    def _own_addresses(self, text: bytes) -> bytes:
        for place, door in self._doors.items():
            text = text.replace(place.encode(), door.address.encode())
        return text


class _Door:
    """A port of the proxy, which stays its own while it is closed."""

    def __init__(self, proxy: FaultProxy, place: str) -> None:
        self._proxy = proxy
        self._place = place
        self._server: ThreadingHTTPServer | None = None
        self._connections: set[socket.socket] = set()
        # A socket that is bound but does not listen keeps the port from others, and connections to it are refused.
        self.holder = socket.socket()
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holder.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:{1}".format(*self.holder.getsockname())

    def open(self) -> None:
        if self._server is None:
            self._server = _Server(self.holder.getsockname(), self._handler())
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def shut(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy, place, connections = self._proxy, self._place, self._connections

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                connections.add(self.connection)
                try:
                    with suppress(OSError, ValueError):  # the client is gone, or the door was closed
                        super().handle()
                finally:
                    connections.discard(self.connection)

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                asked = Asked(self.command, self.path, dict(self.headers.items()), body)
                self.close_connection = not proxy.meet(asked, self.connection, place)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815  # http.server names them

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that went away."""


def reset(connection: socket.socket) -> None:
    """Close a connection so that the other side sees a reset; for the thread that reads from it."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.detach())  # close() would wait for the files made of it
