"""Keep every read from a socket within the time that is left.

A timeout of requests holds for one read, so a server that sends a byte a second could hold a poll for hours. Here each
read waits no longer than what is left to the deadline, headers included.
"""

from __future__ import annotations

import http.client
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

#: A socket's timer and the clock may differ so much, in seconds.
_SLACK = 0.02


@dataclass(slots=True)
class Pace:
    """How long the next wait may take: `timeout` seconds, and no longer than `deadline` (monotonic seconds)."""

    timeout: float
    monotonic: Callable[[], float]
    deadline: float = math.inf

    def left(self) -> float:
        """Return the seconds that are left."""
        return self.deadline - self.monotonic()

    def is_over(self) -> bool:
        """Tell whether the deadline has passed."""
        return self.left() <= _SLACK

    def next_wait(self) -> float:
        """Return how long the next wait may take; raise TimeoutError where no time is left."""
        left = self.left()
        if left <= 0:
            raise TimeoutError("no time is left")
        return min(self.timeout, left)


class _PacedReader(io.RawIOBase):
    """The bytes of a socket, each wait for which is bounded anew."""

    def __init__(self, raw: io.RawIOBase, sock: Any, pace: Pace) -> None:
        self._raw = raw
        self._sock = sock
        self._pace = pace

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._sock.settimeout(self._pace.next_wait())
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def paced_pools(pace: Pace) -> dict[str, type[HTTPConnectionPool]]:
    """Return the connection pools for http and https of urllib3 that read at a pace."""

    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(sock, *args, **kwargs)
            self.fp = io.BufferedReader(_PacedReader(self.fp.detach(), sock, pace))

    class Plain(HTTPConnection):
        response_class = Answer

    class Tls(HTTPSConnection):
        response_class = Answer

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}
