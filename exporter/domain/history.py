"""Rebuild the way of a move from what Nova noted of its server's actions.

A poll sees a status only if it lasts until then. Nova notes for each action of a server when its steps began and ended, and
the steps tell when the record changed its status. A stamp of the record that a poll saw outranks every step: it is the time
of the change itself, while steps lie a little beside it (docs/durations.md has what was measured).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter.domain.lifecycle import MigrationType, Phase, initial_row, row_of
from exporter.domain.migration import Migration
from exporter.domain.server import Action, Step
from exporter.domain.tracked import ROUNDING, Doubt, Stay

#: The action of a confirmation follows the change of the status by half of what lies between the beginning of its request
#: and that of its first step, if that is no longer than this, in seconds; later steps waited for something else
#: (nova/compute/api.py, `confirm_resize`: the request, the status, the cast).
SAME_REQUEST = 1.0

_COLD = ("resize", "migrate")
_CONFIRMED_TYPES = (MigrationType.RESIZE, MigrationType.MIGRATION)
_MOVES: Mapping[MigrationType, tuple[str, ...]] = {
    MigrationType.RESIZE: _COLD,
    MigrationType.MIGRATION: _COLD,
    MigrationType.LIVE_MIGRATION: ("live-migration",),
    MigrationType.EVACUATION: ("evacuate",),
}

#: What a person, or the confirm window, does after a move: the status that it begins.
_DECISIONS: Mapping[str, str] = {"confirmResize": "confirming", "revertResize": "reverting"}


@dataclass(frozen=True, slots=True)
class _Mark:
    """The steps that tell when a status was entered: at the beginning of one, or where it `finishes` well.

    `before` are steps that can only begin when it was: one may begin before the other is noted as finished.
    """

    status: str
    steps: tuple[str, ...]
    finishes: bool = False
    before: tuple[str, ...] = ()


_ON_THE_SOURCE = ("compute_resize_instance", "compute_prep_snapshot_based_resize_at_source")
_ON_THE_DEST = ("compute_finish_resize", "compute_finish_snapshot_based_resize_at_dest")
_COLD_MARKS = (
    _Mark("migrating", _ON_THE_SOURCE),
    _Mark("post-migrating", _ON_THE_SOURCE, finishes=True, before=_ON_THE_DEST),
    _Mark("finished", _ON_THE_DEST, finishes=True),
)

#: Which step tells of which status (nova/compute/manager.py: `_resize_instance`, `_finish_resize`, `live_migration`,
#: `_do_live_migration`, `rebuild_instance`; nova/compute/utils.py, `wrap_instance_event`).
_MARKS: Mapping[MigrationType, tuple[_Mark, ...]] = {
    MigrationType.RESIZE: _COLD_MARKS,
    MigrationType.MIGRATION: _COLD_MARKS,
    MigrationType.LIVE_MIGRATION: (
        _Mark("queued", ("compute_live_migration",)),
        _Mark("preparing", ("compute_pre_live_migration",)),
        _Mark("running", ("compute_pre_live_migration",), finishes=True),
    ),
    MigrationType.EVACUATION: (
        _Mark("pre-migrating", ("compute_rebuild_instance",)),
        _Mark("done", ("compute_rebuild_instance",), finishes=True),
    ),
}

#: The steps in which a record becomes `reverted`, shortly before their end.
_REVERTED_IN = ("compute_revert_resize", "compute_revert_snapshot_based_resize_at_dest")

#: Ends behind which another may follow long after: a dead host comes back, or the source cannot start the server again.
_EARLIER_ENDS = ("done", "reverted")

#: Seconds that may lie between the request for a move and the creation of its record: a conductor may have been busy.
LONGEST_REQUEST = 3600.0

#: What follows when a move itself is over, and the statuses before whose end nothing else need be asked.
_AFTER_THE_MOVE = frozenset({"finished", *_DECISIONS.values()})


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a record's way up to a moment.

    `migration` is its last answer; `stays` what was seen of its statuses, the present one of a live record among them;
    `doubts` are the statuses that it left without an exact length. `over` tells that it has ended, at `ended` (seconds since
    the epoch, None where nobody knows); `deleted` that it was its server that ended. `created_proven` is False where
    created_at is that of an earlier move, `counted` where the record began before anybody looked, so that nothing counts that
    it left before.
    """

    migration: Migration
    stays: tuple[Stay, ...]
    doubts: tuple[Doubt, ...]
    created_proven: bool = True
    counted: bool = True
    over: bool = False
    ended: float | None = None
    deleted: bool = False

    @property
    def asks_since(self) -> float:
        """Return from when on actions may tell of the record, in seconds since the epoch."""
        created = self.migration.created_at if self.created_proven else self._first_sight
        return created - LONGEST_REQUEST

    @property
    def _first_sight(self) -> float:
        """Return the first time that is known of this move beyond its creation."""
        first = initial_row(self.migration.migration_type).status
        seen = [stay.since for stay in self.stays if stay.status != first and stay.slack == 0.0]
        return min([*seen, self.migration.stamp if self.ended is None else self.ended])


