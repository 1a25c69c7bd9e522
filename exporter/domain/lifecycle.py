"""The lifecycle table: what each status of each migration type means.

One row per pair of migration type and status. Everything that needs to know a status reads it here: the series that are
pre-set to zero, thresholds, the stuck rule, the generated page of statuses, the simulated cloud and the tests. Nova itself
has no such table (nova/db/main/api.py, `_migration_get_in_progress_by_host_and_node` lists the ends by hand).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

MINUTE = 60.0
HOUR = 3600.0
NEVER = math.inf

#: Seconds that Nova's periodic confirmation may lag behind resize_confirm_window
#: (nova/compute/manager.py, `_poll_unconfirmed_resizes`: every 60 s, and a failed confirmation waits for the next run).
CONFIRM_WINDOW_GRACE = 120.0


class MigrationType(StrEnum):
    """The four ways in which Nova moves a server (nova/objects/fields.py, `MigrationType`)."""

    RESIZE = "resize"
    MIGRATION = "migration"
    LIVE_MIGRATION = "live-migration"
    EVACUATION = "evacuation"


class Phase(StrEnum):
    """What may be expected of a record in a status."""

    TRANSITIONAL = "transitional"
    WAITING = "waiting"
    ENDED = "ended"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How a move ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    DELETED = "deleted"
    UNKNOWN = "unknown"


class Actor(StrEnum):
    """Who must act next for the record to leave its status."""

    CONDUCTOR = "conductor"
    SOURCE = "source"
    DEST = "dest"
    USER = "user"
    NOBODY = "nobody"


class Reason(StrEnum):
    """Why a record counts as stuck; in the order of precedence."""

    SERVER_DELETING = "server_deleting"
    SERVER_ERROR = "server_error"
    ORPHANED = "orphaned"
    SOURCE_DOWN = "source_down"
    DEST_DOWN = "dest_down"
    NO_PROGRESS = "no_progress"
    OVERDUE = "overdue"
    UNCONFIRMED = "unconfirmed"
    UNDIAGNOSED = "undiagnosed"


@dataclass(frozen=True, slots=True)
class Row:
    """One status of one migration type.

    `rank` orders the statuses of a type along the lifecycle. `expected` is the time in seconds after which a record in this
    status counts as stuck (infinity: never). `task_states` are the server's task states that agree with a move in this
    status; None stands for "no task". `finishes_move` marks the statuses whose beginning ends the move itself. `optional`
    marks a status that a move normally skips. `heartbeat` marks the status in which Nova bumps updated_at over and over.
    """

    migration_type: MigrationType
    status: str
    phase: Phase
    rank: int
    outcome: Outcome | None = None
    expected: float = NEVER
    actor: Actor = Actor.NOBODY
    task_states: frozenset[str | None] = frozenset()
    finishes_move: bool = False
    optional: bool = False
    heartbeat: bool = False
    meaning: str = ""

    @property
    def live(self) -> bool:
        """Tell whether a record in this status has not ended."""
        return self.phase is not Phase.ENDED


#: The status under which a record ends whose server was deleted; Nova has none: it hides the record
#: (nova/db/main/api.py, `instance_destroy`).
DELETED = "deleted"

#: Seconds after which a status that the table does not know counts as stuck.
UNKNOWN_EXPECTED = 6 * HOUR

#: The key of `thresholds` that stands for every status that the table does not know.
UNKNOWN_STATUS = "unknown"

_END_RANK = 100


def _tasks(*names: str | None) -> frozenset[str | None]:
    return frozenset(names)


#: Ends that say nothing of the move itself, which was over at `finished`.
_AFTER_THE_MOVE = ("confirmed", "reverted")


def _end(kind: MigrationType, status: str, outcome: Outcome, meaning: str) -> Row:
    return Row(
        kind,
        status,
        Phase.ENDED,
        _END_RANK,
        outcome=outcome,
        finishes_move=status not in _AFTER_THE_MOVE,
        meaning=meaning,
    )


def _deleted(kind: MigrationType) -> Row:
    meaning = "The server was deleted before the record reached an end; the status is the exporter's own, Nova hides the record."
    return _end(kind, DELETED, Outcome.DELETED, meaning)


#: A resize; a cold migration is the same code in Nova (nova/conductor/tasks/migrate.py).
_RESIZE: tuple[Row, ...] = (
    Row(
        MigrationType.RESIZE,
        "pre-migrating",
        Phase.TRANSITIONAL,
        0,
        expected=15 * MINUTE,
        actor=Actor.DEST,
        task_states=_tasks("resize_prep"),
        meaning="A host is being chosen and claimed; Nova may choose again and stays in this status.",
    ),
    Row(
        MigrationType.RESIZE,
        "migrating",
        Phase.TRANSITIONAL,
        1,
        expected=2 * HOUR,
        actor=Actor.SOURCE,
        task_states=_tasks("resize_prep", "resize_migrating"),
        meaning="The source stops the server and copies its disk; there is no limit of time in Nova.",
    ),
    Row(
        MigrationType.RESIZE,
        "post-migrating",
        Phase.TRANSITIONAL,
        2,
        expected=20 * MINUTE,
        actor=Actor.DEST,
        task_states=_tasks("resize_migrating", "resize_migrated", "resize_finish"),
        meaning="The source is done; the destination starts the server.",
    ),
    Row(
        MigrationType.RESIZE,
        "finished",
        Phase.WAITING,
        3,
        outcome=Outcome.SUCCESS,
        actor=Actor.USER,
        task_states=_tasks("resize_finish", None),
        finishes_move=True,
        meaning="The move is over; somebody, or resize_confirm_window, confirms or reverts it.",
    ),
    Row(
        MigrationType.RESIZE,
        "confirming",
        Phase.TRANSITIONAL,
        4,
        expected=15 * MINUTE,
        actor=Actor.SOURCE,
        task_states=_tasks(None),
        meaning="The source cleans up what it kept for a revert.",
    ),
    Row(
        MigrationType.RESIZE,
        "reverting",
        Phase.TRANSITIONAL,
        4,
        expected=15 * MINUTE,
        actor=Actor.DEST,
        task_states=_tasks("resize_reverting"),
        meaning="The destination gives the server back to the source.",
    ),
    _end(MigrationType.RESIZE, "confirmed", Outcome.SUCCESS, "The move was kept."),
    _end(
        MigrationType.RESIZE,
        "reverted",
        Outcome.SUCCESS,
        "The move was undone; the source may still be restarting the server.",
    ),
    _end(MigrationType.RESIZE, "failed", Outcome.FAILURE, "The move failed; Nova cleaned up behind it."),
    _end(MigrationType.RESIZE, "error", Outcome.FAILURE, "The move failed."),
    _deleted(MigrationType.RESIZE),
)

_MIGRATING = _tasks("migrating")

#: A live migration.
_LIVE_MIGRATION: tuple[Row, ...] = (
    Row(
        MigrationType.LIVE_MIGRATION,
        "accepted",
        Phase.TRANSITIONAL,
        0,
        expected=10 * MINUTE,
        actor=Actor.CONDUCTOR,
        task_states=_MIGRATING,
        meaning="The conductor looks for a destination and asks it.",
    ),
    Row(
        MigrationType.LIVE_MIGRATION,
        "queued",
        Phase.TRANSITIONAL,
        1,
        expected=6 * HOUR,
        actor=Actor.SOURCE,
        task_states=_MIGRATING,
        meaning="The move waits for its turn on the source (max_concurrent_live_migrations).",
    ),
    Row(
        MigrationType.LIVE_MIGRATION,
        "preparing",
        Phase.TRANSITIONAL,
        2,
        expected=35 * MINUTE,
        actor=Actor.SOURCE,
        task_states=_MIGRATING,
        meaning="The destination prepares network and storage.",
    ),
    Row(
        MigrationType.LIVE_MIGRATION,
        "running",
        Phase.TRANSITIONAL,
        3,
        expected=24 * HOUR,
        actor=Actor.SOURCE,
        task_states=_MIGRATING | _tasks(None),
        heartbeat=True,
        meaning="Memory, and disks where needed, are copied while the server runs.",
    ),
    Row(
        MigrationType.LIVE_MIGRATION,
        "running (post-copy)",
        Phase.TRANSITIONAL,
        4,
        expected=HOUR,
        actor=Actor.SOURCE,
        task_states=_MIGRATING | _tasks(None),
        optional=True,
        heartbeat=True,
        meaning="The server already runs on the destination; the rest of its memory follows.",
    ),
    _end(MigrationType.LIVE_MIGRATION, "completed", Outcome.SUCCESS, "The server runs on the destination."),
    _end(
        MigrationType.LIVE_MIGRATION,
        "failed",
        Outcome.FAILURE,
        "The move failed and was rolled back; the server runs on the source.",
    ),
    _end(
        MigrationType.LIVE_MIGRATION,
        "cancelled",
        Outcome.CANCELLED,
        "The move was aborted, by a person or by Nova's completion timeout.",
    ),
    _end(MigrationType.LIVE_MIGRATION, "error", Outcome.FAILURE, "The move failed and was not rolled back."),
    _deleted(MigrationType.LIVE_MIGRATION),
)

#: An evacuation.
_EVACUATION: tuple[Row, ...] = (
    Row(
        MigrationType.EVACUATION,
        "accepted",
        Phase.TRANSITIONAL,
        0,
        expected=10 * MINUTE,
        actor=Actor.CONDUCTOR,
        task_states=_tasks("rebuilding"),
        meaning="The conductor looks for a new host.",
    ),
    Row(
        MigrationType.EVACUATION,
        "pre-migrating",
        Phase.TRANSITIONAL,
        1,
        expected=HOUR,
        actor=Actor.DEST,
        task_states=_tasks("rebuilding", "rebuild_block_device_mapping", "rebuild_spawning"),
        meaning="The new host builds the server again.",
    ),
    _end(
        MigrationType.EVACUATION,
        "done",
        Outcome.SUCCESS,
        "The server runs on its new host; the dead host has not come back yet.",
    ),
    _end(
        MigrationType.EVACUATION,
        "completed",
        Outcome.UNKNOWN,
        "The dead host came back and removed its copy: a success only where `done` was seen before.",
    ),
    _end(MigrationType.EVACUATION, "failed", Outcome.FAILURE, "The new host could not build the server."),
    _end(MigrationType.EVACUATION, "error", Outcome.FAILURE, "No new host could be found or asked."),
    _deleted(MigrationType.EVACUATION),
)

TABLE: tuple[Row, ...] = (
    *_RESIZE,
    *(replace(row, migration_type=MigrationType.MIGRATION) for row in _RESIZE),
    *_LIVE_MIGRATION,
    *_EVACUATION,
)

_BY_PAIR: Mapping[tuple[MigrationType, str], Row] = {(row.migration_type, row.status): row for row in TABLE}

LIVE_ROWS: tuple[Row, ...] = tuple(row for row in TABLE if row.live)
ENDED_ROWS: tuple[Row, ...] = tuple(row for row in TABLE if not row.live)

#: Every live status once, in the order of the lifecycle: what a sweep asks for.
LIVE_STATUSES: tuple[str, ...] = tuple(
    dict.fromkeys(row.status for row in sorted(LIVE_ROWS, key=lambda row: (row.status != "accepted", row.rank)))
)

#: Statuses in which a record may never have been updated, and so is invisible to changes-since
#: (nova/db/main/api.py, `migration_get_all_by_filters` compares updated_at, which is NULL until the first update).
NEVER_UPDATED_STATUSES: tuple[str, ...] = ("accepted", "pre-migrating")

#: What an end means where the table has no row for it under that type: Nova decides by the status alone
#: (nova/db/main/api.py, `_migration_get_in_progress_by_host_and_node`).
_END_OUTCOMES: Mapping[str, Outcome] = {
    row.status: row.outcome
    for row in reversed(TABLE)
    if row.outcome is not None and not row.live and row.status != DELETED
}


@cache
def row_of(migration_type: MigrationType, status: str) -> Row:
    """Return the row of a pair; total: a status that the table does not know is `unknown` and live.

    A status that Nova counts among the ends under any type is an end under every type.
    """
    known = _BY_PAIR.get((migration_type, status))
    if known is not None:
        return known
    outcome = _END_OUTCOMES.get(status)
    if outcome is not None:
        return replace(_end(migration_type, status, outcome, ""), meaning="An end that Nova writes for other types.")
    return Row(migration_type, status, Phase.UNKNOWN, -1, expected=UNKNOWN_EXPECTED)


def is_known(migration_type: MigrationType, status: str) -> bool:
    """Tell whether the pair means something to this table."""
    return row_of(migration_type, status).phase is not Phase.UNKNOWN


@cache
def passed_between(migration_type: MigrationType, earlier: str, later: str) -> tuple[str, ...]:
    """Return the statuses that a move surely passed on its way from one status to another.

    Optional statuses are left out, and so is everything behind a failure, which may strike at any status.
    """
    start, end = row_of(migration_type, earlier), row_of(migration_type, later)
    if Phase.UNKNOWN in (start.phase, end.phase):
        return ()
    limit = end.rank if end.live or _ends_whole_path(end) else 0
    path = [row for row in LIVE_ROWS if row.migration_type is migration_type and not row.optional]
    between = [row.status for row in path if start.rank < row.rank < limit]
    return tuple(status for status in between if status != _OTHER_BRANCH.get(later))


@cache
def surely_direct(migration_type: MigrationType, earlier: str, later: str) -> bool:
    """Tell whether nothing but an optional status can lie between two statuses.

    Before a failure anything further along the lifecycle may have been passed, unless nothing is further along; before
    some ends another end.
    """
    start, end = row_of(migration_type, earlier), row_of(migration_type, later)
    if Phase.UNKNOWN in (start.phase, end.phase):
        return False
    if passed_between(migration_type, earlier, later) or _may_follow_an_end(end):
        return False
    if end.live or _ends_whole_path(end):
        return True
    path = [row for row in LIVE_ROWS if row.migration_type is migration_type and not row.optional]
    return start.rank >= max(row.rank for row in path)


def _ends_whole_path(end: Row) -> bool:
    """Tell whether an end lies behind every status of its type.

    Failures do not, nor an evacuation's `completed`, which Nova writes over any status.
    """
    return end.outcome is Outcome.SUCCESS


def _may_follow_an_end(end: Row) -> bool:
    """Tell whether Nova may write an end long after another one; `failed` follows `error` at once, if at all."""
    corrections = [each for each in KNOWN_CORRECTIONS if each[0] is end.migration_type and each[1] != "error"]
    return any(after == end.status for _, _, after in corrections)


#: confirming and reverting exclude each other.
_OTHER_BRANCH: Mapping[str, str] = {"confirmed": "reverting", "reverted": "confirming"}


def reasons_of(row: Row) -> tuple[Reason, ...]:
    """Return every reason for which a record in a live row can be stuck, in the order of precedence."""
    reasons = [Reason.SERVER_DELETING, Reason.SERVER_ERROR, Reason.ORPHANED]
    reasons += {Actor.SOURCE: [Reason.SOURCE_DOWN], Actor.DEST: [Reason.DEST_DOWN]}.get(row.actor, [])
    if row.heartbeat:
        reasons.append(Reason.NO_PROGRESS)
    reasons.append(Reason.UNCONFIRMED if row.phase is Phase.WAITING else Reason.OVERDUE)
    return (*reasons, Reason.UNDIAGNOSED)


_INITIAL_ROWS: Mapping[MigrationType, Row] = {row.migration_type: row for row in LIVE_ROWS if row.rank == 0}


def initial_row(migration_type: MigrationType) -> Row:
    """Return the row of the status in which Nova creates a record of this type."""
    return _INITIAL_ROWS[migration_type]


#: Ends that Nova is known to replace by another end: (type, from, to).
KNOWN_CORRECTIONS: tuple[tuple[MigrationType, str, str], ...] = (
    *((kind, "error", "failed") for kind in MigrationType),
    *((kind, end, "error") for kind in (MigrationType.RESIZE, MigrationType.MIGRATION) for end in _AFTER_THE_MOVE),
    (MigrationType.LIVE_MIGRATION, "completed", "error"),
    (MigrationType.LIVE_MIGRATION, "failed", "error"),
    (MigrationType.EVACUATION, "done", "completed"),
)

#: Outcomes with which a move of each type can end.
OUTCOMES: Mapping[MigrationType, tuple[Outcome, ...]] = {
    kind: tuple(
        outcome
        for outcome in Outcome
        if any(row.outcome is outcome and row.finishes_move for row in TABLE if row.migration_type is kind)
    )
    for kind in MigrationType
}
