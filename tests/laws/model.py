"""What must have been counted, from nothing but what successive complete polls were shown.

Plain on purpose: no durations, no watermarks, no disk. The laws are those of the house: see the comments.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from exporter.domain.lifecycle import DELETED, MigrationType, Phase, initial_row, passed_between, row_of
from exporter.domain.migration import Migration
from exporter.domain.names import LONGEST_NAME
from exporter.domain.snapshot import SAME_MOMENT, Snapshot
from exporter.domain.tracker import END_MEMORY, SAME_END, UNSEEN_MEMORY
from tests.laws.cloud import Shown


@dataclass
class Life:
    """What is known of one live record: the statuses that it was seen in or began with, and its newest stamp."""

    kind: MigrationType
    server: str
    created: float
    way: list[str]
    stamp: float
    unseen_since: float | None = None

    def goes_on(self, answer: Migration) -> bool:
        """Tell whether an answer lies further along: a live record never goes back."""
        rank, furthest = answer.row.rank, max(row_of(self.kind, status).rank for status in self.way)
        beside = answer.row.phase is Phase.UNKNOWN or rank == furthest
        return answer.status not in self.way and answer.stamp > self.stamp if beside else rank > furthest


@dataclass
class End:
    """An end that is remembered."""

    status: str
    stamp: float
    created: float
    counted: bool


@dataclass
class Model:
    """The books as they must be.

    `gave_up` are the records that were unseen for seven days; `came_back` those that did so when even that was forgotten.
    """

    found: int = 0
    begun: Counter[MigrationType] = field(default_factory=Counter)
    ended: Counter[tuple[MigrationType, str]] = field(default_factory=Counter)
    corrected: Counter[tuple[MigrationType, str, str]] = field(default_factory=Counter)
    left: Counter[tuple[MigrationType, str]] = field(default_factory=Counter)
    live: dict[str, Life] = field(default_factory=dict)
    ends: dict[str, End] = field(default_factory=dict)
    ends_of: Counter[str] = field(default_factory=Counter)
    forgotten: set[str] = field(default_factory=set)
    came_back: set[str] = field(default_factory=set)
    gave_up: set[str] = field(default_factory=set)
    baseline: float = -math.inf
    last_begun: float | None = None

    def take(self, shown: Shown) -> None:
        """Take in what one complete poll was shown."""
        snapshot, first = shown.snapshot, self.last_begun is None
        if first:
            self.baseline = _baseline(snapshot)
        answers = _furthest((*snapshot.migrations, *([snapshot.newest] if snapshot.newest else [])))
        for uuid, answer in answers.items():
            self._take(uuid, answer, snapshot.begun, first)
        if snapshot.complete:
            self._take_absences(answers, shown)
        self.last_begun = snapshot.begun

    def _take(self, uuid: str, answer: Migration, at: float, first: bool) -> None:
        if uuid in self.ends:
            self._correct(self.ends[uuid], answer)
        elif uuid in self.live:
            self._see(self.live[uuid], answer)
        else:
            self._meet(uuid, answer, at, first)

    def _correct(self, end: End, answer: Migration) -> None:
        """An end can be followed by another, two seconds later at least; it is counted under the first."""
        if answer.row.live or answer.status == end.status or answer.stamp - end.stamp < SAME_END:
            return
        self.corrected[answer.migration_type, end.status, answer.status] += end.counted
        end.status, end.stamp = answer.status, answer.stamp

    def _meet(self, uuid: str, answer: Migration, at: float, first: bool) -> None:
        """A record first seen ended counts only if it is new and less than thirty days old."""
        is_new = not first and answer.created_at >= self.baseline
        if not answer.row.live and not (is_new and at - answer.created_at < END_MEMORY):
            if answer.created_at >= self.baseline:
                self.ends[uuid] = End(answer.status, answer.stamp, answer.created_at, counted=False)
            return
        start = initial_row(answer.migration_type).status if is_new else answer.status
        stamp = answer.created_at if is_new else answer.stamp
        self.live[uuid] = Life(answer.migration_type, answer.server_id, answer.created_at, [start], stamp)
        self.came_back |= {uuid} & self.forgotten
        self.begun[answer.migration_type] += is_new
        self.found += not is_new
        if answer.status != start:
            self._enter(self.live[uuid], answer)

    def _see(self, life: Life, answer: Migration) -> None:
        """A status is entered once, and later stamps within it change nothing; a live record never goes back."""
        life.unseen_since = None
        if answer.status == life.way[-1]:
            life.stamp = max(life.stamp, answer.stamp)
        elif life.goes_on(answer):
            self._enter(life, answer)

    def _enter(self, life: Life, answer: Migration) -> None:
        self._leave(life, *passed_between(life.kind, life.way[-1], answer.status))
        if answer.row.live:
            life.way.append(answer.status)
            life.stamp = answer.stamp
        else:
            self._end(answer.uuid, answer.status, answer.stamp)

    def _leave(self, life: Life, *passed: str) -> None:
        """Each status that is left is observed or unobserved, and so is each that was surely passed."""
        for status in (life.way[-1], *passed):
            self.left[life.kind, status[:LONGEST_NAME]] += 1

    def _end(self, uuid: str, status: str, stamp: float) -> None:
        life = self.live.pop(uuid)
        self.ended[life.kind, status] += 1
        self.ends_of[uuid] += 1
        self.ends[uuid] = End(status, stamp, life.created, counted=True)

    def _take_absences(self, answers: dict[str, Migration], shown: Shown) -> None:
        """A vanished record is deleted where that is proven, or after seven days in which somebody looked."""
        at = shown.snapshot.begun
        unwatched = max(0.0, at - self.last_begun) if shown.resumed and self.last_begun is not None else 0.0
        for uuid, life in list(self.live.items()):
            if uuid in answers:
                continue
            proof = shown.snapshot.deletions.get(life.server)
            life.unseen_since = at if life.unseen_since is None else life.unseen_since + unwatched
            if proof is not None or at - life.unseen_since >= UNSEEN_MEMORY:
                self.gave_up |= set() if proof else {uuid}
                self._leave(life)
                self._end(uuid, DELETED, at if proof is None or proof.at is None else proof.at)
        for uuid, end in list(self.ends.items()):
            if uuid not in answers and at - max(end.created, end.stamp) >= END_MEMORY:
                del self.ends[uuid]
                self.forgotten.add(uuid)


def model_of(polls: Iterable[Shown]) -> Model:
    """Return what must have been counted after some polls."""
    model = Model()
    for shown in polls:
        model.take(shown)
    return model


def _baseline(first: Snapshot) -> float:
    """Nothing that is there at the first look is new, nor what has the time of a newest record long past."""
    if first.newest is None:
        return -math.inf
    just_then = first.begun - first.newest.created_at < SAME_MOMENT
    if just_then:
        return min(first.newest.created_at, first.begun)  # a record from the future hides nothing
    return math.nextafter(first.newest.created_at, math.inf)


def _furthest(answers: Sequence[Migration]) -> dict[str, Migration]:
    """Of two answers for one record the one further along wins, then the newer."""
    ordered = sorted(answers, key=lambda each: (each.row.rank, each.stamp, each.status))
    return {each.uuid: each for each in ordered}
