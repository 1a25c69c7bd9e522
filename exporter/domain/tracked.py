"""A live record and what is known of its way: when it entered each status, and what its stamps prove."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from exporter.domain.events import Event, Left, MoveEnded
from exporter.domain.lifecycle import (
    HOUR,
    MigrationType,
    Outcome,
    Phase,
    Reason,
    initial_row,
    passed_between,
    row_of,
    surely_direct,
)
from exporter.domain.migration import Migration

#: Longer between two stamps in pre-migrating means that Nova used a dead record again for a new move
#: (nova/conductor/tasks/migrate.py, `_preallocate_migration`); scheduling itself is bounded by long_rpc_timeout, 1800 s.
REUSE_GAP = HOUR

#: Nova writes a running live migration about so often (nova/conf/libvirt.py, `live_migration_monitor_interval`).
HEARTBEAT_PERIOD = 5.0

#: Databases that keep whole seconds round them, so that an end may seem to lie so many seconds before its beginning.
ROUNDING = 1.0

#: A duration counts as proven if what is uncertain of it is at most this share of it.
TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class Stay:
    """The time that a record entered a status; it may have been up to `slack` seconds earlier."""

    status: str
    since: float
    slack: float = 0.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """A status that a record left, and `seconds` in it as well as stamps prove that; None where they do not."""

    status: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the sweeps say of a live record in its status; times are the cloud's, of the first sweep that said so.

    `reason` is what two sweeps in a row agreed on, OVERDUE where nothing is wrong but time; None before a first sweep told
    anything. `proposed` is what the last sweep said, where that is something else.
    """

    reason: Reason | None = None
    since: float = 0.0
    proposed: Reason | None = None
    proposed_since: float = 0.0


NO_VERDICT = Verdict()


@dataclass(frozen=True, slots=True)
class Tracked:
    """A live record and what is known of its way here.

    `seen` is the cloud's time when it was last seen in its status. `counted` tells whether it was counted as begun.
    `move_over` tells that the duration of the move is observed already or never will be. `created_proven` is False where
    created_at is that of an earlier move. `heartbeat` is the newest stamp within a heartbeat status, None before a second
    one. `stuck_in` are the statuses in which it became stuck. `unseen_since` is set while sweeps do not show it.
    `verdict` is what the sweeps say of it in its present status. `doubts` are statuses that it left, of which its server's
    actions are still to tell how long it was in them.
    """

    migration: Migration
    stay: Stay
    seen: float
    first_seen: float
    counted: bool
    history: tuple[Stay, ...] = ()
    move_over: bool = False
    created_proven: bool = True
    heartbeat: float | None = None
    stuck_in: frozenset[str] = frozenset()
    unseen_since: float | None = None
    verdict: Verdict = NO_VERDICT
    doubts: tuple[Doubt, ...] = ()


def goes_on(tracked: Tracked, migration: Migration) -> bool:
    """Tell whether an answer with another status lies further along than what was seen."""
    rank, known = migration.row.rank, [_rank_of(tracked, stay) for stay in (*tracked.history, tracked.stay)]
    if migration.row.phase is Phase.UNKNOWN or rank == max(known):
        entered = {stay.status for stay in (*tracked.history, tracked.stay)}
        return migration.status not in entered and migration.stamp > tracked.migration.stamp
    return rank > max(known)


def _rank_of(tracked: Tracked, stay: Stay) -> int:
    return row_of(tracked.migration.migration_type, stay.status).rank


def entry_of(migration: Migration) -> Stay:
    """Return when a record that is first seen in its status entered it.

    A record is created in the first status of its type, so that later stamps there mean nothing, unless Nova used a dead
    record again. Heartbeats hide the beginning of a running status: since its creation is all that is sure.
    """
    row, age = migration.row, migration.stamp - migration.created_at
    if row.rank == 0:
        reused = _may_be_reused(migration.migration_type) and age > REUSE_GAP
        return Stay(migration.status, migration.stamp if reused else migration.created_at, math.inf if reused else 0.0)
    return Stay(migration.status, migration.stamp, max(0.0, age) if row.heartbeat else 0.0)


def found(migration: Migration, at: float) -> Tracked:
    """Return the record as it was found in the middle of its way."""
    stay, over = entry_of(migration), _is_move_over(migration)
    proven = stay.slack != math.inf and not _came_late(migration, initial_row(migration.migration_type).status)
    return Tracked(migration, stay, at, at, counted=False, move_over=over, created_proven=proven)


def _finished_rank(migration_type: MigrationType) -> float:
    """Return the rank beyond which the move itself is over while the record lives on."""
    return 3 if _may_be_reused(migration_type) else math.inf


def _may_be_reused(migration_type: MigrationType) -> bool:
    """Tell whether Nova uses dead pre-migrating records of this type again."""
    return migration_type in (MigrationType.RESIZE, MigrationType.MIGRATION)


def _came_late(migration: Migration, left: str) -> bool:
    """Tell whether a record left its first status so long after its creation that it must be a re-used one."""
    if not _may_be_reused(migration.migration_type) or left != initial_row(migration.migration_type).status:
        return False
    return surely_direct(migration.migration_type, left, migration.status) and (
        migration.stamp - migration.created_at > REUSE_GAP
    )


def was_reused(tracked: Tracked, migration: Migration, left: str) -> bool:
    return tracked.stay.slack == math.inf or _lingered(tracked) or _came_late(migration, left)


