"""A stream of moves through the simulated Nova, and the truth about them: what was written there, and nothing else."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count

from exporter.demo.nova import Nova
from tests.durability.counted import CORRECTED, ENDED, MOVED, STARTED, STUCK, Series

#: The statuses of each type between its creation and its end, in their order.
WAYS = {
    "resize": ("pre-migrating", "migrating", "post-migrating", "finished"),
    "migration": ("pre-migrating", "migrating", "post-migrating", "finished"),
    "live-migration": ("accepted", "queued", "preparing", "running"),
    "evacuation": ("accepted", "pre-migrating"),
}

#: In so many of these a move may fail: once it is finished, nothing that happens belongs to it.
_BREAKABLE = {kind: len([status for status in way if status != "finished"]) for kind, way in WAYS.items()}

#: The last steps of a move that comes to the end of its way.
_DECISIONS = {
    "confirmed": ("confirming", "confirmed"),
    "reverted": ("reverting", "reverted"),
    "completed": ("completed",),
    "done": ("done",),
}
_OUTCOMES = {"completed": "success", "done": "success", "failed": "failure", "error": "failure", "deleted": "deleted"}

#: How moves end. A deletion waits until the exporter has shown the record: what it never saw, nobody can count.
ENDINGS = (
    ("resize", "confirmed"), ("resize", "reverted"), ("resize", "error"), ("resize", "deleted"),
    ("migration", "confirmed"), ("migration", "reverted"), ("migration", "error"), ("migration", "deleted"),
    ("live-migration", "completed"), ("live-migration", "failed"), ("live-migration", "error"),
    ("live-migration", "deleted"),
    ("evacuation", "done"), ("evacuation", "failed"), ("evacuation", "error"), ("evacuation", "deleted"),
)  # fmt: skip

#: The metrics of which the truth is known to the last one.
EXACT = (STARTED, ENDED, CORRECTED, STUCK)

#: Seconds between the beginnings of two moves.
_SHORTEST_GAP, _LONGEST_GAP = 0.1, 0.4

Plot = Iterator[float]


class Stream:
    """Moves of all types, several a second, each of which takes a second or three.

    `seen` tells whether the exporter has shown a record. `truth` holds what must have been counted. `surely_left` are the
    statuses that must have been counted as left, observed or not; `perhaps_left` those that may be, since nobody knows what lies
    between the status in which a record was seen and a failure.
    """

    def __init__(self, nova: Nova, seed: int, seen: Callable[[str], bool]) -> None:
        self.truth: Counter[Series] = Counter()
        self.surely_left: Counter[tuple[str, str]] = Counter()
        self.perhaps_left: Counter[tuple[str, str]] = Counter()
        self._nova = nova
        self._chance = random.Random(seed)
        self._seen = seen
        self._order = count()
        self._waiting: list[tuple[float, int, Plot]] = []
        self._done: list[str] = []
        self._flowing = False
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, name="stream of moves", daemon=True)

    def start(self) -> None:
        """Let the first moves begin."""
        self._flowing = True
        with self._lock:
            self._add(self._source())
        self._thread.start()

    def close(self) -> None:
        """Write nothing any more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def get_stuck(self, moves: int) -> None:
        """Let some evacuations begin that stay in pre-migrating for ever; all others are out of it within a second."""
        with self._lock:
            for _ in range(moves):
                self._add(self._lost())

    def correct(self, within: float) -> None:
        """Let the sources of all evacuations that are done now come back within some seconds: done becomes completed."""
        with self._lock:
            for uuid in self._done:
                self._add(self._return(uuid, self._chance.uniform(2.5, 2.5 + within)))
            self._done.clear()

    def ebb(self) -> None:
        """Let no more moves begin, and wait until all have come to their end; those that are stuck stay."""
        self._flowing = False
        until = time.monotonic() + 120
        while self._waiting:
            assert time.monotonic() < until, f"{len(self._waiting)} moves do not end: was each shown on the page?"
            time.sleep(0.1)

    def flow(self) -> None:
        """Let moves begin again."""
        self._flowing = True
        with self._lock:
            self._add(self._source())

    def written(self) -> Counter[Series]:
        """Return the truth as it is now: nothing on any page that was asked for before may be above it."""
        with self._lock:
            return self.truth.copy()

    # The thread, and what it plays

    def _play(self) -> None:
        while not self._stop.wait(0.01):
            with self._lock:
                while self._waiting and self._waiting[0][0] <= time.monotonic():
                    self._go_on(heapq.heappop(self._waiting)[2])

    def _go_on(self, plot: Plot) -> None:
        pause = next(plot, None)
        if pause is not None:
            heapq.heappush(self._waiting, (time.monotonic() + pause, next(self._order), plot))

    def _add(self, plot: Plot) -> None:
        heapq.heappush(self._waiting, (time.monotonic(), next(self._order), plot))

    def _source(self) -> Plot:
        while self._flowing:
            kind, ending = self._chance.choice(ENDINGS)
            self._add(self._doomed(kind) if ending == "deleted" else self._move(kind, ending))
            yield self._chance.uniform(_SHORTEST_GAP, _LONGEST_GAP)

    def _move(self, kind: str, ending: str) -> Plot:
        uuid, _ = self._begin(kind)
        yield self._pause()
        rest = self._chance.randrange(_BREAKABLE[kind]) if ending in ("failed", "error") else None
        for status in WAYS[kind][1 : None if rest is None else rest + 1]:
            self._nova.advance(uuid, status)
            yield self._pause()
        if rest is None:
            yield from self._decide(kind, uuid, ending)
        else:
            self._fail(kind, uuid, ending, WAYS[kind][: rest + 1])

    def _decide(self, kind: str, uuid: str, ending: str) -> Plot:
        self.surely_left.update((kind, status) for status in (*WAYS[kind], *_DECISIONS[ending][:-1]))
        for status in _DECISIONS[ending]:
            if status == ending:
                self._count_end(kind, ending)
            self._nova.advance(uuid, status)
            yield self._pause()
        if ending == "done":
            self._done.append(uuid)

    def _fail(self, kind: str, uuid: str, ending: str, passed: tuple[str, ...]) -> None:
        self.surely_left[kind, passed[0]] += 1
        self.perhaps_left.update((kind, status) for status in passed[1:])
        self._count_end(kind, ending)
        self._nova.advance(uuid, ending)

    def _doomed(self, kind: str) -> Plot:
        uuid, server = self._begin(kind)
        while not self._seen(uuid):
            yield 0.2
        self.surely_left[kind, WAYS[kind][0]] += 1
        self._count_end(kind, "deleted")
        self._nova.delete_server(server)

    def _lost(self) -> Plot:
        uuid, _ = self._begin("evacuation")
        yield self._pause()
        self.truth[STUCK, "evacuation", "pre-migrating"] += 1
        self.surely_left["evacuation", "accepted"] += 1
        self._nova.advance(uuid, "pre-migrating")

    def _return(self, uuid: str, after: float) -> Plot:
        yield after
        self.truth[CORRECTED, "done", "evacuation", "completed"] += 1
        self._nova.advance(uuid, "completed")

    def _begin(self, kind: str) -> tuple[str, str]:
        server = self._nova.boot()
        self.truth[STARTED, kind] += 1
        row = self._nova.insert(instance_uuid=server.id, migration_type=kind, status=WAYS[kind][0])
        return row.uuid, server.id

    def _count_end(self, kind: str, ending: str) -> None:
        self.truth[ENDED, kind, ending] += 1
        if ending in _OUTCOMES:  # the end of a confirmed or reverted move itself may pass unseen
            self.truth[MOVED, kind, _OUTCOMES[ending]] += 1

    def _pause(self) -> float:
        return self._chance.uniform(0.2, 0.7)
