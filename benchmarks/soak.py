"""A million moves in forty days, in simulated time: are the counts right, and does anything grow?"""

from __future__ import annotations

import multiprocessing
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.figures import Figure, count, ratio, same
from benchmarks.limits import LIMITS
from benchmarks.processes import resident
from benchmarks.simulation import DAY, HOUR, MINUTE, Shown, World
from exporter.domain.cloud import Answer, Deletion, Request
from exporter.domain.lifecycle import MigrationType
from exporter.domain.migration import Migration
from exporter.domain.server import Action, Progress, Server
from exporter.domain.view import Process
from exporter.metrics.exposition import Exposition
from exporter.pauses import shorten_pauses
from exporter.poller import Poller
from exporter.questions import Settings
from exporter.store.state_file import StateFile
from exporter.watch import Board

TITLE = "A million moves in forty days"
ABOUT = """\
A simulated cloud lets a million moves of all four types begin within forty days, each on one of 36 ways: to every end that
Nova knows, by failures, aborts and deletions of the server at various statuses, over statuses in which it is stuck for
hours, and with ends that Nova replaces a day later. The real poller, tracker and ledger watch it with a state file on disk,
in a process of their own that asks the simulation over a pipe and has the simulated time for its clock. A poll takes place
every 10 minutes, a sweep every 40, a look that reaches a day back every 20 hours: 20, 8 and 20 times the default, so that
forty days fit into some minutes. The overlap is the default. What is read from servers is left out (no diagnosis, no exact
durations, no progress).
Until day 31 the process is started anew each day: a third of the time it is told to stop, a third it is killed (SIGKILL),
and a third it is killed in the middle of a poll. From day 31 to the end it is one process, over which memory is compared.

The truth is what the simulation wrote. It is compared with the last page of metrics, label by label. Ends are remembered
for 30 days, so that nothing is counted twice: that grows with the ends of 30 days, and is at its size on day 31. Memory is
VmRSS of the process at the end of a day, CPU is that of the process for all polls of a day."""

MOVES, DAYS = 1_000_000, 40
INTERVAL = 10 * MINUTE

#: When it all begins, in epoch seconds.
BEGIN = 1_700_000_000.0

#: The day on which the last process is started, and the first whole one on which looks reach a day back.
LAST_START, FIRST_FULL = 31, 2

SETTINGS = Settings(
    "soaked", LIMITS, interval=INTERVAL, sweep_interval=4 * INTERVAL, deep_interval=20 * HOUR, deep_overlap=DAY
)

_KINDS = {kind.value: kind for kind in MigrationType}


