"""Fifty clouds in one process: does each get its polls in time, and does one that hangs cost the others anything?"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.figures import Figure, count, cpu, ratio, share
from benchmarks.limits import LIMITS
from benchmarks.simulation import HOUR
from exporter.demo.cloud import SimulatedCloud
from exporter.demo.settings import Trouble
from exporter.domain.cloud import Feature
from exporter.domain.view import Process
from exporter.poller import Poller
from exporter.questions import Settings
from exporter.source.connect import connect_to
from exporter.source.nova import NovaCloud
from exporter.store import Store
from exporter.store.state_file import StateFile
from exporter.vitals import Vitals
from exporter.watch import Board, Plan, Watch

TITLE = "Fifty clouds in one process"
ABOUT = """\
One process watches fifty clouds, each with 200 live records and 20 that ended lately, by the exporter's own threads, HTTP
client and state file, with all features on. The clouds are simulated ones in another process, each with a Keystone and a Nova
of its own on a port of its own. In each of them a move begins and another one ends in every interval. Everything goes five
times faster than by default: a poll every 6 s, a sweep every minute, and all else in proportion. So what is told as a share of
a core at the default interval is the CPU time measured, by five; the server of the page is not part of it.

How late a poll is, is the time between the moment at which it is due (an interval, more or less the usual jitter, after the
one before) and the one at which it begins, told as a share of the interval of 6 s. Then one cloud hangs: it accepts connections
and never answers. The other 49 are compared by how long after it was due each of their polls was over and on the page: the
median while one hangs over the median before, in the same process."""

CLOUDS, LIVE, ENDED = 50, 200, 20

#: How many times faster than by default everything goes.
FASTER = 5
INTERVAL = 30.0 / FASTER

#: Seconds of each of the two halves, and those before them in which all clouds are looked at for the first time.
HALF, WARM_UP = 30.0, 14.0

#: Where the live records are, of ten: type, status, and the states of the server.
_PLACES = (
    *[("resize", "finished", "resized", None)] * 3,
    *[("migration", "finished", "resized", None)] * 2,
    ("resize", "migrating", "active", "resize_migrating"),
    *[("live-migration", "queued", "active", "migrating")] * 3,
    ("evacuation", "pre-migrating", "error", "rebuilding"),
)
#: One record of so many is a running live migration, whose progress every poll reads.
_RUNNING_OF = 40


@dataclass(frozen=True, slots=True)
class _Poll:
    """When a poll was due, began and was over (monotonic seconds), and whether it was complete."""

    cloud: str
    due: float
    began: float
    over: float
    complete: bool

    @property
    def late(self) -> float:
        """Return how many seconds after it was due the poll began."""
        return self.began - self.due

    @property
    def shown(self) -> float:
        """Return how many seconds after it was due the poll was over."""
        return self.over - self.due


class _Timed(Poller):
    """A poller that notes how late its polls are."""

    polls: list[_Poll]
    _due = float("inf")

    def pause(self) -> float:
        """Return how long to wait, and note when the next poll is due."""
        seconds = super().pause()
        self._due = time.monotonic() + seconds
        return seconds

    def poll(self) -> bool:
        """Poll, and note when that was."""
        began = time.monotonic()
        complete = super().poll()
        self.polls.append(_Poll(self.name, min(self._due, began), began, time.monotonic(), complete))
        return complete


def measure() -> Iterable[Figure]:
    """Watch all clouds, then let one hang."""
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe()
    process = context.Process(target=_simulate, args=(theirs,), daemon=True)
    process.start()
    try:
        with tempfile.TemporaryDirectory() as directory:
            quiet, beside, spent = _watch(pipe, StateFile(Path(directory) / "state.db"))
    finally:
        pipe.send("stop")
        process.join(30)
        process.kill()
    print(f"clouds: {len(quiet)} polls, then {len(beside)} beside a cloud that hangs", file=sys.stderr)
    lateness = sorted(each.late for each in quiet)
    yield count("polls", len(quiet))
    yield share("a poll is late by, median, of its interval", statistics.median(lateness), INTERVAL)
    yield share("the same, 99th percentile", lateness[int(len(lateness) * 0.99)], INTERVAL)
    yield share("of one core at the default interval", spent / FASTER, HALF)
    hung = statistics.median(each.shown for each in beside)
    usual = statistics.median(each.shown for each in quiet)
    yield ratio(
        "one cloud hangs: the others' polls are over so long after they were due, over before", hung, usual, 1.2
    )
    late = statistics.median(each.late for each in beside)
    yield share("one cloud hangs: the others' polls are late by, median, of their interval", late, INTERVAL)
    yield count("of the others' polls failed", sum(not each.complete for each in quiet + beside), at_most=0)
    yield count("of the others are not polled any more", CLOUDS - 1 - len({each.cloud for each in beside}), at_most=0)


def _watch(pipe: Connection, store: StateFile) -> tuple[list[_Poll], list[_Poll], float]:
    """Return the polls of 49 clouds while all is well and while the fiftieth hangs, and the CPU seconds of the former."""
    polls: list[_Poll] = []
    board = Board(lambda: Process("", "", "", store.durable, store.errors))
    first, *others = [_plan(number, access, polls, board, store) for number, access in enumerate(pipe.recv())]
    watch = Watch([first, *others])
    store.retain(watch.clouds)
    watch.start()
    time.sleep(WARM_UP)
    begun = time.monotonic()
    spent = cpu(lambda: time.sleep(HALF))
    hanging = time.monotonic()
    pipe.send("hang")
    time.sleep(HALF)
    ended = time.monotonic()
    watch.stop(within=2.0)
    store.close()
    seen = [each for each in polls if each.cloud != first.name]
    quiet = [each for each in seen if begun <= each.began < hanging]
    return (
        quiet,
        [each for each in seen if hanging <= each.began and each.over < ended],
        spent,
    )  # the end cuts polls short


def _plan(number: int, access: dict[str, str], polls: list[_Poll], board: Board, store: Store) -> Plan:
    """Return how a cloud is watched: as by default, but faster."""
    settings = Settings(
        f"cloud-{number}",
        LIMITS,
        interval=INTERVAL,
        sweep_interval=10 * INTERVAL,
        overlap=3 * INTERVAL,
        deep_interval=HOUR / FASTER,
        deep_overlap=24 * HOUR / FASTER,
        features=frozenset(Feature),
    )

    def build(vitals: Vitals | None) -> Poller:
        cloud = NovaCloud(connect_to(**access), timeout=75.0)
        poller = _Timed(settings, cloud, board.publish, store, vitals)
        poller.polls = polls
        return poller

    return Plan(settings.name, settings, build)


def _simulate(pipe: Connection) -> None:
    """Be fifty clouds in which servers move, of which the first hangs when that is said."""
    with ExitStack() as stack:
        clouds = [stack.enter_context(SimulatedCloud()) for _ in range(CLOUDS)]
        for cloud in clouds:
            _fill(cloud)
        pipe.send([{"auth_url": each.auth_url, **asdict(each.credentials)} for each in clouds])
        turn = 0
        while True:
            if pipe.poll(INTERVAL / CLOUDS):
                if pipe.recv() == "stop":
                    os._exit(0)  # requests that hang would be waited for
                clouds[0].expect(Trouble(path="", delay=HOUR, times=None))
            _move(clouds[turn % CLOUDS], turn // CLOUDS)
            turn += 1


def _fill(cloud: SimulatedCloud) -> None:
    """Put live records into a cloud, and some that ended lately."""
    for host in range(20):
        cloud.nova.set_service(_host(host))
    now = time.time()
    for number in range(LIVE):
        kind, status, vm_state, task_state = _PLACES[number % len(_PLACES)]
        if number % _RUNNING_OF == 0:
            kind, status, vm_state, task_state = "live-migration", "running", "active", "migrating"
        _insert(cloud, number, kind, status, now - 300, vm_state=vm_state, task_state=task_state)
    for number in range(ENDED):
        _insert(cloud, number, "live-migration", "completed", now - 400)


def _insert(cloud: SimulatedCloud, number: int, kind: str, status: str, created: float, **states: str | None) -> str:
    source, dest = _host(number), _host(number * 7 + 1)
    server = cloud.nova.boot(host=source, **states)
    row = cloud.nova.insert(
        instance_uuid=server.id, migration_type=kind, status=status, created_at=created, updated_at=created + 60,
        source_compute=source, dest_compute=dest,
    )  # fmt: skip
    return row.uuid


def _host(number: int) -> str:
    return f"compute-{number % 20:02}"


def _move(cloud: SimulatedCloud, number: int) -> None:
    """Let a move begin, and one end that waits to be confirmed."""
    waiting: Sequence[str] = [each.uuid for each in cloud.nova.migrations() if each.status == "finished"]
    row = cloud.nova.migration(waiting[0])
    if row is not None:
        cloud.nova.advance(row.uuid, "confirmed")
        cloud.nova.change_server(row.instance_uuid, vm_state="active", task_state=None)
    server = cloud.nova.boot(host=_host(number), vm_state="active", task_state="resize_prep")
    cloud.nova.insert(
        instance_uuid=server.id, migration_type="resize", status="pre-migrating", source_compute=_host(number)
    )
