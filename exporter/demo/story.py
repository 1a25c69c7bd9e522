"""The story that the simulated cloud plays: moves of every type and ending, for ever, from a seed.

All is a function of seed and begin. The first half minute is a cast in a fixed order, so that whoever looks after a
minute sees live, stuck and ended moves of all four types; only the cast has moves and servers that stay as they are for
ever. Then, every three minutes, a host is drained: all its servers leave it by live migration, one after the other.
"""

import heapq
import random
from collections.abc import Iterable, Iterator
from itertools import count

from exporter.demo.beats import Beat, Script, Verb
from exporter.demo.endings import STUCK, Ending
from exporter.demo.scripts import FULL_HOST, cold, evacuate, live

RETENTION = 900.0  # seconds that an ended move and its server are kept
DOOMED_HOST = "compute-6"  # dies for good early in the story
DOOM = 20.0
FLAKY_HOST = "compute-5"  # dies and comes back, for ever
_FLAKY_PERIOD, _FLAKY_DOWN_FOR = 60.0, 35.0
LOST_HOST = "compute-7"  # was dead before the story begins
RESTARTED_HOST = "compute-8"  # its nova-compute is killed and started again in the midst of a move
DRAINED_HOST = "compute-10"  # is emptied for maintenance, and filled again
DRAIN_EVERY, DRAIN_AT = 180.0, 30.0
_DRAINED_SERVERS = 8
_DRAINS_TAKE = 150.0  # at most, so that the host is open again before the next one
_SOUND_HOSTS = ("compute-1", "compute-2", "compute-3", "compute-4")
_LIVE_SOURCES = _SOUND_HOSTS[:2]
_LONGEST_QUEUE = 20.0

Role = tuple[str, Ending]

CAST: tuple[Role, ...] = (
    ("resize", Ending.STUCK_FINISHING),
    ("live-migration", Ending.STUCK_RUNNING),
    ("migration", Ending.STUCK_COPYING),
    ("evacuation", Ending.STUCK_REBUILDING),
    ("evacuation", Ending.STRANDED_REBUILDING),
    ("live-migration", Ending.STUCK_ACCEPTED),
    ("migration", Ending.STUCK_SCHEDULING),
    ("migration", Ending.STRANDED_REVERTING),
    ("resize", Ending.ORPHANED),
    ("migration", Ending.CONFIRMED),
    ("resize", Ending.UNCONFIRMED),
    ("live-migration", Ending.COMPLETED),
    ("evacuation", Ending.COMPLETED),
    ("resize", Ending.REVERTED),
    ("live-migration", Ending.PRE_FAILED),
    ("migration", Ending.DISK_ERROR),
    ("resize", Ending.DELETED_FINISHED),
    ("live-migration", Ending.CANCELLED),
    ("live-migration", Ending.COMPLETED),
    ("evacuation", Ending.REBUILD_FAILED),
    ("migration", Ending.DELETED_MIGRATING),
    ("resize", Ending.CONFIRMED_LATE),
    ("migration", Ending.RESCHEDULED),
)
_SOURCES = {
    Ending.STUCK_RUNNING: DOOMED_HOST,
    Ending.STUCK_COPYING: DOOMED_HOST,
    Ending.STUCK_REBUILDING: LOST_HOST,
    Ending.ORPHANED: RESTARTED_HOST,
}
_LATER: tuple[Role, ...] = (
    *(role for role in CAST if role[1] not in STUCK),
    ("resize", Ending.CONFIRMED),
    ("resize", Ending.CONFIRMED),
    ("resize", Ending.NO_VALID_HOST),
    ("migration", Ending.CONFIRMED),
    ("migration", Ending.CONFIRMED_LATE),
    ("migration", Ending.REVERTED),
    ("live-migration", Ending.COMPLETED),
    ("live-migration", Ending.COMPLETED_POST_COPY),
    ("live-migration", Ending.ROLLED_BACK),
    ("evacuation", Ending.COMPLETED),
)


def story(seed: int, begin: float) -> Iterator[Beat]:
    """Yield the beats in the order of time, without end; `begin` in epoch seconds."""
    moves, drains = _in_order(_moves(random.Random(seed), begin)), _in_order(_drains(random.Random(seed + 1), begin))
    return heapq.merge(_hosts(begin), moves, drains, key=lambda beat: beat.at)


def _hosts(begin: float) -> Iterator[Beat]:
    for host in (*_SOUND_HOSTS, FLAKY_HOST, DOOMED_HOST, LOST_HOST, RESTARTED_HOST, FULL_HOST, DRAINED_HOST):
        yield Beat(begin, Verb.SERVICE, host, {"up": host != LOST_HOST})
    yield Beat(begin, Verb.SERVICE, FLAKY_HOST, {"up": False})
    yield Beat(begin + DOOM, Verb.SERVICE, DOOMED_HOST, {"up": False})
    for period in count():
        start = begin + period * _FLAKY_PERIOD
        if period:
            yield Beat(start, Verb.SERVICE, FLAKY_HOST, {"up": False})
        yield Beat(start + _FLAKY_DOWN_FOR, Verb.SERVICE, FLAKY_HOST, {"up": True})