def needed(past: Past, actions: Sequence[Action]) -> tuple[Action, ...]:
    """Return those actions whose steps tell what is in doubt, in the order of their start."""
    move, seen = _move_of(past, actions), {stay.status for stay in past.stays if stay.slack == 0.0}
    doubted = {doubt.status for doubt in past.doubts}
    only_the_decision = bool(doubted) and doubted <= _AFTER_THE_MOVE and "finished" in seen
    moves = () if move is None or only_the_decision else (move,)
    return (*moves, *(() if move is None else _decisions(past, actions, move)[:1]))


def lengths(past: Past, actions: Sequence[Action]) -> dict[str, float | None]:
    """Return the seconds in each status that is in doubt, and in each that nobody saw but the actions tell of.

    In the order of the lifecycle; None where nothing proves them. `actions` are those needed, with their steps. Without the
    move among them only what the stamps proved is left: any other status may have been passed. So it is behind a status that
    the lifecycle table does not know: it may lie anywhere on the way.
    """
    doubts, move = {doubt.status: doubt.seconds for doubt in past.doubts}, _move_of(past, actions)
    if move is None or _was_in_unknown_status(past):
        return doubts
    entered = entries(past, actions)
    left_out = _left_out(past, actions, move)
    way = [status for status in _way(past, entered) if status not in left_out]
    found: dict[str, float | None] = {}
    for status, following in zip(way, (*way[1:], None), strict=True):
        if status not in doubts and (_is_told(past, status) or (following is None and not past.over)):
            continue
        end = _end_of(past, entered, bool(left_out)) if following is None else entered.get(following)
        seconds = _between(entered.get(status), end)
        found[status] = doubts.get(status) if seconds is None else seconds
    return found


def _was_in_unknown_status(past: Past) -> bool:
    kind, statuses = past.migration.migration_type, {stay.status for stay in past.stays}
    return any(row_of(kind, status).phase is Phase.UNKNOWN for status in statuses)


def _is_told(past: Past, status: str) -> bool:
    """Tell whether the length of a status was counted already, or is not to be: it was left before anybody looked."""
    kind = past.migration.migration_type
    before = not past.counted and row_of(kind, status).rank < row_of(kind, past.stays[0].status).rank
    return before or any(stay.status == status for stay in past.stays)


def entries(past: Past, actions: Sequence[Action]) -> dict[str, float]:
    """Return when each status was entered, in seconds since the epoch, where that is known exactly."""
    migration, first = past.migration, initial_row(past.migration.migration_type).status
    move = _move_of(past, actions)
    marks = {} if move is None else {**_begun(past, actions, move), **_decided(past, actions, move)}
    began = {first: migration.created_at} if past.created_proven else {}
    seen = {stay.status: stay.since for stay in past.stays if stay.slack == 0.0}
    return {status: when for status, when in {**marks, **began, **seen}.items() if _is_possible(past, status, when)}


def _is_possible(past: Past, status: str, when: float) -> bool:
    """Tell whether a record can have entered a status at a time: a live one none beyond its own, none after its end."""
    migration = past.migration
    if not past.over and row_of(migration.migration_type, status).rank > migration.row.rank:
        return False
    begun = migration.created_at if past.created_proven else past.asks_since
    return begun - ROUNDING <= when <= (math.inf if past.ended is None else past.ended) + ROUNDING


def _way(past: Past, entered: Mapping[str, float]) -> tuple[str, ...]:
    """Return every live status that the record passed, as far as anything tells of it, in the order of the lifecycle."""
    kind = past.migration.migration_type
    passed = {*entered, *(stay.status for stay in past.stays), *(doubt.status for doubt in past.doubts)}
    rows = [row for row in (row_of(kind, status) for status in passed) if row.live]
    return tuple(row.status for row in sorted(rows, key=lambda row: (row.rank, row.status)))


def _end_of(past: Past, entered: Mapping[str, float], by_deletion: bool) -> float | None:
    """Return when the last live status ended: with the first of several ends, where the steps tell of one.

    Before a deletion there may have been an end that nobody saw; not where it was the deletion that confirmed the move.
    """
    if not past.over:
        return None
    earlier = [entered[end] for end in _EARLIER_ENDS if end in entered]
    if past.deleted and not earlier and not by_deletion:
        return None
    return min([*earlier, *(() if past.ended is None else (past.ended,))], default=None)