class _Asked:
    """A cloud at the other end of a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def _ask(self, *question: object) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()

    def _answer(self, *question: object) -> Answer:
        now, found = self._ask(*question)
        return Answer(tuple(_migration(each) for each in found), (), now)

    def open(self, deadline: float) -> str:  # noqa: ARG002  # the protocol's, here and below
        return "2.104"

    def newest(self, deadline: float) -> Answer:  # noqa: ARG002
        return self._answer("newest")

    def with_status(self, status: str, deadline: float) -> Answer:  # noqa: ARG002
        return self._answer("status", status)

    def changed_since(self, since: float, deadline: float) -> Answer:  # noqa: ARG002
        return self._answer("changed", since)

    def of_server(self, server_id: str, deadline: float) -> Answer:  # noqa: ARG002
        return self._answer("server", server_id)

    def deletion_of(self, server_id: str, deadline: float) -> Deletion | None:  # noqa: ARG002
        at = self._ask("deletion", server_id)
        return None if at is None else Deletion(at)

    def shows_servers_by_id(self) -> bool:
        return True

    def servers_with_status(self, status: str, deadline: float) -> Sequence[Server]:
        raise NotImplementedError

    def server(self, server_id: str, deadline: float) -> Server | None:
        raise NotImplementedError

    def hosts_up(self, hosts: Collection[str], deadline: float) -> Mapping[str, bool]:
        raise NotImplementedError

    def actions(self, server_id: str, since: float, deadline: float) -> Sequence[Action] | None:
        raise NotImplementedError

    def steps(self, server_id: str, request_id: str, deadline: float) -> Action | None:
        raise NotImplementedError

    def progress(self, server_id: str, deadline: float) -> Mapping[str, Progress] | None:
        raise NotImplementedError

    def requests(self) -> Sequence[Request]:
        return ()

    def close(self) -> None:
        """Do nothing."""


def _migration(shown: Shown) -> Migration:
    uuid, kind, status, server, created, updated, source, dest = shown
    return Migration(uuid, _KINDS[kind], status, server, created, updated, source, dest)


def _be_an_exporter(pipe: Connection, path: str, begin: float) -> None:
    """Be an exporter that polls when it is told, and tells what that took."""
    shorten_pauses()
    now = begin
    store, board = StateFile(path), Board(lambda: Process("", "", "", store.durable, store.errors))
    clock = lambda: now  # noqa: E731
    poller = Poller(SETTINGS, _Asked(pipe), board.publish, store, clock=clock, monotonic=clock)
    page = Exposition(board.view, process_metrics=False).page
    while True:
        match pipe.recv():
            case "poll", at:
                now = at
                spent = time.process_time()
                complete = poller.poll()
                pipe.send(("polled", complete, time.process_time() - spent))
            case "page":
                pipe.send(page("")[0])
            case "size":
                pipe.send(resident("self"))
            case _:
                poller.retire()
                store.close()
                return


class _Life:
    """One process of the exporter, from its start to its end."""

    def __init__(self, world: World, path: Path) -> None:
        self._world = world
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_be_an_exporter, args=(theirs, str(path), world.now), daemon=True)
        self._process.start()
        theirs.close()

    def poll(self, questions: int | None = None) -> tuple[bool, float] | None:
        """Let it poll now; return whether that was complete, and the CPU seconds it took.

        With a number, return None when so many `questions` were answered and the poll goes on.
        """
        self._pipe.send(("poll", self._world.now))
        while True:
            match self._pipe.recv():
                case "polled", complete, spent:
                    return bool(complete), float(spent)
                case question:
                    self._pipe.send(self._answer(*question))
            questions = None if questions is None else questions - 1
            if questions == 0:
                return None

    def _answer(self, question: str, asked: Any = None) -> Any:
        world = self._world
        match question:
            case "status":
                return world.now, world.with_status(asked)
            case "changed":
                return world.now, world.changed_since(asked)
            case "deletion":
                return world.deletion_of(asked)
            case _:  # the newest record, where there is none yet; all of a server, of which there are none when it is deleted
                return world.now, []

    def ask(self, what: str) -> Any:
        """Return something that it tells of itself."""
        self._pipe.send(what)
        return self._pipe.recv()

    def stop(self) -> None:
        """Let it end as after SIGTERM."""
        self._pipe.send("stop")
        self._end()

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._process.kill()
        self._end()

    def _end(self) -> None:
        self._process.join()
        self._pipe.close()


#: Processes are forked from one that has loaded what they need, and nothing else.
_CONTEXT = multiprocessing.get_context("forkserver")


@dataclass(slots=True)
class _Day:
    """What was seen of one day: the CPU seconds of its polls, and at its end resident bytes and remembered ends."""

    polls: int = 0
    failed: int = 0
    spent: float = 0.0
    resident: int = 0
    ends: int = 0


def measure() -> Iterable[Figure]:
    """Let it all happen, and compare."""
    _CONTEXT.set_forkserver_preload(["benchmarks.soak"])
    with tempfile.TemporaryDirectory() as directory:
        world, path = World(7, BEGIN, MOVES, MOVES / DAYS), Path(directory) / "state.db"
        days, page, starts = _soak(world, path)
    yield from _correct(world, page)
    yield count("polls of which that is the sum", sum(day.polls for day in days))
    yield count("of these failed", sum(day.failed for day in days), at_most=0)
    yield count("starts of the process, two thirds of them after it was killed", starts)
    yield from _grown(days)


def _correct(world: World, page: bytes) -> Iterable[Figure]:
    """Compare what was counted with the truth."""
    truth, counted = world.truth, _counted(page)
    yield same(f"{truth.started.total():,} moves began: counted by type as they did", counted[_STARTED], truth.started)
    yield same(f"{truth.ended.total():,} ended: by type and status", counted[_ENDED], truth.ended)
    yield same(
        f"{truth.corrected.total():,} ends were replaced: by type and statuses", counted[_CORRECTED], truth.corrected
    )
    yield same(f"{truth.stuck.total():,} were stuck: by type and status", counted[_STUCK], truth.stuck)
    live = world.live()
    yield same(f"{live.total():,} are live at the end: by type and status", counted[_LIVE], live)


def _grown(days: Sequence[_Day]) -> Iterable[Figure]:
    """Compare what the process takes at different times."""
    first, early, late, last = days[FIRST_FULL - 1], days[9], days[LAST_START - 1], days[-1]
    yield ratio(f"resident memory on day {DAYS}, over day {LAST_START}", last.resident, late.resident, below=1.1)
    each = (late.resident - early.resident) / (late.ends - early.ends)
    yield count("resident bytes for each end that is remembered", each)
    yield count(f"remembered ends on day {DAYS}", last.ends)
    yield count(f"resident memory on day {DAYS}", last.resident / 2**20, unit="MiB")
    what = f"CPU of a poll on day {DAYS}, over day {FIRST_FULL}"
    yield ratio(what, last.spent / last.polls, first.spent / first.polls, below=1.5)


def _soak(world: World, path: Path) -> tuple[list[_Day], bytes, int]:
    """Let all days pass; return what was seen of each, the last page, and how often the process was started."""
    life, days, starts = _Life(world, path), [], 1
    life.poll()  # while there is nothing yet
    for number in range(1, DAYS + 1):
        days.append(day := _Day())
        for poll in range(int(DAY / INTERVAL)):
            _poll(life, world, day)
            if poll % 36 == 0:
                life.ask("page")
        day.resident, day.ends = life.ask("size"), _remembered(path)
        _say(number, day)
        if number < LAST_START:
            _end(life, world, number)
            life, starts = _Life(world, path), starts + 1
    _poll(life, world, days[-1], wait=10 * INTERVAL)
    page = life.ask("page")
    life.stop()
    return days, page, starts


def _poll(life: _Life, world: World, day: _Day, wait: float = INTERVAL) -> None:
    """Let time pass, and then a poll take place."""
    world.go_on(world.now + wait)
    polled = life.poll()
    if polled is not None:
        day.polls, day.failed, day.spent = day.polls + 1, day.failed + (not polled[0]), day.spent + polled[1]
    world.witnessed = world.now


def _end(life: _Life, world: World, day: int) -> None:
    """End a process, each day in another way."""
    if day % 3 == 0:
        return life.stop()
    if day % 3 == 1:
        world.go_on(world.now + INTERVAL / 2)
        life.poll(questions=3)
        time.sleep(0.002 * (day % 10))
    return life.kill()


def _remembered(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM ended").fetchone()[0])


_STARTED = ("openstack_migrations_started_total", "migration_type")
_ENDED = ("openstack_migrations_ended_total", "migration_type", "status")
_CORRECTED = ("openstack_migration_end_corrections_total", "migration_type", "from_status", "to_status")
_STUCK = ("openstack_migrations_became_stuck_total", "migration_type", "status")
_LIVE = ("openstack_migrations", "migration_type", "status")


def _counted(page: bytes) -> dict[tuple[str, ...], Counter[tuple[str, ...]]]:
    """Return what a page says, by labels, of each of some metrics; what is zero is left out."""
    found: dict[tuple[str, ...], Counter[tuple[str, ...]]] = {}
    samples = [each for family in text_string_to_metric_families(page.decode()) for each in family.samples]
    for metric in (_STARTED, _ENDED, _CORRECTED, _STUCK, _LIVE):
        name, *labels = metric
        own = {tuple(each.labels[label] for label in labels): each.value for each in samples if each.name == name}
        found[metric] = Counter({key: int(value) for key, value in own.items() if value})
    return found


def _say(number: int, day: _Day) -> None:
    what = f"{1000 * day.spent / day.polls:.2f} ms CPU a poll, {day.resident >> 20} MiB, {day.ends:,} ends remembered"
    print(f"soak: day {number}: {what}", file=sys.stderr)
