"""Connections: one for each client, known from the moment it connects, cut when nothing comes of it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from exporter.web.requests import LONGEST_HEAD, TOO_SLOW, Refusal, unfit, unfit_so_far, whole_head
from exporter.web.tls import Tls

#: Seconds an idle connection is kept: more than the usual scrape intervals, so that no scrape need connect anew.
KEEP_ALIVE = 75

#: Seconds that a client has to read why it was refused. To close at once, with bytes of it unread, would reset the
#: connection, and the kernel would throw the answer away (RFC 9112, 9.6).
LINGER = 1.0

_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much clients may take.

    `connections`: a Prometheus needs one; each costs a file descriptor, of which the usual limit is 1,024.
    `encrypted`: how many of them may have begun with TLS, which costs 280 KiB each, nearly all of it asyncio's buffer.
    `head`: seconds in which a request's head must be whole, from the connection on, with the handshake of TLS.
    `silence`: seconds in which a connection must have got one whole answer; above KEEP_ALIVE and any scrape timeout.
    `unread`: bytes of answers, of all connections, that clients may leave unread.
    """

    connections: int = 768
    encrypted: int = 192
    head: float = 10.0
    silence: float = 120.0
    unread: int = 64 * 1024 * 1024


class Stage(IntEnum):
    """How far a client has come; where there is no room, who has come least far goes first.

    Who was refused has nothing to wait for; a stranger has never got an answer; who rests has got one, and may ask again.
    """

    REFUSED = 0
    STRANGER = 1
    RESTING = 2
    UNREAD = 3
    WAITING = 4


class Client:
    """One client, from the moment that the kernel hands over its socket.

    `since` and `deadline` are in the loop's time: when its stage began, and when it is cut unless it gets further.
    `transport` is what everything goes over, beneath TLS if there is any; there is none while the client is `outside`,
    having said nothing. `gone` tells that the client was cut; `tls` is what its TLS was made with.
    """

    __slots__ = (
        "_bounds",
        "_forget",
        "_now",
        "connection",
        "deadline",
        "gone",
        "outside",
        "since",
        "socket",
        "stage",
        "tls",
        "transport",
    )

    def __init__(
        self, socket: socket.socket, bounds: Bounds, now: Callable[[], float], forget: Callable[[Client], None]
    ) -> None:
        self.socket = socket
        self.transport: asyncio.Transport | None = None
        self.connection: Connection | None = None
        self.tls: Tls | None = None
        self.outside = True
        self.gone = False
        self._bounds, self._now, self._forget = bounds, now, forget
        self.stage, self.since = Stage.STRANGER, now()
        self.deadline = self.since + self._for_a_head

    @property
    def unread(self) -> int:
        """Return the bytes that wait in this process for the client to read them."""
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    def meet(self, transport: asyncio.Transport) -> None:
        """Take note of the transport; it came too late for one that was cut meanwhile."""
        self.transport = transport
        if self.gone:
            transport.abort()

    def speaks(self) -> None:
        """Take note of the first bytes of a head: one that got an answer before has its time anew."""
        if self.stage is Stage.RESTING:
            self.deadline = min(self.deadline, self._now() + self._for_a_head)

    def asks(self) -> None:
        """Take note of a whole request."""
        self._enter(Stage.WAITING, self._bounds.silence)

    def is_answered(self) -> None:
        """Take note of an answer; what is not read yet must be read by the time that was given for the whole."""
        if self.unread:
            self.stage, self.since = Stage.UNREAD, self._now()
        else:
            self._enter(Stage.RESTING, min(KEEP_ALIVE, self._bounds.silence))

    def is_refused(self) -> None:
        """Take note that it gets no answer but why: it has LINGER seconds to read that, and goes first."""
        self._enter(Stage.REFUSED, LINGER)

    def look(self, now: float) -> None:
        """Cut the client if it is overdue, with a word where it has begun to ask; else go on where it waits."""
        if now >= self.deadline:
            if self.connection is None or not self.connection.refuse_slowness():
                self.cut()
        elif self.connection is not None:
            self.connection.go_on()

    def send_off_unless(self, tls: Tls | None) -> None:
        """Close a connection that was made with other TLS than this, once the answer under way is sent.

        So whoever came in with a certificate that is no longer accepted has to show one that is.
        """
        if self.connection is not None and self.tls is not tls:
            self.tls = tls
            self.connection.shutdown()

    def settle(self) -> None:
        """See whether an answer was read meanwhile."""
        if self.stage is Stage.UNREAD and not self.unread:
            self.is_answered()

    def may_make_room(self, now: float) -> bool:
        """Tell whether the client may be cut for another's sake: not while it waits for its answer or reads it."""
        return self.stage < Stage.UNREAD or (self.stage is Stage.UNREAD and now - self.since > self._bounds.head)

    def cut(self) -> None:
        """End the connection at once, in whatever stage it is."""
        self.gone = True
        if self.transport is not None:
            if self.unread:  # else the kernel would go on offering what it has of it
                with suppress(OSError):
                    self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
        self.leave()

    def leave(self) -> None:
        """Take note that the connection has ended; with TLS, 280 KiB wait for the last reference to go."""
        self._forget(self)
        self.transport = self.connection = None

    @property
    def _for_a_head(self) -> float:
        return min(self._bounds.head, self._bounds.silence)

    def _enter(self, stage: Stage, seconds: float) -> None:
        self.stage, self.since = stage, self._now()
        self.deadline = self.since + seconds


