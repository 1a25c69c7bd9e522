"""Identity and change: from successive snapshots of a cloud's records to events.

The tracker knows which migrations are live, since when each is in its status, and which ends it has seen. It takes no time
of its own: `at` is the cloud's time of a snapshot, and durations come from Nova's stamps alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from exporter.domain.cloud import Deletion
from exporter.domain.events import BecameStuck, Began, Corrected, Ended, Event, Left
from exporter.domain.lifecycle import (
    DELETED,
    HOUR,
    Outcome,
    initial_row,
)
from exporter.domain.lookups import (
    MOST_ATTEMPTS,
    MOST_LOOKUPS,
    Lookup,
    corrected,
    end_of_move,
    in_turn,
    may_tell_more,
    told,
)
from exporter.domain.migration import Migration
from exporter.domain.revocable import Revocable
from exporter.domain.server import Action
from exporter.domain.snapshot import Snapshot, baseline_of, furthest
from exporter.domain.tracked import (
    Doubt,
    Tracked,
    Verdict,
    deleted_after,
    entered,
    entry_of,
    found,
    goes_on,
    is_exact,
    left_events,
    move_duration,
    move_end_events,
    passed_statuses,
    seen_again,
    stayed,
    was_reused,
)

DAY = 24 * HOUR

_NOTHING: Mapping[str, Any] = MappingProxyType({})

#: A record first seen ended counts only if it was created less than this long ago; older ends need not be remembered.
END_MEMORY = 30 * DAY

#: A record that no sweep shows for so long has ended as deleted: an archived server can no longer be proven.
UNSEEN_MEMORY = 7 * DAY

#: Ends closer together than this are one end: Nova writes error 0.1 s before failed
#: (nova/compute/manager.py, `_cleanup_pre_live_migration` and `_rollback_live_migration`).
SAME_END = 2.0


@dataclass(frozen=True, slots=True)
class End:
    """An end that was seen; `counted` tells whether it was counted, so whether a later correction is."""

    status: str
    stamp: float
    created_at: float
    counted: bool


@dataclass(frozen=True, slots=True)
class Times:
    """What is known of a cloud's time, in seconds since the epoch and in its own clock.

    Records created at or after `baseline` are new; None before a first look. `newest_update` is the newest stamp seen,
    `last_poll_begun` when the last complete poll began, `last_sweep` when the last one that asked for all that is live did.
    """

    baseline: float | None = None
    newest_update: float | None = None
    last_poll_begun: float | None = None
    last_sweep: float | None = None


class Tracker:
    """All migrations of one cloud; what was taken in since it was marked can be taken back.

    `touched` are the records of which something may have changed since the set was last emptied. `lookups` are those whose way
    is to be read from the actions of their servers.
    """

    def __init__(
        self,
        times: Times = Times(),
        live: Mapping[str, Tracked] = _NOTHING,
        ended: Mapping[str, End] = _NOTHING,
        lookups: Mapping[str, Lookup] = _NOTHING,
    ) -> None:
        self.times = times
        self.live = Revocable(live)
        self.ended = Revocable(ended)
        self.lookups = Revocable(lookups)
        self.touched: set[str] = set()
        self._exact = self._complete = False
        self._forget_at = -math.inf
        self._resumed_from = times.last_poll_begun
        self._marked = times

    def mark(self) -> None:
        """Note how everything is now, to come back to that."""
        for each in (self.live, self.ended, self.lookups):
            each.mark()
        self.touched.clear()
        self._marked = self.times

    def take_back(self) -> None:
        """Make everything as it was when it was marked, and go on from there as after a restart."""
        for each in (self.live, self.ended, self.lookups):
            each.take_back()
        self.touched.clear()
        self.times, self._resumed_from = self._marked, self._marked.last_poll_begun
        self._forget_at = -math.inf

    @property
    def baseline(self) -> float | None:
        """Return the time from which on created records are new; None before a first look."""
        return self.times.baseline

    @property
    def watermark(self) -> float | None:
        """Return the time up to which changes are known; None before a first look.

        The earlier of the newest stamp seen and the beginning of the last poll, so that no clock that runs ahead hides a
        change; but at most a day before that poll, so that a cloud where only an old record lives is not read from there.
        """
        begun, newest = self.times.last_poll_begun, self.times.newest_update
        if begun is None:
            return None
        return min(max(begun if newest is None else newest, begun - DAY), begun)

    def missing(self, shown: Iterable[Migration]) -> tuple[Tracked, ...]:
        """Return the live records that are not among those shown, longest unseen last looked for first."""
        uuids = {migration.uuid for migration in shown}
        return tuple(tracked for uuid, tracked in self.live.items() if uuid not in uuids)

    def observe(self, snapshot: Snapshot, at: float) -> list[Event]:
        """Take in a snapshot and return what happened since the one before, in an order that depends on nothing else."""
        first = self.baseline is None
        if first:
            self.times = replace(self.times, baseline=baseline_of(snapshot))
        shown = furthest(snapshot.migrations if snapshot.newest is None else (*snapshot.migrations, snapshot.newest))
        self._exact, self._complete = snapshot.exact, snapshot.complete
        events = self._take_actions(snapshot, at)
        for migration in sorted(shown.values(), key=attrgetter("created_at", "uuid")):
            events += self._take(migration, at, first)
        if snapshot.complete:
            self._leave_out_unwatched_time(snapshot.begun)
            events += self._take_absences(shown, snapshot.deletions, at)
            self._forget_old_ends(shown, at)
        self._advance_watermark(snapshot, at)
        return events

    def mark_stuck(self, stuck: Iterable[str], at: float) -> list[Event]:
        """Remember which live records are stuck now; return an event for each that was not yet in its status.

        A record that was stuck when it was first seen, and was not seen beginning, did not become stuck.
        """
        events: list[Event] = []
        for uuid in stuck:
            tracked = self.live[uuid]
            status = tracked.migration.status
            if status in tracked.stuck_in:
                continue
            self.live[uuid] = replace(tracked, stuck_in=tracked.stuck_in | {status})
            self.touched.add(uuid)
            if tracked.counted or tracked.first_seen != at:
                events.append(BecameStuck(tracked.migration, status))
        return events

    def judge(self, verdicts: Mapping[str, Verdict]) -> None:
        """Remember what a sweep says of live records."""
        for uuid, verdict in verdicts.items():
            if self.live[uuid].verdict != verdict:
                self.live[uuid] = replace(self.live[uuid], verdict=verdict)
                self.touched.add(uuid)

    def _take(self, migration: Migration, at: float, first: bool) -> list[Event]:
        """Take in the furthest answer for one uuid."""
        end = self.ended.get(migration.uuid)
        if end is not None:
            return self._take_after_end(migration, end)
        tracked = self.live.get(migration.uuid)
        if tracked is None:
            return self._take_new(migration, at, first)
        if migration == tracked.migration and tracked.unseen_since is None:
            self._see_again(tracked, at)
            return []
        self.touched.add(migration.uuid)
        if migration.status == tracked.migration.status:
            self.live[migration.uuid] = stayed(tracked, migration, at)
            return []
        if not goes_on(tracked, migration):
            self.live[migration.uuid] = replace(tracked, unseen_since=None)
            return []
        return self._go_on(tracked, migration, at)

    def _see_again(self, tracked: Tracked, at: float) -> None:
        """Note that a record is as it was; one that the last sweep showed so, as this one does, counts as untouched."""
        uuid = tracked.migration.uuid
        self.live[uuid] = seen_again(tracked, at)
        if not self._complete or tracked.seen != self.times.last_sweep:
            self.touched.add(uuid)

    def _take_after_end(self, migration: Migration, end: End) -> list[Event]:
        """Take in an answer for a record that has ended: at most, the end is another one now."""
        if migration.row.live or migration.status == end.status or migration.stamp - end.stamp < SAME_END:
            return []
        self.ended[migration.uuid] = replace(end, status=migration.status, stamp=migration.stamp)
        self.touched.add(migration.uuid)
        return [Corrected(migration, end.status, migration.status)] if end.counted else []

    def _take_new(self, migration: Migration, at: float, first: bool) -> list[Event]:
        """Take in a record that was never seen before."""
        since = -math.inf if self.baseline is None else self.baseline
        counted = not first and migration.created_at >= since
        if not migration.row.live and not (counted and at - migration.created_at < END_MEMORY):
            if migration.created_at >= since:
                self._remember_end(migration, migration.status, migration.stamp, counted=False)
            return []
        self.touched.add(migration.uuid)
        if counted:
            return self._begin(migration, at)
        self.live[migration.uuid] = tracked = found(migration, at)
        if tracked.stay.slack < math.inf:
            self._want(migration.uuid, Lookup(at))
        return []

    def _begin(self, migration: Migration, at: float) -> list[Event]:
        """Begin with the status in which Nova creates a record of this type, and go on from there if it has moved on."""
        start = replace(migration, status=initial_row(migration.migration_type).status, updated_at=None)
        tracked = Tracked(start, entry_of(start), seen=migration.created_at, first_seen=at, counted=True)
        began: list[Event] = [Began(migration)]
        if migration.status == start.status:
            self.live[migration.uuid] = stayed(tracked, migration, at)
            return began
        events = began + self._go_on(tracked, migration, at)
        if migration.uuid in self.live:
            self._want(migration.uuid, Lookup(at))
        return events

    def _go_on(self, tracked: Tracked, migration: Migration, at: float) -> list[Event]:
        """Move a record on to the status it is in now."""
        left, passed = tracked.migration.status, passed_statuses(tracked.migration, migration)
        proven = tracked.created_proven and not was_reused(tracked, migration, left)
        moved = replace(tracked, created_proven=proven)
        lefts = [*left_events(tracked, migration), *(Left(migration, status, None) for status in passed)]
        events, moved = self._put_off(moved, lefts, sure=int(is_exact(tracked, migration)))
        events += move_end_events(moved, migration)
        if migration.row.live:
            self.live[migration.uuid] = now = entered(moved, migration, at, passed)
            if now.move_over:
                events += self._want(migration.uuid, Lookup(at))
            return events
        if migration.uuid in self.live:
            del self.live[migration.uuid]
        self._remember_end(migration, migration.status, migration.stamp, counted=True)
        events += self._want(migration.uuid, Lookup(at, 0, moved, migration.status, migration.stamp))
        return [*events, Ended(migration, migration.status, migration.row.outcome or Outcome.UNKNOWN)]

    def _put_off(self, tracked: Tracked, lefts: Sequence[Left], sure: int) -> tuple[list[Event], Tracked]:
        """Return what counts now, and the record with the rest in doubt, if the actions of its server may tell of it.

        The first `sure` of the statuses that were left have an exact length.
        """
        now = len(lefts) if not self._exact else sure
        doubts = tuple(Doubt(each.status, each.seconds) for each in lefts[now:])
        return list(lefts[:now]), replace(tracked, doubts=(*tracked.doubts, *doubts))

    def _want(self, uuid: str, lookup: Lookup) -> list[Event]:
        """Note that a record is to be read where anything is in doubt; where nothing can be read, count what is proven."""
        ended, live = lookup.tracked, self.live.get(uuid)
        doubts = () if ended is None else ended.doubts
        if self._exact and (doubts or (live is not None and (live.doubts or live.stay.slack > 0.0))):
            self.lookups[uuid] = lookup
            self.touched.add(uuid)
            return []
        if ended is None:
            return []
        if uuid in self.lookups:
            del self.lookups[uuid]
            self.touched.add(uuid)
        return [Left(ended.migration, each.status, each.seconds) for each in doubts]

    def _take_actions(self, snapshot: Snapshot, at: float) -> list[Event]:
        """Take in what was read of the actions of servers; what cannot be read any more counts as the stamps prove it."""
        events: list[Event] = []
        most = MOST_LOOKUPS if snapshot.exact else 0
        for uuid in in_turn(self.lookups)[most:] if len(self.lookups) > most else ():
            events += self._settle(uuid, ())
        for uuid in sorted(self.lookups.keys() & snapshot.actions.keys()):
            actions = snapshot.actions[uuid]
            past = self.lookups[uuid].past(self.live.get(uuid))
            soon = actions is not None and past is not None and may_tell_more(past, actions, at)
            events += self._try_again(uuid, actions or ()) if soon else self._settle(uuid, actions or ())
        for uuid in sorted(self.lookups.keys() & snapshot.unread):
            events += self._try_again(uuid, ())
        return events

    def _try_again(self, uuid: str, actions: Sequence[Action]) -> list[Event]:
        """Let a record be read again, unless that was done often enough."""
        lookup = self.lookups[uuid]
        if lookup.attempts + 1 >= MOST_ATTEMPTS:
            return self._settle(uuid, actions)
        self.lookups[uuid] = replace(lookup, attempts=lookup.attempts + 1)
        self.touched.add(uuid)
        return []

    def _settle(self, uuid: str, actions: Sequence[Action]) -> list[Event]:
        """Count what the actions tell of a record, once and for all."""
        lookup, live = self.lookups[uuid], self.live.get(uuid)
        del self.lookups[uuid]
        self.touched.add(uuid)
        past = lookup.past(live)
        if past is None:
            return []
        if live is not None:
            self.live[uuid] = corrected(live, past, actions)
        return [*told(past, actions), *end_of_move(lookup, past, actions)]

    def _leave_out_unwatched_time(self, begun: float) -> None:
        """Count the time before a restart, in which nobody looked, not as one in which records were not shown."""
        watched, self._resumed_from = self._resumed_from, None
        gap = 0.0 if watched is None else max(0.0, begun - watched)
        for uuid, tracked in self.live.items() if gap else ():
            if tracked.unseen_since is not None:
                self.live[uuid] = replace(tracked, unseen_since=tracked.unseen_since + gap)

    def _take_absences(
        self, shown: Mapping[str, Migration], deletions: Mapping[str, Deletion], at: float
    ) -> list[Event]:
        """Take in what a complete snapshot does not show."""
        events: list[Event] = []
        for uuid in sorted(self.live.keys() - shown.keys()):
            tracked = self.live[uuid]
            deletion = deletions.get(tracked.migration.server_id)
            unseen_since = at if tracked.unseen_since is None else tracked.unseen_since
            if deletion is not None:
                events += self._delete(tracked, deletion.at, Outcome.DELETED, at)
            elif at - unseen_since >= UNSEEN_MEMORY:
                events += self._delete(tracked, None, Outcome.UNKNOWN, at)
            else:
                self.live[uuid] = replace(tracked, unseen_since=unseen_since)
                self.touched.add(uuid)
        return events

    def _delete(self, tracked: Tracked, when: float | None, outcome: Outcome, at: float) -> list[Event]:
        """End a record whose server was deleted, at a time that may not be known."""
        migration = tracked.migration
        del self.live[migration.uuid]
        self._remember_end(migration, DELETED, at if when is None else when, counted=True)
        last = Left(migration, migration.status, deleted_after(tracked, when))
        events, tracked = self._put_off(tracked, [last], sure=0)
        events += self._want(migration.uuid, Lookup(at, 0, tracked, DELETED, when))
        if when is not None and not tracked.move_over and tracked.created_proven:
            events += move_duration(migration, outcome, when)
        return [*events, Ended(migration, DELETED, outcome)]

    def _remember_end(self, migration: Migration, status: str, stamp: float, counted: bool) -> None:
        self.ended[migration.uuid] = End(status, stamp, migration.created_at, counted)
        self.touched.add(migration.uuid)

    def _forget_old_ends(self, shown: Mapping[str, Migration], at: float) -> None:
        """Forget ends that could not be counted again: their records were created too long ago, and ended as long ago.

        What was given up with a cell that was down for long comes back with it, and would begin anew. Not while they are
        shown: the stale twin of a cross-cell move may live on, and would begin anew too. Once a day, for there may be a million.
        """
        if at < self._forget_at:
            return
        self._forget_at = at + DAY
        old = [
            uuid
            for uuid, end in self.ended.items()
            if at - max(end.created_at, end.stamp) >= END_MEMORY and uuid not in shown
        ]
        for uuid in old:
            del self.ended[uuid]
        self.touched.update(old)

    def _advance_watermark(self, snapshot: Snapshot, at: float) -> None:
        stamps = [each.updated_at for each in snapshot.migrations if each.updated_at is not None]
        known = self.times.newest_update
        newest = max(stamps, default=known) if known is None else max([*stamps, known])
        swept = at if snapshot.complete else self.times.last_sweep
        self.times = replace(self.times, newest_update=newest, last_poll_begun=snapshot.begun, last_sweep=swept)
