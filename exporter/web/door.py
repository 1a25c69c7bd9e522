"""The door: who is let in, how many, and who has to go when there is no room.

Every client is counted from the moment that it connects, also while TLS is agreed upon, of which uvicorn and asyncio's own
servers see nothing. One that says nothing costs a socket and no more.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import Callable

from exporter.web.connections import Bounds, Client, Connection, Stage
from exporter.web.requests import WITHOUT_TLS
from exporter.web.tls import Tls

log = logging.getLogger(__name__)

#: File descriptors kept for everything else: clouds, the state file, logs.
KEPT_DESCRIPTORS = 128

#: Clients that are let in at one turn of the loop, so that a crowd does not keep those inside waiting. With TLS each
#: costs a signature, which takes a millisecond.
LET_IN_AT_ONCE = 8

#: Seconds between looks at who is overdue.
LOOK_EVERY = 0.25

#: Seconds between two lines of log about a crowd.
WARN_EVERY = 60.0

#: Seconds to wait when the system has no socket for another client.
RETRY = 0.2

_HANDSHAKE = b"\x16"


def soft_file_limit() -> int:
    """Return how many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


class _Entrance(asyncio.Protocol):
    """Holds the connection's place until the client is in; with TLS the first bytes of HTTP may come before that."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # of a stream of bytes there is no other
        transport.pause_reading()
        self._client.meet(transport)

    def data_received(self, data: bytes) -> None:
        self.early += data

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # as asyncio calls it
        self._client.leave()


def _still_open(transport: asyncio.Transport | None) -> asyncio.Transport:
    """Return a transport; raise where its client has left. asyncio would begin with TLS all the same, and wait for it."""
    if transport is None or transport.is_closing():
        raise ConnectionAbortedError("the client left")
    return transport


class Door:
    """A listening socket and everybody who came in through it; belongs to the thread of the loop in which it opens.

    `make` builds the HTTP of a client; `tls` gives what TLS is made with now, None for plain HTTP.
    """

    def __init__(
        self,
        listening: socket.socket,
        make: Callable[[Client], Connection],
        tls: Callable[[], Tls | None],
        bounds: Bounds,
        file_limit: Callable[[], int] = soft_file_limit,
    ) -> None:
        self._listening, self._make, self._tls, self._bounds = listening, make, tls, bounds
        self._most = max(1, min(bounds.connections, file_limit() - KEPT_DESCRIPTORS))
        # A client must get as far as its request before those who came behind it can push it out.
        self._accept_at_once = max(1, self._most // 16)
        self._clients: dict[Client, None] = {}
        self._speaking: dict[Client, None] = {}
        self._turn_is_planned = False
        self._admissions: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._pushed_out = 0
        self._warn_from: dict[str, float] = {}

    def open(self) -> None:
        """Begin to let clients in; to be called in the loop."""
        self._loop = asyncio.get_running_loop()
        self._listening.setblocking(False)
        self._listen()
        self._look()

    def close(self) -> None:
        """Let nobody in any more, and send away who has not got as far as HTTP."""
        self._loop.remove_reader(self._listening)
        for timer in self._timers.values():
            timer.cancel()
        self._listening.close()
        for client in [each for each in self._clients if each.connection is None]:
            client.cut()

    def clear(self) -> None:
        """Send everybody away."""
        for client in tuple(self._clients):
            client.cut()

    def _listen(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(self._accept_at_once):
            try:
                accepted, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._receive(accepted)

    def _pause(self, error: OSError) -> None:
        """Wait a little where the system has no socket left; it would say so again and again."""
        self._warn("cannot accept a client", error=error.strerror)
        self._make_room()
        self._loop.remove_reader(self._listening)
        self._timers["listen"] = self._loop.call_later(RETRY, self._listen)

    def _receive(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        if len(self._clients) >= self._most and not self._make_room():
            accepted.close()
            return
        client = Client(accepted, self._bounds, self._loop.time, self._forget)
        self._clients[client] = None
        self._loop.add_reader(accepted, self._first_word, client)

    def _make_room(self, inside: bool = False) -> bool:
        """Push out who has come least far, and of these the one that has been there longest; False where nobody may be."""
        now = self._loop.time()
        # Strangers are in the order in which they came, so that in a crowd the first is found without a search.
        strangers = (each for each in self._clients if each.stage <= Stage.STRANGER and not (inside and each.outside))
        others = (each for each in self._clients if each.may_make_room(now) and not (inside and each.outside))
        leaving = next(strangers, None) or min(others, key=lambda each: (each.stage, each.since), default=None)
        if leaving is not None:
            leaving.cut()
            self._pushed_out += 1
        return leaving is not None

    def _forget(self, client: Client) -> None:
        if client in self._clients and client.outside:
            self._loop.remove_reader(client.socket)
            client.socket.close()
        self._clients.pop(client, None)
        self._speaking.pop(client, None)

    def _first_word(self, client: Client) -> None:
        """Let in a client that speaks, in its turn; the newest first, whom a crowd has cost no time yet."""
        self._loop.remove_reader(client.socket)
        try:
            word = client.socket.recv(1, socket.MSG_PEEK)
        except OSError:
            word = b""
        if not word:
            client.cut()
        elif self._tls() is not None and word != _HANDSHAKE:
            self._send_to_https(client)
        else:
            self._speaking[client] = None
            self._plan_a_turn()

    def _send_to_https(self, client: Client) -> None:
        try:
            client.socket.send(WITHOUT_TLS.answer())
            client.socket.shutdown(socket.SHUT_WR)
            client.socket.recv(1 << 16)  # what is left unread would reset the connection, and the answer with it
        except OSError:
            pass
        client.cut()

    def _plan_a_turn(self) -> None:
        if self._speaking and not self._turn_is_planned:
            self._turn_is_planned = True
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_is_planned = False
        for _ in range(min(LET_IN_AT_ONCE, len(self._speaking))):
            self._let_in(self._speaking.popitem()[0])
        self._plan_a_turn()

    def _let_in(self, client: Client) -> None:
        """Begin with a client's TLS, if there is any, and HTTP, unless that makes too many."""
        if self._tls() is not None and self._inside() >= self._bounds.encrypted and not self._make_room(inside=True):
            client.cut()
            return
        client.outside = False
        task = self._loop.create_task(self._admit(client))
        self._admissions.add(task)
        task.add_done_callback(self._admissions.discard)

    def _inside(self) -> int:
        return sum(not each.outside for each in self._clients)

    async def _admit(self, client: Client) -> None:
        """Lead a client to HTTP, over TLS where there is to be TLS."""
        try:
            await self._lead_in(client, self._tls())
        except Exception as error:  # whatever goes wrong here is of the client's making, and its own loss
            if isinstance(error, ssl.SSLError | PermissionError):
                self._warn("no TLS with a client", error=str(error))
            client.cut()
            # It holds the frames that hold it, and with them all that TLS had allocated.
            error.__traceback__ = None

    async def _lead_in(self, client: Client, tls: Tls | None) -> None:
        entrance = _Entrance(client)
        raw, _ = await self._loop.connect_accepted_socket(lambda: entrance, client.socket)
        transport = _still_open(raw)
        if tls is not None:
            transport = _still_open(
                await self._loop.start_tls(
                    raw, entrance, tls.context, server_side=True, ssl_handshake_timeout=self._bounds.head
                )
            )
        if tls is not None:
            tls.require_allowed(transport.get_extra_info("peercert"))
        client.tls = tls
        connection = self._make(client)
        transport.set_protocol(connection)
        connection.connection_made(transport)
        if entrance.early:
            connection.data_received(bytes(entrance.early))
        raw.resume_reading()

    def _look(self) -> None:
        """Cut who is overdue, who leaves too much unread, and who came in under TLS that is no longer in force."""
        self._timers["look"] = self._loop.call_later(LOOK_EVERY, self._look)
        now, tls = self._loop.time(), self._tls()
        for client in tuple(self._clients):
            client.look(now)
            client.send_off_unless(tls)
        self._free_unread()
        if self._pushed_out:
            self._warn(
                "more clients than there is room for; those that asked for nothing had to go", count=self._pushed_out
            )
            self._pushed_out = 0

    def _free_unread(self) -> None:
        """Cut those who have left answers unread for longest, until the rest is within the bound."""
        unread = {client: client.unread for client in self._clients}
        total = sum(unread.values())
        for client in sorted((each for each in unread if unread[each]), key=lambda each: each.since):
            if total <= self._bounds.unread:
                return
            client.cut()
            total -= unread[client]

    def _warn(self, words: str, **more: object) -> None:
        """Write a line of log, once a minute at most: a crowd must not fill the disk."""
        now = self._loop.time()
        if now >= self._warn_from.get(words, now):
            self._warn_from[words] = now + WARN_EVERY
            log.warning(words, extra=more)
