"""A cloud's records as they come about, step by step, and the truth about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from exporter.domain.cloud import Deletion
from exporter.domain.lifecycle import DELETED, MigrationType, row_of
from exporter.domain.migration import Migration
from tests.domain.histories import FIRST, HEARTBEAT, STEPS, Entry, times_left
from tests.domain.records import COLD, HOUR, LIVE, RESIZE

CELLS = ("east", "west")

#: Steps that Nova takes too, beside those of the histories of the tracker's own laws.
_RARE_STEPS = {
    (LIVE, "running"): ("a status of a later Nova, " + "longer than any name that is exposed as it is" * 2,),
    (LIVE, "failed"): ("error",),
    (LIVE, "cancelled"): (),
}


def onward(kind: MigrationType, status: str) -> tuple[str, ...]:
    """Return where a record may go from a status."""
    if not row_of(kind, status).live or status in STEPS[kind]:
        return (*STEPS[kind].get(status, ()), *_RARE_STEPS.get((kind, status), ()))
    return ("completed", "error")


@dataclass
class Record:
    """One record: its entries into statuses so far, and when Nova last wrote it, if it ever updated it.

    A `twin` is the stale copy that a cross-cell move leaves in the other cell until it has ended. `hidden` tells that its cell
    was down at some time; `dead_since` are the entries of moves that died in the first status, and whose record a later move of
    the server took over; `masked` that its twin was shown and itself not: nobody can tell that from a record that stays.
    """

    uuid: str
    kind: MigrationType
    server: str
    cell: str
    twin: bool
    created: float
    entries: list[Entry]
    updated: float | None = None
    hidden: bool = False
    masked: bool = False
    dead_since: list[float] = field(default_factory=list)

    @property
    def status(self) -> str:
        return self.entries[-1].status

    @property
    def over(self) -> bool:
        return not row_of(self.kind, self.status).live

    @property
    def dead(self) -> bool:
        """Tell whether Nova would use the record again for the next move of its server, if it lies for long enough."""
        return self.kind in (RESIZE, COLD) and self.status == "pre-migrating"

    def enter(self, status: str, at: float) -> None:
        self.entries.append(Entry(status, at))
        self.updated = at

    def answers(self, at: float, down: set[str]) -> Iterator[Migration]:
        """Yield what Nova shows of this record while its server lives."""
        if self.cell not in down:
            yield self._answer(self.entries[-1], self._stamp(at))
        stale = [entry for entry in self.entries[:-1] if entry.status == "post-migrating"]
        if self.twin and stale and not self.over and CELLS[self.cell == CELLS[0]] not in down:
            self.masked |= self.cell in down
            yield self._answer(stale[0], stale[0].at)

    def _stamp(self, at: float) -> float | None:
        """Return the time of the last update: a heartbeat where Nova writes one."""
        entry = self.entries[-1]
        if row_of(self.kind, entry.status).heartbeat:
            return entry.at + (at - entry.at) // HEARTBEAT * HEARTBEAT
        return self.updated

    def _answer(self, entry: Entry, updated: float | None) -> Migration:
        return Migration(
            self.uuid,
            self.kind,
            entry.status,
            self.server,
            self.created,
            updated,
            source_host="here",
            dest_host="there",
        )

    def stays(self, deleted: float | None) -> dict[str, set[float]]:
        """Return the true time in each status that was left, by each time at which it may be said to have been left.

        A record that was last seen in the first status when its server was deleted was in it all the while, whoever used it
        again.
        """
        ends = [*self.entries, *([] if deleted is None else [Entry(DELETED, deleted)])]
        stays = {
            entry.status: {at - entry.at for at in times_left(self.kind, ends[i + 1 :])} for i, entry in enumerate(ends)
        }
        if deleted is not None:
            left = [deleted, *times_left(self.kind, ends[1:])]
            stays[self.entries[0].status] |= {at - since for at in left for since in self.dead_since}
        return stays


@dataclass
class World:
    """All records there ever were; `clock` is the true time, `wait` lets it pass.

    `deleted` are the deleted servers and when each was; of those `undated` Nova no longer knows when.
    """

    clock: Callable[[], float]
    wait: Callable[[float], None]
    records: dict[str, Record] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    deleted: dict[str, float] = field(default_factory=dict)
    undated: set[str] = field(default_factory=set)
    denied: bool = False

    def answers(self) -> list[Migration]:
        """Return every row that Nova shows now."""
        return [answer for each in self.there() for answer in each.answers(self.clock(), self.down)]

    def there(self) -> list[Record]:
        """Return the records whose servers live."""
        return [each for each in self.records.values() if each.server not in self.deleted]

    def proof(self, server: str) -> Deletion | None:
        """Return the proof that a server was deleted, where whoever asks may see it and its cell is up."""
        cells = {each.cell for each in self.records.values() if each.server == server}
        if server not in self.deleted or self.denied or cells & self.down:
            return None
        return Deletion(None if server in self.undated else self.deleted[server])

    def begin(self, kind: MigrationType, cell: str, twin: bool, server: str | None = None) -> None:
        """Create a record, for a server that is moved for the first time where none is named."""
        uuid = f"m{len(self.records):03}"
        now = self.clock()
        server = server or f"server of {uuid}"
        self.records[uuid] = Record(
            uuid, kind, server, cell, twin, now, [Entry(FIRST[kind], now)], hidden=cell in self.down
        )

    def begin_again(self, pick: int, kind: MigrationType) -> None:
        """Move a server that was moved before: Nova uses a dead record of the same type again.

        Here only after two hours: at about one hour (`REUSE_GAP`) nobody can tell that from a move that is slow.
        """
        old = one_of(self.there(), pick)
        if old is None:
            return
        if not (old.dead and old.kind is kind):
            self.begin(kind, old.cell, twin=False, server=old.server)
        elif self.clock() - max(old.entries[0].at, old.updated or 0.0) > 2 * HOUR:
            old.dead_since.append(old.entries[0].at)
            old.entries = [Entry(old.status, self.clock())]

    def step(self, pick: int, way: int) -> None:
        """Let one record go on to another status."""
        able = [each for each in self.there() if onward(each.kind, each.status)]
        record = one_of(able, pick)
        if record is not None:
            ways = onward(record.kind, record.status)
            record.enter(ways[way % len(ways)], self.clock())

    def walk(self, pick: int, ways: Sequence[int]) -> None:
        """Let one record go on several times within seconds, so that nobody may see what lies between."""
        for way in ways:
            self.wait(1.0 + way)
            self.step(pick, way)

    def end(self, pick: int, way: int) -> Record | None:
        """Let one record end, if it can; return it."""
        able = [each for each in self.there() if not each.over and _ends_after(each)]
        record = one_of(able, pick)
        if record is not None:
            ends = _ends_after(record)
            record.enter(ends[way % len(ends)], self.clock())
        return record

    def rewrite(self, pick: int) -> None:
        """Claim or choose a destination, or choose again: Nova writes the first status once more."""
        able = [
            each for each in self.there() if len(each.entries) == 1 and self.clock() - each.entries[0].at < HOUR / 2
        ]
        record = one_of(able, pick)
        if record is not None:
            record.updated = self.clock()

    def delete(self, pick: int, dated: bool) -> None:
        """Delete the server of a record; Nova hides all its records at once."""
        record = one_of(self.there(), pick)
        if record is not None:
            self.deleted[record.server] = self.clock()
            self.undated |= set() if dated else {record.server}

    def fail_cell(self, cell: str) -> None:
        """Let a cell go down: its records are left out without a word."""
        self.down.add(cell)
        for record in self.records.values():
            record.hidden |= record.cell == cell

    def mend_cells(self) -> None:
        """Let all cells come back."""
        self.down.clear()

    def deny(self, denied: bool) -> None:
        """Let whoever asks be an admin or not: who is none gets no proof of any deletion."""
        self.denied = denied


def _ends_after(record: Record) -> list[str]:
    return [each for each in onward(record.kind, record.status) if not row_of(record.kind, each).live]


def one_of(records: Sequence[Record], pick: int) -> Record | None:
    """Return one of some records, counted from the newest; None where there is none."""
    return records[-1 - pick % len(records)] if records else None
