"""Random but possible histories of migration records, and what a cloud shows of them at any time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from exporter.domain.lifecycle import DELETED, MigrationType, Phase, row_of
from exporter.domain.migration import Migration
from exporter.domain.tracker import SAME_END
from tests.domain.records import COLD, EVACUATION, LIVE, RESIZE

#: Where a record may go from a status: what Nova does, and a status that only a later Nova may know.
_COLD_STEPS = {
    "pre-migrating": ("migrating", "migrating", "error"),
    "migrating": ("post-migrating", "post-migrating", "error", "odd"),
    "odd": ("post-migrating", "error"),
    "post-migrating": ("finished", "finished", "error"),
    "finished": ("confirming", "reverting", "error"),
    "confirming": ("confirmed", "confirmed", "error"),
    "reverting": ("reverted", "reverted", "error"),
    "confirmed": ("error",),
    "reverted": ("error",),
    "error": ("failed",),
}
STEPS = {
    RESIZE: _COLD_STEPS,
    COLD: _COLD_STEPS,
    LIVE: {
        "accepted": ("queued", "queued", "error"),
        "queued": ("preparing", "preparing", "cancelled", "error"),
        "preparing": ("running", "running", "error", "cancelled"),
        "running": ("completed", "completed", "running (post-copy)", "failed", "cancelled", "error"),
        "running (post-copy)": ("completed", "failed", "error"),
        "completed": ("error",),
        "error": ("failed",),
    },
    EVACUATION: {
        "accepted": ("pre-migrating", "pre-migrating", "error", "completed"),
        "pre-migrating": ("done", "done", "failed", "completed"),
        "done": ("completed",),
    },
}
FIRST = {RESIZE: "pre-migrating", COLD: "pre-migrating", LIVE: "accepted", EVACUATION: "accepted"}

#: When the histories play; the first look lies anywhere in it.
SPAN = 3000
HEARTBEAT = 5


@dataclass(frozen=True)
class Entry:
    """The entry of a record into a status."""

    status: str
    at: float


def times_left(kind: MigrationType, later: Sequence[Entry]) -> Iterator[float]:
    """Yield the times at which a status may be said to have been left, by what was entered after it.

    What follows unseen counts to the status before it where Nova may skip it, or the table does not know it. Of ends less than
    two seconds apart each is right, and `failed` is taken to follow `error` at once, as it nearly always does
    (exporter/domain/lifecycle.py, `_may_follow_an_end`).
    """
    for place, entry in enumerate(later):
        row = row_of(kind, entry.status)
        yield entry.at
        if not row.live:
            yield from (each.at for each in later[place:] if each.at - entry.at < SAME_END or each.status == "failed")
        if not (row.optional or row.phase is Phase.UNKNOWN):
            return


@dataclass(frozen=True)
class History:
    """All that ever happened to one record; `hidden` is when its cell is down.

    `twin` tells that a cross-cell move leaves a stale copy in the other cell, which is settled before the record ends.
    """

    uuid: str
    kind: MigrationType
    entries: tuple[Entry, ...]
    deleted: float | None
    rewrite: float | None
    twin: bool
    hidden: tuple[float, float]

    @property
    def created(self) -> float:
        """Return when the record was created."""
        return self.entries[0].at

    def exists(self, at: float) -> bool:
        """Tell whether Nova has the record at a time, whether or not its cell is up."""
        return self.created <= at and (self.deleted is None or at < self.deleted)

    def is_hidden(self, at: float) -> bool:
        """Tell whether the record's cell is down at a time."""
        return self.hidden[0] <= at < self.hidden[1]

    def shown(self, at: float) -> list[Migration]:
        """Return the answers for this record at a time: none, one, or one and its stale twin."""
        if not self.exists(at) or self.is_hidden(at):
            return []
        entries = [entry for entry in self.entries if entry.at <= at]
        answers = [self._record(entries[-1], self._updated(entries, at))]
        stale = [entry for entry in entries[:-1] if entry.status == "post-migrating"]
        if self.twin and stale and answers[0].row.live:
            answers.append(self._record(stale[0], stale[0].at))
        return answers

    def _updated(self, entries: Sequence[Entry], at: float) -> float | None:
        entry = entries[-1]
        if row_of(self.kind, entry.status).heartbeat:
            return entry.at + (at - entry.at) // HEARTBEAT * HEARTBEAT
        if len(entries) == 1:
            rewritten = self.rewrite is not None and entry.at + self.rewrite <= at
            return entry.at + (self.rewrite or 0.0) if rewritten else None
        return entry.at

    def _record(self, entry: Entry, updated: float | None) -> Migration:
        return Migration(self.uuid, self.kind, entry.status, f"server of {self.uuid}", self.created, updated)

    def true_stays(self) -> dict[str, set[float]]:
        """Return the true time in each status that was left, by each time at which it may be said to have been left."""
        lived = [entry for entry in self.entries if self.deleted is None or entry.at < self.deleted]
        ends = [*lived, *([] if self.deleted is None else [Entry(DELETED, self.deleted)])]
        return {
            entry.status: {at - entry.at for at in times_left(self.kind, ends[place:])}
            for place, entry in enumerate(lived, start=1)
        }

    def ends(self) -> set[str]:
        """Return the statuses under which this record may be counted as ended."""
        ended = {entry.status for entry in self.entries if not row_of(self.kind, entry.status).live}
        return ended | ({DELETED} if self.deleted is not None else set())

    def has_ended(self) -> bool:
        """Tell whether the record ended, or its server was deleted, before the play is over."""
        return bool(self.ends())


@st.composite
def histories(draw: st.DrawFn, uuid: str) -> History:
    """Draw the history of one record: a walk through the lifecycle, with its times."""
    kind = draw(st.sampled_from(MigrationType))
    gaps = st.one_of(st.integers(1, 20), st.integers(1, 600))
    entries = [Entry(FIRST[kind], float(draw(st.integers(0, SPAN - 1))))]
    for _ in range(draw(st.integers(0, 8))):
        onward = STEPS[kind].get(entries[-1].status)
        if onward is None:
            break
        status = draw(st.sampled_from(onward))
        at = entries[-1].at + (1 if status == "failed" and entries[-1].status == "error" else draw(gaps))
        if at >= SPAN:
            break
        entries.append(Entry(status, at))
    lived = entries[0].at + draw(st.integers(1, SPAN))
    down = float(draw(st.integers(0, SPAN)))
    return History(
        uuid,
        kind,
        tuple(entries),
        deleted=lived if lived < SPAN and draw(st.integers(0, 3)) == 0 else None,
        rewrite=draw(st.none() | st.integers(1, 60)),
        twin=draw(st.booleans()),
        hidden=(down, down + draw(st.sampled_from((0, 0, 30, 600)))),
    )


def clouds() -> st.SearchStrategy[tuple[History, ...]]:
    """Draw a few records."""
    return st.integers(1, 5).flatmap(lambda count: st.tuples(*(histories(f"m{i}") for i in range(count))))
