"""What was counted, against what truly happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exporter.domain.events import Began, Corrected, Ended, Event, Left, MoveEnded
from exporter.domain.lifecycle import DELETED, Outcome, row_of
from exporter.domain.tracked import HEARTBEAT_PERIOD, TOLERANCE
from exporter.domain.tracker import END_MEMORY
from tests.domain.records import DAY, HOUR
from tests.laws.cloud import Shown
from tests.laws.model import model_of
from tests.laws.replay import events_of
from tests.laws.world import Record, World


def check_truth(world: World, polls: Sequence[Shown]) -> None:
    """Check every record, when the exporter has seen all there is."""
    seen, at_first = _shown(polls), _shown(polls[:1])
    by_record: dict[str, list[Event]] = {uuid: [] for uuid in world.records}
    for event in events_of(polls):
        by_record[event.migration.uuid].append(event)
    model = model_of(polls)
    for record in world.records.values():
        if record.uuid in model.came_back:  # its cell was down for so long that nobody remembers its end
            continue
        own = by_record[record.uuid]
        _check_order(record, own)
        _check_end(world, record, own)
        if record.server not in world.deleted and (not record.hidden or _is_recent(record, world.clock())):
            assert record.uuid in seen or record.created < model.baseline or record.over
            is_new = record.uuid not in at_first and record.created > model.baseline
            young = world.clock() - record.created < END_MEMORY
            assert any(isinstance(event, Began) for event in own) or not (is_new and young), record
        if not record.hidden and _was_over(record, polls[0]):
            assert own == [], record
        _check_durations(world, record, own)


def _shown(polls: Sequence[Shown]) -> set[str]:
    """Return the records that some polls were shown."""
    snapshots = [each.snapshot for each in polls]
    return {answer.uuid for each in snapshots for answer in (*each.migrations, *([each.newest] if each.newest else []))}


def _was_over(record: Record, first: Shown) -> bool:
    """Tell whether a record had ended before the first look."""
    ends = [entry.at for entry in record.entries if not row_of(record.kind, entry.status).live]
    return bool(ends) and ends[0] < first.true_time


def _is_recent(record: Record, now: float) -> bool:
    """Tell whether a look that reaches a day back shows a record, whenever its cell came back."""
    return record.updated is None or now - record.updated < DAY - 2 * HOUR


def _check_order(record: Record, events: Sequence[Event]) -> None:
    """A record begins before all else, leaves each status once and ends once."""
    kinds = [type(event) for event in events]
    assert Began not in kinds[1:]
    assert max(Counter(event.status for event in events if isinstance(event, Left)).values(), default=0) <= 1
    assert kinds.count(MoveEnded) <= 1
    after = [kind for kind in kinds if kind in (Ended, Corrected)]
    assert after[1:] == [Corrected] * len(after[1:])
    assert not after or after[0] is Ended


def _check_end(world: World, record: Record, events: Sequence[Event]) -> None:
    """What has ended and was known to live, or is new, has ended once; a vanished record is never a success."""
    known = any(isinstance(event, Began | Left) for event in events)
    ends = [event for event in events if isinstance(event, Ended)]
    gone = record.server in world.deleted
    if known and (record.over or gone):
        assert len(ends) == 1
    elif not record.over and not gone:
        assert all((end.status, end.outcome) == (DELETED, Outcome.UNKNOWN) for end in ends)
    assert all(end.status != DELETED or end.outcome is not Outcome.SUCCESS for end in ends)


def _check_durations(world: World, record: Record, events: Sequence[Event]) -> None:
    """A time in a status is observed only if it is true to a heartbeat or a tenth; that of the move is that of an entry."""
    deleted = world.deleted.get(record.server)
    stays, entries = record.stays(deleted), [(entry.at, row_of(record.kind, entry.status)) for entry in record.entries]
    for event in events:
        masked = record.masked and isinstance(event, Left) and event.status == "post-migrating"
        if isinstance(event, Left) and event.seconds is not None and not masked:
            heartbeat = row_of(record.kind, event.status).heartbeat
            doubt = max(HEARTBEAT_PERIOD if heartbeat else 0.0, TOLERANCE * event.seconds)
            assert any(abs(event.seconds - true) <= doubt for true in stays[event.status]), (event, record)
        if isinstance(event, MoveEnded) and not record.dead_since:
            ends = {(row.outcome, at) for at, row in entries if row.finishes_move} | {(Outcome.DELETED, deleted)}
            assert (event.outcome, record.created + event.seconds) in ends, (event, record)
