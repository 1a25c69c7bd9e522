"""A cloud in which servers move, in simulated time: what Nova would show of it, and the truth about it.

Lean enough for a million moves. The truth comes from what is written here, and from nothing of the exporter's.
"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

#: A record as it is shown: uuid, type, status, server, created_at, updated_at, source, destination.
Shown = tuple[str, str, str, str, float, float | None, str, str]

#: A running live migration is written so often, in seconds (nova/conf/libvirt.py, `live_migration_monitor_interval`).
_HEARTBEAT = 5.0

#: Changes are remembered for so long: nobody asks for older ones.
_MEMORY = 26 * HOUR

#: The end of a record whose server is deleted: Nova writes nothing, and shows the record no more.
_DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Way:
    """One of the ways that moves take, and how many of a thousand take it.

    `steps` are the statuses with the seconds that a move stays in each on average; it is uniform from a tenth to almost
    twice of that. `later` is what replaces the end hours later. `stuck_after` is when the last of the steps counts as
    stuck: it takes longer then, by hours or a day.
    """

    share: int
    kind: str
    steps: tuple[tuple[str, float], ...]
    end: str
    later: str | None = None
    stuck_after: float | None = None


_CLAIMED = ("pre-migrating", 20.0)
_COPIED = (_CLAIMED, ("migrating", 240.0), ("post-migrating", 40.0))
_WAITING = (*_COPIED, ("finished", 15 * MINUTE))
_QUEUED = (("accepted", 10.0), ("queued", 5 * MINUTE))
_PREPARED = (*_QUEUED, ("preparing", 30.0))
_RUNNING = (*_PREPARED, ("running", 4 * MINUTE))
_REBUILT = (("accepted", 15.0), ("pre-migrating", 2 * MINUTE))


def _resizes(kind: str) -> tuple[Way, ...]:
    """Return the ways of a resize, which are those of a cold migration too."""
    return (
        Way(130, kind, (*_WAITING, ("confirming", 15.0)), "confirmed"),
        Way(30, kind, (*_WAITING, ("reverting", 30.0)), "reverted"),
        Way(10, kind, (_CLAIMED,), "error"),
        Way(6, kind, _COPIED[:2], "error"),
        Way(6, kind, _COPIED, "error"),
        Way(4, kind, (*_WAITING, ("confirming", 15.0)), "error"),
        Way(4, kind, (*_WAITING, ("reverting", 30.0)), "reverted", later="error"),
        Way(6, kind, _WAITING, _DELETED),
        Way(3, kind, _COPIED[:2], _DELETED),
        Way(1, kind, _COPIED[:2], "error", stuck_after=2 * HOUR),
    )


WAYS: tuple[Way, ...] = (
    *_resizes("resize"),
    *_resizes("migration"),
    Way(300, "live-migration", _RUNNING, "completed"),
    Way(30, "live-migration", (*_RUNNING, ("running (post-copy)", 20.0)), "completed"),
    Way(30, "live-migration", _PREPARED, "failed"),
    Way(30, "live-migration", _RUNNING, "failed"),
    Way(15, "live-migration", _RUNNING, "cancelled"),
    Way(10, "live-migration", _QUEUED, "cancelled"),
    Way(10, "live-migration", _QUEUED[:1], "error"),
    Way(4, "live-migration", _QUEUED, _DELETED),
    Way(1, "live-migration", _PREPARED, "error", stuck_after=35 * MINUTE),
    Way(100, "evacuation", _REBUILT, "done"),
    Way(40, "evacuation", _REBUILT, "done", later="completed"),
    Way(10, "evacuation", _REBUILT, "completed"),
    Way(10, "evacuation", _REBUILT, "failed"),
    Way(6, "evacuation", _REBUILT[:1], "error"),
    Way(3, "evacuation", _REBUILT, _DELETED),
    Way(1, "evacuation", _REBUILT, "error", stuck_after=HOUR),
)


class _Record:
    """One record; `plan` are the steps that it has yet to take, with their times, the next one last."""

    __slots__ = ("created", "kind", "plan", "server", "shown", "status", "updated", "uuid")

    def __init__(self, uuid: str, server: str, kind: str, status: str, created: float) -> None:
        self.uuid = uuid
        self.server = server
        self.kind = kind
        self.status = status
        self.created = created
        self.updated: float | None = None
        self.plan: list[tuple[float, str]] = []


#: In a plan: the record stays where it is, and counts as stuck from now on.
_STUCK = "stuck"


@dataclass(slots=True)
class Truth:
    """What happened: how many moves began, ended, had their end replaced and were stuck, by type and statuses."""

    started: Counter[tuple[str, ...]] = field(default_factory=Counter)
    ended: Counter[tuple[str, ...]] = field(default_factory=Counter)
    corrected: Counter[tuple[str, ...]] = field(default_factory=Counter)
    stuck: Counter[tuple[str, ...]] = field(default_factory=Counter)


class World:
    """A cloud in which `per_day` moves begin a day, until there are `moves` of them; `now` is in epoch seconds.

    `witnessed` is when the last poll began that is sure to have been taken in. No server is deleted before a poll has seen
    its record where it is: what nobody could have seen nobody can count.
    """

    def __init__(self, seed: int, begin: float, moves: int, per_day: float) -> None:
        self.truth = Truth()
        self.now = self.witnessed = begin
        self.left = moves
        self._pace = per_day / DAY
        self._chance = random.Random(seed)
        self._next = begin
        self._steps: list[tuple[float, int, _Record]] = []
        self._numbers = count()
        self._live: dict[str, dict[str, _Record]] = {}
        self._changes: list[tuple[float, _Record]] = []
        self._deleted: dict[str, float] = {}
        self._ways = [way for way in WAYS for _ in range(way.share)]
        self._hosts = [f"compute-{number:03}" for number in range(200)]

    def go_on(self, until: float) -> None:
        """Let everything happen that happens until a time."""
        steps = self._steps
        while True:
            begins = self._next if self.left else until
            if steps and steps[0][0] < min(begins, until):
                at, _, record = heapq.heappop(steps)
                self._step(record, at)
            elif begins < until:
                self._begin(begins)
            else:
                break
        self.now = until
        self._forget()

    # What Nova shows

    def with_status(self, status: str) -> list[Shown]:
        """Return the live records in a status."""
        return [self._shown(each) for each in self._live.get(status, {}).values()]

    def changed_since(self, since: float) -> list[Shown]:
        """Return the records that were written at or after a time and that are still shown."""
        beating = [each for status in _BEATING for each in self._live.get(status, {}).values()]
        begin = bisect_left(self._changes, since, key=_moment)
        changed = [
            each
            for at, each in self._changes[begin:]
            if each.updated == at and each.status != _DELETED and each.status not in _BEATING
        ]
        return [self._shown(each) for each in changed + [each for each in beating if self._beat(each) >= since]]

    def deletion_of(self, server: str) -> float | None:
        """Return when a server was deleted; None where it was not."""
        return self._deleted.get(server)

    def live(self) -> Counter[tuple[str, ...]]:
        """Return how many records are live, by type and status."""
        return Counter((each.kind, each.status) for records in self._live.values() for each in records.values())

    def _shown(self, each: _Record) -> Shown:
        updated = self._beat(each) if each.status in _BEATING else each.updated
        number = int(each.uuid[:4], 16)
        source, dest = self._hosts[number % 200], self._hosts[(number + 77) % 200]
        return (each.uuid, each.kind, each.status, each.server, each.created, updated, source, dest)

    def _beat(self, each: _Record) -> float:
        entered = each.updated or each.created
        return entered + (self.now - entered) // _HEARTBEAT * _HEARTBEAT

    # What happens

    def _begin(self, at: float) -> None:
        self.left -= 1
        self._next = at + self._chance.expovariate(self._pace)
        way = self._chance.choice(self._ways)
        record = _Record(self._identity(), self._identity(), way.kind, way.steps[0][0], at)
        record.plan = self._plan(way, at)
        self.truth.started[way.kind,] += 1
        self._live.setdefault(record.status, {})[record.uuid] = record
        self._wait(record)

    def _plan(self, way: Way, at: float) -> list[tuple[float, str]]:
        chance, plan = self._chance.random, []
        targets = [*(status for status, _ in way.steps[1:]), way.end]
        for (_, mean), target in zip(way.steps, targets, strict=True):
            if target == way.end and way.stuck_after is not None:
                plan.append((at + way.stuck_after, _STUCK))
                at += way.stuck_after + HOUR + chance() * DAY
            else:
                at += mean * (0.1 + 1.8 * chance())
            plan.append((at, target))
        if way.later is not None:
            plan.append((at + HOUR + chance() * DAY, way.later))
        return plan[::-1]

    def _step(self, record: _Record, at: float) -> None:
        _, status = record.plan[-1]
        before = record.status
        if status == _DELETED and (record.updated or record.created) >= self.witnessed:
            record.plan[-1] = (at + MINUTE, status)
        elif status == _STUCK:
            record.plan.pop()
            self.truth.stuck[record.kind, before] += 1
        else:
            record.plan.pop()
            self._write(record, before, status, at)
        self._wait(record)

    def _write(self, record: _Record, before: str, status: str, at: float) -> None:
        was_live = self._live.get(before, {}).pop(record.uuid, None) is not None
        record.status, record.updated = status, at
        if status in _LIVE:
            self._live.setdefault(status, {})[record.uuid] = record
        elif was_live:
            self.truth.ended[record.kind, status] += 1
        else:
            self.truth.corrected[record.kind, before, status] += 1
        if status == _DELETED:
            self._deleted[record.server] = at
        else:
            self._changes.append((at, record))

    def _wait(self, record: _Record) -> None:
        if record.plan:
            heapq.heappush(self._steps, (record.plan[-1][0], next(self._numbers), record))

    def _forget(self) -> None:
        """Forget changes for which nobody asks any more, now and then."""
        old = bisect_left(self._changes, self.now - _MEMORY, key=_moment)
        if old > len(self._changes) // 4:
            del self._changes[:old]

    def _identity(self) -> str:
        text = f"{self._chance.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_LIVE = frozenset(status for way in WAYS for status, _ in way.steps)
_BEATING = ("running", "running (post-copy)")


def _moment(change: tuple[float, _Record]) -> float:
    return change[0]
