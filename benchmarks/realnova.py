"""A real Nova with a long history, the exporter before it as the program builds it, and what both spend."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.cli import _settings
from exporter.config import load
from exporter.domain.cloud import Answer, Feature, Request
from exporter.domain.server import Server
from exporter.domain.view import CloudView
from exporter.poller import Poller
from exporter.questions import Settings
from exporter.source.connect import connect_to
from exporter.source.nova import NovaCloud
from exporter.store.state_file import StateFile
from tests.realcloud.cloud import PASSWORD, RealCloud
from tests.realcloud.identity import REGION

DAY = 86_400.0

#: How old the oldest record of the history is, in seconds.
AGE = 180 * DAY

#: Of a thousand records of the history so many are of this type and have ended so.
HISTORY = (
    ("migration", "confirmed", 300),
    ("resize", "confirmed", 200),
    ("resize", "reverted", 20),
    ("live-migration", "completed", 400),
    ("evacuation", "completed", 30),
    ("migration", "error", 30),
    ("live-migration", "failed", 20),
)

#: The history is inserted in so many parts of its time, so that records of all kinds lie beside each other.
PARTS = 10

#: Of a record of the history, in seconds.
DURATION = 60.0


@contextmanager
def started() -> Iterator[RealCloud]:
    """Start a real Nova and a real Keystone, and leave nothing of them behind."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        nova = RealCloud.start(Path(directory))
        try:
            yield nova
        finally:
            nova.stop()


def tell(text: str) -> None:
    """Say how far it has come."""
    print(f"  {text}", file=sys.stderr, flush=True)


def insert_history(nova: RealCloud, count: int, newest: float) -> float:
    """Insert thousands of records that have ended, the last at a time in epoch seconds; return the seconds it took."""
    part, begun = AGE / PARTS, newest - AGE
    return sum(
        nova.insert_records(
            count // 1000 * share // PARTS,
            migration_type=migration_type,
            status=status,
            oldest=begun + number * part,
            newest=begun + (number + 1) * part - DURATION,
            duration=DURATION,
        )
        for number in range(PARTS)
        for migration_type, status, share in HISTORY
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """What some work needed: CPU seconds of this process, those of Nova with its database, and seconds on the clock."""

    own: float
    nova: float
    wall: float


def cost_of(nova: RealCloud, work: Callable[[], object]) -> Cost:
    """Return what some work needs."""
    before, begun, own = nova.cost()["cpu_seconds"], time.perf_counter(), time.process_time()
    work()
    own, wall = time.process_time() - own, time.perf_counter() - begun
    return Cost(own, nova.cost()["cpu_seconds"] - before, wall)


class Clock:
    """A clock that stands still until it is put forward; `monotonic` goes on by itself, too, so that nothing waits for ever."""

    def __init__(self, now: float) -> None:
        """Begin at a time in epoch seconds."""
        self._now = now
        self._ahead = 0.0

    def now(self) -> float:
        """Return the time in epoch seconds."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic() + self._ahead

    def forward(self, seconds: float) -> None:
        """Put the clock forward."""
        self._now += seconds
        self._ahead += seconds


class CountedCloud(NovaCloud):
    """The exporter's Nova, which counts its requests by operation, and the records and servers in the answers."""

    asked: list[str]
    rows: int

    def newest(self, deadline: float) -> Answer:
        """Ask as NovaCloud does."""
        return self._noted(super().newest(deadline))

    def with_status(self, status: str, deadline: float) -> Answer:
        """Ask as NovaCloud does."""
        return self._noted(super().with_status(status, deadline))

    def changed_since(self, since: float, deadline: float) -> Answer:
        """Ask as NovaCloud does."""
        return self._noted(super().changed_since(since, deadline))

    def of_server(self, server_id: str, deadline: float) -> Answer:
        """Ask as NovaCloud does."""
        return self._noted(super().of_server(server_id, deadline))

    def servers_with_status(self, status: str, deadline: float) -> Sequence[Server]:
        """Ask as NovaCloud does."""
        servers = super().servers_with_status(status, deadline)
        self.rows += len(servers)
        return servers

    def requests(self) -> Sequence[Request]:
        """Return the requests made since the last call of this method."""
        made = super().requests()
        self.asked += [each.operation for each in made]
        return made

    def begin(self) -> None:
        """Count from nothing."""
        self.asked, self.rows = [], 0

    def _noted(self, answer: Answer) -> Answer:
        self.rows += len(answer.migrations)
        return answer


class Exporter:
    """The exporter's parts for one cloud, put together as the program does it; `view` is what it shows."""

    view: CloudView

    def __init__(self, nova: RealCloud, state: Path, settings: Settings, clock: Clock | None = None) -> None:
        """Build everything, with a state file at a path; nothing is asked before the first poll."""
        connect = connect_to(nova.auth_url, "admin", PASSWORD, "admin", region_name=REGION, name=settings.name)
        monotonic = time.monotonic if clock is None else clock.monotonic
        self._store = StateFile(state)
        self.cloud = CountedCloud(connect, timeout=75.0, monotonic=monotonic)
        self.cloud.begin()
        now = time.time if clock is None else clock.now
        self._poller = Poller(settings, self.cloud, self._publish, self._store, clock=now, monotonic=monotonic)

    def poll(self) -> None:
        """Poll once; raise RuntimeError where the poll was not complete."""
        if not self._poller.poll():
            raise RuntimeError(f"a poll was not complete: {self.view.health.error}")

    def close(self) -> None:
        """Log out, and close the state file."""
        self.cloud.close()
        self._store.close()

    def _publish(self, view: CloudView) -> None:
        self.view = view


def default_settings(without: Set[Feature] = frozenset()) -> Settings:
    """Return how a cloud is watched where nothing is configured, or without some of the features."""
    (cloud,) = load(None, {}).clouds
    settings = _settings(cloud)
    return replace(settings, features=settings.features - without)