def _between(begin: float | None, end: float | None) -> float | None:
    """Return the seconds between two times; clocks of two services may differ a little."""
    if begin is None or end is None or end - begin < -ROUNDING:
        return None
    return max(0.0, end - begin)


def _move_of(past: Past, actions: Sequence[Action]) -> Action | None:
    """Return the action that made the record: of those of its kind the one that began nearest to it, but not behind it.

    A second move may be asked for within a moment of the first one's failure. A record of which Nova made use again was
    created long before its move (nova/conductor/tasks/migrate.py, `_preallocate_migration`), so there the first sight of it
    counts.
    """
    made = past.migration.created_at if past.created_proven else past._first_sight
    names = _MOVES[past.migration.migration_type]
    found = [each for each in actions if each.name in names and each.start <= made + ROUNDING]
    return min(found, key=lambda each: (abs(each.start - made), each.start), default=None)


def _decisions(past: Past, actions: Sequence[Action], move: Action) -> tuple[Action, ...]:
    """Return the confirmations and reverts of a move, the last first; not that of a deletion, which leaves out the status."""
    if past.migration.migration_type not in _CONFIRMED_TYPES:
        return ()
    moves = [each.start for each in actions if each.name in _COLD and each.start > move.start]
    until = min([*moves, math.inf if past.ended is None else past.ended + ROUNDING])
    deletions = _deletions(actions)
    found = [
        each
        for each in actions
        if each.name in _DECISIONS and move.start < each.start <= until and each.request_id not in deletions
    ]
    return tuple(sorted(found, key=lambda each: each.start, reverse=True))


def _deletions(actions: Sequence[Action]) -> set[str]:
    return {each.request_id for each in actions if each.name == "delete"}


def _left_out(past: Past, actions: Sequence[Action], move: Action) -> frozenset[str]:
    """Return the statuses that the record did not pass although its end says so.

    A deletion confirms under its own request, and leaves out `confirming` (nova/compute/api.py,
    `_confirm_resize_on_deleting`).
    """
    by_deletion = any(each.name == "confirmResize" and each.request_id in _deletions(actions) for each in actions)
    seen = any(stay.status == "confirming" for stay in past.stays)
    return frozenset() if seen or not by_deletion or _decisions(past, actions, move) else frozenset({"confirming"})


def _decided(past: Past, actions: Sequence[Action], move: Action) -> dict[str, float]:
    """Return when the decision after a move was taken, under the status that it began, and when it was reverted."""
    decisions = _decisions(past, actions, move)[:1]
    found = {_DECISIONS[each.name]: _beginning(each) for each in decisions}
    steps = [step for each in decisions for step in each.steps if step.name in _REVERTED_IN]
    reverted = next((step.finish for step in steps if step.finish is not None), None)
    return found if reverted is None else {**found, "reverted": reverted}


def _beginning(decision: Action) -> float:
    """Return when the API wrote the status: between the beginning of the request and that of the first step."""
    first = min((step.start for step in decision.steps), default=decision.start)
    waited = first - decision.start
    return decision.start + (waited / 2 if 0 <= waited <= SAME_REQUEST else 0.0)


def _begun(past: Past, actions: Sequence[Action], move: Action) -> dict[str, float]:
    """Return when the move entered each status.

    A live migration that was aborted in `preparing` prepares to the end, but never runs (nova/compute/manager.py,
    `_do_live_migration`).
    """
    marks = _marks(past.migration.migration_type, move)
    aborted = [each.start for each in actions if each.name == "live_migration_cancel" and each.start > move.start]
    ran = any(stay.status == "running" for stay in past.stays)
    if "running" in marks and not ran and any(when < marks["running"] for when in aborted):
        del marks["running"]
    return marks


def _marks(migration_type: MigrationType, move: Action) -> dict[str, float]:
    return {mark.status: min(times) for mark in _MARKS[migration_type] if (times := _times_of(mark, move.steps))}


def _times_of(mark: _Mark, steps: Sequence[Step]) -> list[float]:
    """Return the times at which a status was surely entered already; a step that failed has an end too, but led nowhere."""
    told = [step for step in steps if step.name in mark.steps]
    if not mark.finishes:
        return [step.start for step in told[:1]]
    ends = [step.finish for step in told if step.ok and step.finish is not None]
    return [*ends, *(step.start for step in steps if step.name in mark.before)] if ends else []