def _lingered(tracked: Tracked) -> bool:
    """Tell whether a record was seen for so long in its first status that what follows may belong to another move."""
    migration = tracked.migration
    waited = tracked.seen - tracked.stay.since
    return _may_be_reused(migration.migration_type) and migration.row.rank == 0 and waited > REUSE_GAP


def seen_again(tracked: Tracked, at: float) -> Tracked:
    """Return a record that is as it was: dataclasses.replace takes thrice as long, and a sweep sees nearly all so."""
    each = tracked
    return Tracked(
        each.migration, each.stay, at, each.first_seen, each.counted, each.history, each.move_over, each.created_proven,
        each.heartbeat, each.stuck_in, each.unseen_since, each.verdict, each.doubts,
    )  # fmt: skip


def stayed(tracked: Tracked, migration: Migration, at: float) -> Tracked:
    """Return a record that is still in its status: later stamps do not move its beginning."""
    older = tracked.migration
    if migration.stamp < older.stamp:
        return replace(tracked, seen=at, unseen_since=None)
    gap = migration.stamp - older.stamp
    stay, proven = tracked.stay, tracked.created_proven
    if migration.row.rank == 0 and _may_be_reused(migration.migration_type) and gap > REUSE_GAP:
        stay, proven = Stay(migration.status, migration.stamp, math.inf), False
    heartbeat = migration.stamp if migration.row.heartbeat and gap > 0 else tracked.heartbeat
    return replace(
        tracked,
        migration=migration,
        stay=stay,
        seen=at,
        created_proven=proven,
        heartbeat=heartbeat,
        unseen_since=None,
    )


def passed_stay(status: str, since: float) -> Stay:
    """Return a stay of which nothing is known but that it was, some time after `since`."""
    return Stay(status, since, math.inf)


def entered(tracked: Tracked, migration: Migration, at: float, passed: Iterable[str] = ()) -> Tracked:
    """Return a record that entered the status it is in now, having `passed` others unseen."""
    unseen = tuple(passed_stay(status, tracked.stay.since) for status in passed)
    return replace(
        tracked,
        migration=migration,
        stay=Stay(migration.status, migration.stamp, _entry_slack(tracked, migration)),
        seen=at,
        history=(*tracked.history, tracked.stay, *unseen),
        move_over=tracked.move_over or _is_move_over(migration),
        heartbeat=None,
        unseen_since=None,
        verdict=NO_VERDICT,
    )


def _is_move_over(migration: Migration) -> bool:
    row = migration.row
    return row.finishes_move or _finished_rank(migration.migration_type) < row.rank


def _entry_slack(tracked: Tracked, migration: Migration) -> float:
    """Return how much earlier than its stamp a record may have entered its status: a heartbeat moves the stamp on."""
    return _since_seen(tracked, migration.stamp) if migration.row.heartbeat else 0.0


def _since_seen(tracked: Tracked, stamp: float) -> float:
    """Return the time before a stamp in which a record was not seen in the status it left."""
    return max(0.0, stamp - max(tracked.seen, tracked.migration.stamp, tracked.stay.since))


def left_events(tracked: Tracked, migration: Migration) -> list[Left]:
    """Return that a record left its status, with the time it was in it where the stamps prove that."""
    kind, left = migration.migration_type, tracked.stay.status
    direct = surely_direct(kind, left, migration.status)
    slack = _entry_slack(tracked, migration) if direct else _since_seen(tracked, migration.stamp)
    seconds = migration.stamp - tracked.stay.since
    if was_reused(tracked, migration, left) or not _is_proven(seconds, tracked, slack):
        return [Left(migration, left, None)]
    return [Left(migration, left, seconds)]


def is_exact(tracked: Tracked, migration: Migration) -> bool:
    """Tell whether stamps alone prove to the moment how long a record was in the status that it left."""
    left = tracked.stay.status
    return (
        tracked.stay.slack == 0.0
        and surely_direct(migration.migration_type, left, migration.status)
        and _entry_slack(tracked, migration) == 0.0
        and not was_reused(tracked, migration, left)
        and migration.stamp >= tracked.stay.since
    )


def _is_proven(seconds: float, tracked: Tracked, slack: float) -> bool:
    """Tell whether a time in a status is known well enough: exactly, within a heartbeat, or within a tenth of it."""
    if seconds < 0:
        return False
    doubt = slack + tracked.stay.slack
    heartbeat = HEARTBEAT_PERIOD if tracked.migration.row.heartbeat else 0.0
    return doubt <= max(heartbeat, TOLERANCE * seconds)


def deleted_after(tracked: Tracked, when: float | None) -> float | None:
    """Return how long a record was in its last status when its server was deleted, where that is known."""
    if when is None:
        return None
    seconds = when - tracked.stay.since
    return seconds if _is_proven(seconds, tracked, _since_seen(tracked, when)) else None


def passed_statuses(earlier: Migration, later: Migration) -> tuple[str, ...]:
    return passed_between(later.migration_type, earlier.status, later.status)


def move_end_events(tracked: Tracked, migration: Migration) -> list[Event]:
    """Return the end of the move itself, where this step is that end and its creation is believed."""
    row = migration.row
    if tracked.move_over or not row.finishes_move or not tracked.created_proven:
        return []
    return move_duration(migration, row.outcome or Outcome.UNKNOWN, migration.stamp)


def move_duration(migration: Migration, outcome: Outcome, ended: float) -> list[Event]:
    """Return the end of a move; none where it would lie before its beginning, for then a clock was set in between."""
    seconds = ended - migration.created_at
    return [] if seconds < -ROUNDING else [MoveEnded(migration, outcome, max(0.0, seconds))]
