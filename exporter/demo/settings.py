"""What can be set about the simulated cloud while it runs, and what it writes down of its requests."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exporter.demo.microversion import Microversion
from exporter.demo.policy import Policy

HIBISCUS = Microversion(2, 104)  # the newest of Nova 34.0.0, 2026.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of the simulated Nova."""

    max_microversion: Microversion = HIBISCUS
    max_limit: int = 1000
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """An answer that a request gets in place of the right one.

    `path` is a part of the request's path, `query` of its query. `status` None only delays (seconds); `times` None
    means until the troubles are cleared.
    """

    path: str
    query: str = ""
    status: int | None = None
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    times: int | None = 1


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """A request that was answered; the path has no prefix: /os-migrations, /servers/detail, /v3/auth/tokens."""

    method: str
    path: str
    query: str
    microversion: str | None
    status: int
    at: float


class Journal:
    """Keep the last requests and the troubles still to come."""

    def __init__(self, clock: Callable[[], float] = time.time, size: int = 10_000) -> None:
        self._clock = clock
        self._seen: deque[RequestSeen] = deque(maxlen=size)
        self._troubles: list[Trouble] = []
        self._spent: dict[int, int] = {}

    @property
    def requests(self) -> list[RequestSeen]:
        """Give the requests since the last `forget`, the oldest first."""
        return list(self._seen)

    def forget(self) -> None:
        """Begin the list of requests anew."""
        self._seen.clear()

    def write(self, method: str, path: str, query: str, microversion: str | None, status: int) -> None:
        """Write down a request that was answered."""
        self._seen.append(RequestSeen(method, path, query, microversion, status, self._clock()))

    def expect(self, trouble: Trouble) -> None:
        """Let the next requests that fit run into trouble."""
        self._troubles.append(trouble)

    def clear_troubles(self) -> None:
        """Answer everything rightly again."""
        self._troubles.clear()
        self._spent.clear()

    def trouble_for(self, path: str, query: str) -> Trouble | None:
        """Give, and use up, the first trouble that fits a request."""
        for trouble in self._troubles:
            spent = self._spent.get(id(trouble), 0)
            if trouble.path in path and trouble.query in query and (trouble.times is None or spent < trouble.times):
                self._spent[id(trouble)] = spent + 1
                return trouble
        return None
