"""What a steady poll costs Nova, and what the same numbers cost it where somebody lists all migrations."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.figures import Figure, ratio, times
from benchmarks.peers.full_listing import EVERY, FullListing
from benchmarks.peers.naive_sdk import MigrationsCollector
from benchmarks.realnova import Clock, Cost, Exporter, cost_of, default_settings, insert_history, started, tell
from exporter.domain.lifecycle import LIVE_ROWS
from exporter.questions import Settings
from tests.realcloud.cloud import RealCloud

SIZES = (1_000, 100_000, 1_000_000)

#: At this size the peers list everything; a million records would keep them busy for the better part of an hour.
PEERS_AT = 100_000

#: Live records of each pair of type and status that there is.
EACH = 3

#: Polls before anything is measured, and measured ones; each tenth is a sweep.
WARM_UP, MEASURED = 9, 20

#: The statuses through which live migrations move here.
WAY = ("accepted", "queued", "preparing", "running")

#: What servers are in the middle of while they move; one that is in none of it, or reverts, is resized.
MOVING_TASKS = ("migrating", "rebuilding", "resize_prep", "resize_migrated")
TASKS = (*MOVING_TASKS, "resize_reverting")

#: The exporter is this far behind the true time when it begins, so that its clock may be put forward.
BEHIND = 3 * 3600.0

#: Polls in an hour of which none, or one, is more than a look: a sweep, and the sweep that reaches back a day.
LOOKS, SWEEPS = 108, 11

TITLE = "What Nova pays for a steady poll"

ABOUT = f"""\
A real Nova (API, conductor, compute services, and its SQL, which is SQLite in memory here, in one process) behind a real
Keystone holds 1,000, 100,000 or 1,000,000 records that have ended during the last half year, and {EACH * len(LIVE_ROWS)}
live ones, {EACH} of every type and status, each of a real server that is in the state of such a move. The exporter's own
parts poll it with their defaults, every feature included, and with a state file on disk. Its clock is put forward by 30 s
between two polls, so that nothing waits. It is a busy cloud, whatever its history: from poll to poll one live migration has
begun, one has ended, three are in their next status, those that run have written their heartbeat and are asked for what
they moved; and one cold migration has begun and ended unseen, so that its server's actions are asked for (they tell nothing
here, which takes four requests in place of the usual two or three). Measured are {MEASURED} polls in a row, after the login
and {WARM_UP + 1} polls: {MEASURED - MEASURED // 10} *looks* (every 30 s) and {MEASURED // 10} *sweeps* (every 5 min).
Requests are those in Nova's own log. CPU is the median of the looks, or of the sweeps: ours that of the process, Nova's
that of its process.

Beside it, with {PEERS_AT:,} records: *an SDK collector* ([naive_sdk.py](peers/naive_sdk.py)), which at each scrape lists
`conn.compute.migrations()` and counts; one scrape is measured. And *a full listing*
([full_listing.py](peers/full_listing.py)), raw JSON in pages of 1,000, every ten minutes in the background; one is
measured, and 6 of them are compared with an hour of ours: {LOOKS} looks, {SWEEPS} sweeps, and the sweep that reaches a day
back. Both are logged in before. They know the records only; so the collector is also compared with looks of ours at the
records alone, all features off. A scrape of ours asks Nova for nothing; its page is measured elsewhere. On MySQL a query
costs something else; the numbers of requests and rows are the same."""


@dataclass(frozen=True, slots=True)
class Poll:
    """One poll: whether it was a sweep, its requests, the records and servers in the answers, and what it needed."""

    sweep: bool
    requests: int
    rows: int
    cost: Cost


@dataclass(frozen=True, slots=True)
class Steady:
    """The polls with a history of some size: `deep` is the sweep that reaches a day back."""

    looks: Sequence[Poll]
    sweeps: Sequence[Poll]
    deep: Poll

    def hour(self, of: Callable[[Cost], float]) -> float:
        """Return what an hour of polls needs."""
        return LOOKS * middle(self.looks, of) + SWEEPS * middle(self.sweeps, of) + of(self.deep.cost)


def own(cost: Cost) -> float:
    """Return the CPU seconds of the exporter or its peer."""
    return cost.own


def novas(cost: Cost) -> float:
    """Return the CPU seconds of Nova."""
    return cost.nova


def middle(polls: Iterable[Poll], of: Callable[[Cost], float]) -> float:
    """Return the median of what polls needed."""
    return statistics.median(of(each.cost) for each in polls)


def measure() -> Iterable[Figure]:
    """Poll with each size of the history; at one of them let the peers list everything."""
    with started() as nova:
        traffic, settings = Traffic(nova), default_settings()
        found: dict[int, Steady] = {}
        peers: dict[str, Cost] = {}
        for size in SIZES:
            clock = Clock(float(round(time.time() - BEHIND)))
            traffic.begin(clock.now())
            tell(f"{size:,} records inserted in {insert_history(nova, size, clock.now() - 3600.0):.1f} s")
            found[size] = polled(nova, traffic, clock, settings)
            tell(f"look: {found[size].looks[-1]}; sweep: {found[size].sweeps[-1]}; deep: {found[size].deep}")
            if size == PEERS_AT:
                bare = polled(nova, traffic, clock, default_settings(without=settings.features))
                peers = peers_listing(nova, size + traffic.records)
                tell(f"look at the records alone: {bare.looks[-1]}; peers: {peers}")
    return [*flat(found), *beside(found[PEERS_AT], bare, peers)]


def flat(found: Mapping[int, Steady]) -> Iterable[Figure]:
    """Return what depends on the history and what does not."""
    looks, sweeps = ({size: getattr(each, kind) for size, each in found.items()} for kind in ("looks", "sweeps"))
    for name, polls in (("look", looks), ("sweep", sweeps)):
        yield equal(f"requests of a {name}", [[each.requests for each in polls[size]] for size in SIZES])
        yield equal(
            f"records and servers in the answers of a {name}", [[each.rows for each in polls[size]] for size in SIZES]
        )
    deep = " / ".join(f"{found[size].deep.requests} and {found[size].deep.rows:,}" for size in SIZES)
    yield Figure(
        "requests and rows of the hourly sweep that reaches a day back: they follow the moves of that day", deep
    )
    for name, polls in (("look", looks), ("sweep", sweeps)):
        costs = [middle(polls[size], novas) for size in SIZES]
        text = f"Nova's CPU of a {name}, 1,000,000 records over 1,000 (no index of Nova's begins with the status)"
        yield ratio(text, costs[-1], costs[0])


def equal(what: str, numbers: Sequence[Sequence[int]]) -> Figure:
    """Return the mean of a number with each size of the history, which is to be the same poll for poll."""
    sizes = ", ".join(f"{size:,}" for size in SIZES)
    shown = " / ".join(f"{statistics.fmean(each):g}" for each in numbers)
    return Figure(
        f"{what}, {sizes} records of history", shown, "all the same", all(each == numbers[0] for each in numbers)
    )


def beside(steady: Steady, bare: Steady, peers: Mapping[str, Cost]) -> Iterable[Figure]:
    """Return how many times as much the peers need as we do, or as we do for the records alone."""
    naive, careful = peers["naive"], peers["careful"]
    for what, looks in (("a look with every feature", steady.looks), ("a look at the records alone", bare.looks)):
        yield times(f"CPU for a scrape of the SDK collector, over ours for {what}", naive.own, middle(looks, own), 1000)
        yield times(f"Nova's CPU for a scrape of the SDK collector, over {what}", naive.nova, middle(looks, novas), 100)
    hourly = 3600.0 / EVERY
    yield times("CPU of the full listing in an hour, over ours", hourly * careful.own, steady.hour(own))
    yield times("Nova's CPU for the full listing in an hour, over ours", hourly * careful.nova, steady.hour(novas))


def polled(nova: RealCloud, traffic: Traffic, clock: Clock, settings: Settings) -> Steady:
    """Poll until everything is steady, then measure."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        exporter = Exporter(nova, Path(directory) / "state.db", settings, clock)
        with closing(exporter):
            exporter.poll()
            polls = [next_poll(nova, traffic, clock, exporter, 30.0) for _ in range(WARM_UP + MEASURED)][WARM_UP:]
            deep = next_poll(nova, traffic, clock, exporter, 3600.0)
    looks, sweeps = ([each for each in polls if each.sweep is sweep] for sweep in (False, True))
    return Steady(looks, sweeps, deep)


def next_poll(nova: RealCloud, traffic: Traffic, clock: Clock, exporter: Exporter, seconds: float) -> Poll:
    """Let time pass and servers move, then poll; raise RuntimeError where the exporter does not show what is true."""
    clock.forward(seconds)
    traffic.move(clock.now())
    nova.requests(reset=True)
    exporter.cloud.begin()
    cost = cost_of(nova, exporter.poll)
    requests = nova.requests()
    if {each.migration.uuid for each in exporter.view.live} != traffic.live:
        raise RuntimeError("the exporter does not show the live records that there are")
    sweep = any(each["query"].startswith("status=running") for each in requests)
    return Poll(sweep, len(requests), exporter.cloud.rows, cost)


def peers_listing(nova: RealCloud, records: int) -> dict[str, Cost]:
    """Let the peers list everything once; raise RuntimeError where they do not count what there is."""
    counted: list[float] = []
    with nova.connect() as connection:
        connection.authorize()
        careful, registry = FullListing(connection), CollectorRegistry()
        registry.register(MigrationsCollector(connection))
        costs = {
            "naive": cost_of(nova, lambda: counted.append(summed(generate_latest(registry)))),
            "careful": cost_of(nova, lambda: counted.append(careful.count().total())),
        }
    if counted != [records, records]:
        raise RuntimeError(f"the peers count {counted}, but there are {records} records")
    return costs


def summed(page: bytes) -> float:
    """Return the sum of the samples of a page."""
    return sum(float(line.rpartition(" ")[2]) for line in page.decode().splitlines() if not line.startswith("#"))


class Traffic:
    """The live records, each of a server of its own, and what happens to them from poll to poll."""

    def __init__(self, nova: RealCloud) -> None:
        """Create the servers, and put each into the state of the move that it will be in."""
        self._nova = nova
        begun = time.monotonic()
        for resource in ("instances", "cores", "ram"):
            nova.set_config("quota", resource, -1)
        self._servers = [nova.create_server(f"server-{number}") for number in range(EACH * len(LIVE_ROWS))]
        self._restless = nova.create_server("restless")
        for server, row in zip(self._servers, EACH * LIVE_ROWS, strict=True):
            task = next((each for each in TASKS if each in row.task_states), None)
            vm_state = "active" if task in MOVING_TASKS else "resized"
            told = "NULL" if task is None else f"'{task}'"
            nova.sql(f"UPDATE instances SET vm_state = '{vm_state}', task_state = {told} WHERE uuid = '{server}'")  # noqa: S608
        tell(f"{len(self._servers) + 1} servers created in {time.monotonic() - begun:.1f} s")

    def begin(self, now: float) -> None:
        """Begin with no history, and live records of all kinds that began two minutes ago."""
        self._nova.sql("DELETE FROM migrations")
        self.records = 0
        self._server_of: dict[str, str] = {}
        self._way: dict[str, deque[str]] = {status: deque() for status in WAY}
        for server, row in zip(self._servers, EACH * LIVE_ROWS, strict=True):
            uuid = self._insert(server, row.migration_type, row.status, now - 120.0, now - 60.0)
            self._server_of[uuid] = server
            if row.migration_type == "live-migration" and row.status in WAY:
                self._way[row.status].append(uuid)

    @property
    def live(self) -> Set[str]:
        """Return the uuids of the live records."""
        return self._server_of.keys()

    def move(self, now: float) -> None:
        """Let happen what happens between two polls, the last of which is at this time."""
        running = self._way["running"]
        arrived = running.popleft()
        self._nova.update_record(arrived, status="completed", updated_at=now - 5.0)
        for status, following in reversed(list(pairwise(WAY))):
            uuid = self._way[status].popleft()
            self._nova.update_record(uuid, status=following, updated_at=now - 5.0)
            self._way[following].append(uuid)
        server = self._server_of.pop(arrived)
        uuid = self._insert(server, "live-migration", "accepted", now - 4.0, None)
        self._way["accepted"].append(uuid)
        self._server_of[uuid] = server
        for each in list(running)[:-1]:
            self._nova.update_record(each, updated_at=now - 2.0)
        self._insert(self._restless, "migration", "confirmed", now - 25.0, now - 3.0)

    def _insert(self, server: str, migration_type: str, status: str, created: float, updated: float | None) -> str:
        self.records += 1
        columns: dict[str, Any] = {
            "migration_type": migration_type,
            "status": status,
            "created_at": created,
            "updated_at": updated,
        }
        return str(self._nova.insert_record(instance_uuid=server, **columns)["uuid"])