def _in_order(moves: Iterable[tuple[float, list[Beat]]]) -> Iterator[Beat]:
    """Yield the beats of all moves in the order of time; a move comes with when it begins, and has no beat before that."""
    waiting: list[tuple[float, int, Beat]] = []
    order = count()
    for begin, beats in moves:
        while waiting and waiting[0][0] <= begin:
            yield heapq.heappop(waiting)[2]
        for beat in beats:
            heapq.heappush(waiting, (beat.at, next(order), beat))


def _moves(chance: random.Random, begin: float) -> Iterator[tuple[float, list[Beat]]]:
    """Start a move every few seconds."""
    plot = _Plot(chance, begin)
    at = begin
    for number in count():
        at += 1.5 if number < len(CAST) else chance.uniform(2, 4)
        role = CAST[number] if number < len(CAST) else chance.choice(_LATER)
        yield at, plot.move(number, at, role)


def _drains(chance: random.Random, begin: float) -> Iterator[tuple[float, list[Beat]]]:
    """Empty a host, and open it again in time for the next drain."""
    for drain in count():
        at = free_at = begin + DRAIN_AT + drain * DRAIN_EVERY
        yield at - 1, [Beat(at - 1, Verb.SERVICE, DRAINED_HOST, {"disabled": True, "disabled_reason": "maintenance"})]
        opened = {"disabled": False, "disabled_reason": None}
        yield at - 1, [Beat(at + _DRAINS_TAKE, Verb.SERVICE, DRAINED_HOST, opened)]
        for place in range(_DRAINED_SERVERS):
            asked = at + 0.3 * place
            script = Script(_number(drain, place), asked, chance, DRAINED_HOST, chance.choice(_SOUND_HOSTS))
            free_at = live(script, Ending.COMPLETED, free_at, asked)
            script.purge(RETENTION)
            yield asked, script.beats


def _number(drain: int, place: int) -> int:
    """Return the number of a server that is drained; those of the other moves are below."""
    return 90_000 + drain * _DRAINED_SERVERS + place


class _Plot:
    """Write scripts one after the other, mindful of which host is busy until when."""

    def __init__(self, chance: random.Random, begin: float) -> None:
        self._chance = chance
        self._begin = begin
        self._free_at = dict.fromkeys((*_LIVE_SOURCES, DOOMED_HOST), begin)

    def move(self, number: int, at: float, role: Role) -> list[Beat]:
        """Give all beats of one move."""
        migration_type, ending = role
        source = self._source(migration_type, ending, at)
        if source == FLAKY_HOST:
            at = self._down_at(at)
        script = Script(number, at, self._chance, source, self._dest(source, ending))
        if migration_type == "live-migration":
            self._free_at[source] = live(script, ending, self._free_at[source], self._begin + DOOM)
        elif migration_type == "evacuation":
            evacuate(script, ending, self._back_at)
        else:
            cold(script, migration_type, ending)
        if ending not in STUCK:
            script.purge(RETENTION)
        return script.beats

    def _source(self, migration_type: str, ending: Ending, at: float) -> str:
        if ending in _SOURCES:
            return _SOURCES[ending]
        if migration_type == "evacuation":
            return FLAKY_HOST
        if migration_type == "live-migration":
            return self._live_source(at)
        return self._chance.choice(_SOUND_HOSTS)

    def _live_source(self, at: float) -> str:
        # Mostly any, so that a queue forms behind one; the freer one when it is long, so that it stays bounded.
        chosen = self._chance.choice(_LIVE_SOURCES)
        if self._free_at[chosen] - at > _LONGEST_QUEUE:
            return min(_LIVE_SOURCES, key=lambda host: self._free_at[host])
        return chosen

    def _dest(self, source: str, ending: Ending) -> str:
        if ending in (Ending.STUCK_FINISHING, Ending.STUCK_REBUILDING, Ending.STRANDED_REBUILDING):
            return DOOMED_HOST
        return self._chance.choice([host for host in _SOUND_HOSTS if host != source])

    def _down_at(self, at: float) -> float:
        """Give when the flaky host is down next, early enough for a rebuild."""
        phase = (at - self._begin) % _FLAKY_PERIOD
        return at if phase < _FLAKY_DOWN_FOR - 15 else at - phase + _FLAKY_PERIOD + self._chance.uniform(0.5, 5)

    def _back_at(self, at: float) -> float:
        """Give when the flaky host, down at a moment, is back."""
        phase = (at - self._begin) % _FLAKY_PERIOD
        return at if phase > _FLAKY_DOWN_FOR else at - phase + _FLAKY_DOWN_FOR + 1
