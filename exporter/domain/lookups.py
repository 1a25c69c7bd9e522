"""What is to be read from the actions of servers: records whose way the polls alone did not prove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from exporter.domain.events import Event, Left
from exporter.domain.history import Past, entries, lengths
from exporter.domain.lifecycle import DELETED, Outcome, row_of
from exporter.domain.server import Action
from exporter.domain.tracked import Stay, Tracked, move_duration, passed_stay

#: Records that wait to be read, at most; beyond that what the stamps prove must do.
MOST_LOOKUPS = 10_000

#: A record is asked for so many times, where its server's actions cannot be read or do not tell everything yet.
MOST_ATTEMPTS = 5

#: Seconds in which Nova may still be noting the end of a step: it does so behind the change of the status.
SETTLING = 60.0


@dataclass(frozen=True, slots=True)
class Lookup:
    """A record whose server's actions are to be read, since `queued` in the cloud's time.

    `tracked` is a record that has ended, as it was just before, `status` its end and `ended` when that was, where that is
    known; there is none while it lives.
    """

    queued: float
    attempts: int = 0
    tracked: Tracked | None = None
    status: str | None = None
    ended: float | None = None

    def past(self, live: Tracked | None) -> Past | None:
        """Return what is known of the record; `live` is what is known if it lives. None where it is known no more."""
        tracked = self.tracked or live
        if tracked is None:
            return None
        return Past(
            tracked.migration,
            (*tracked.history, tracked.stay),
            tracked.doubts,
            tracked.created_proven,
            tracked.counted,
            self.tracked is not None,
            self.ended,
            self.status == DELETED,
        )


def in_turn(lookups: Mapping[str, Lookup]) -> list[str]:
    """Return the records to be read, the one that waits longest first."""
    return sorted(lookups, key=lambda uuid: (lookups[uuid].attempts, lookups[uuid].queued, uuid))


def may_tell_more(past: Past, actions: Sequence[Action], at: float) -> bool:
    """Tell whether the length of a status in doubt is not proven, but Nova may still be noting it."""
    moment = past.migration.stamp if past.ended is None else past.ended
    return at - moment < SETTLING and None in lengths(past, actions).values()


def told(past: Past, actions: Sequence[Action]) -> list[Event]:
    """Return what the actions tell of a record, and for what they do not prove what the stamps do."""
    return [Left(past.migration, status, seconds) for status, seconds in lengths(past, actions).items()]


def end_of_move(lookup: Lookup, past: Past, actions: Sequence[Action]) -> list[Event]:
    """Return the end of a move that was over before anybody saw it `finished`.

    Not where the record's own end was taken for it, and not where it was over before anybody looked.
    """
    kind = past.migration.migration_type
    finished = entries(past, actions).get("finished")
    if finished is None or not past.created_proven or _was_seen_to_be_over(past):
        return []
    if lookup.status is not None and row_of(kind, lookup.status).finishes_move:
        return []
    return move_duration(past.migration, Outcome.SUCCESS, finished)


def _was_seen_to_be_over(past: Past) -> bool:
    kind, first = past.migration.migration_type, past.stays[0].status
    found_over = not past.counted and row_of(kind, first).rank >= row_of(kind, "finished").rank
    return found_over or any(stay.status == "finished" and stay.slack == 0.0 for stay in past.stays)


def corrected(tracked: Tracked, past: Past, actions: Sequence[Action]) -> Tracked:
    """Return a live record of which everything in doubt is told, in its status since when the actions say."""
    entered = entries(past, actions)
    passed = {*lengths(past, actions), *(stay.status for stay in tracked.history)} - {tracked.stay.status}
    known = {stay.status: stay for stay in tracked.history}
    history = [_stay(status, known.get(status), entered, tracked) for status in passed]
    kind = tracked.migration.migration_type
    in_order = sorted(history, key=lambda stay: (row_of(kind, stay.status).rank, stay.status))
    present = tracked.stay
    if present.slack > 0.0 and present.status in entered:
        present = Stay(present.status, entered[present.status])
    return replace(tracked, stay=present, history=tuple(in_order), doubts=())


def _stay(status: str, known: Stay | None, entered: Mapping[str, float], tracked: Tracked) -> Stay:
    if known is not None and known.slack == 0.0:
        return known
    since = entered.get(status)
    return passed_stay(status, tracked.migration.created_at) if since is None else Stay(status, since)