class Connection(H11Protocol):
    """HTTP with one client. uvicorn sees a head only when it is whole and fit, and one at a time.

    uvicorn itself waits without end for a client that is silent, or sends half a request, or does not read its answer;
    it reads heads of any length that come in one piece, and bodies of any length.
    """

    def __init__(self, client: Client, config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self._client = client
        self._heard = bytearray()
        self._refused = False
        client.connection = self

    def data_received(self, data: bytes) -> None:
        """Take what comes in; what comes after a refusal is thrown away."""
        if self._refused:
            return
        looked_at = len(self._heard)
        self._heard += data
        self._client.settle()
        if self._client.stage < Stage.UNREAD:
            self._take(looked_at)
        if len(self._heard) > LONGEST_HEAD:  # nobody has to ask that far ahead
            self._client.cut()

    def on_response_complete(self) -> None:
        """Take up the next request, where the client has asked ahead."""
        super().on_response_complete()
        self._client.is_answered()
        self.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        super().connection_lost(exc)
        self._client.leave()

    def go_on(self) -> None:
        """Take up a request that was sent before the last answer was read, once that is read."""
        self._client.settle()
        if self._client.stage is Stage.RESTING and not self.transport.is_closing():
            self._take()

    def refuse_slowness(self) -> bool:
        """Tell a client that a head took too long; False where none was begun, or the client was refused already."""
        if self._refused or not self._heard or self._client.stage >= Stage.UNREAD:
            return False
        self._refuse(TOO_SLOW)
        return True

    def _take(self, looked_at: int = 0) -> None:
        if not self._heard:
            return
        self._client.speaks()
        head = whole_head(self._heard, looked_at)
        refusal = unfit_so_far(self._heard) if head is None else unfit(head)
        if refusal is not None:
            self._refuse(refusal)
        elif head is not None:
            del self._heard[: len(head)]
            self._client.asks()
            super().data_received(head)

    def _refuse(self, refusal: Refusal) -> None:
        self._refused = True
        self._heard.clear()
        self._unset_keepalive_if_required()
        self.transport.write(refusal.answer())
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._client.is_refused()

    def _should_upgrade(self) -> bool:
        """Ignore every wish for another protocol (RFC 9110, 7.8); uvicorn would write a line of log for each."""
        return False
