"""The story's instance actions: steps in Nova's order, about the statuses that they bring."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import pairwise, takewhile

import pytest

from exporter.demo.beats import Beat, Verb, play
from exporter.demo.nova import Nova
from exporter.demo.records import ActionRow, EventRow, MigrationRow
from exporter.demo.story import story

BEGIN = 1_800_000_000.0
SECONDS = 700.0  # less than the retention, so that nothing was forgotten yet

COLD = (
    "conductor_migrate_server", "cold_migrate", "compute_prep_resize", "compute_resize_instance", "compute_finish_resize",
)  # fmt: skip
RESCHEDULED = (*COLD[:3], *COLD)
REVERT = ("compute_revert_resize", "compute_finish_revert_resize")
LIVE = (
    "conductor_live_migrate_instance",
    "compute_check_can_live_migrate_destination",
    "compute_check_can_live_migrate_source",
    "compute_live_migration",
    "compute_pre_live_migration",
    "compute_post_live_migration_at_destination",
)


class Told:
    """The story as told up to a moment: the cloud, and when each record entered each status."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.nova = Nova(clock=lambda: self.now)
        self.entered: dict[str, list[tuple[str, float]]] = defaultdict(list)
        self.rows: dict[str, MigrationRow] = {}
        for beat in takewhile(lambda beat: beat.at <= BEGIN + SECONDS, story(1, BEGIN)):
            self._play(beat)

    def _play(self, beat: Beat) -> None:
        self.now = beat.at
        play(self.nova, beat)
        if beat.verb in (Verb.BEGIN, Verb.WRITE) and "status" in beat.columns:
            self.entered[beat.target].append((beat.columns["status"], beat.at))
        row = self.nova.migration(beat.target)
        if row is not None:
            self.rows[row.uuid] = row

    def actions(self, row: MigrationRow) -> list[tuple[ActionRow, list[EventRow]]]:
        """Give the actions of a record's server, with their events, all in the order of time."""
        actions = self.nova.actions.of_server(row.instance_uuid)[::-1]
        return [(action, self.nova.actions.events(action)[::-1]) for action in actions]

    def moves(self, *ways: str) -> list[tuple[dict[str, float], list[tuple[ActionRow, list[EventRow]]], MigrationRow]]:
        """Give when each status was entered, the actions, and the record, of the moves that took one of these ways."""
        return [
            (dict(entered), self.actions(self.rows[uuid]), self.rows[uuid])
            for uuid, entered in self.entered.items()
            if " ".join(status for status, _ in entered) in ways
        ]


@pytest.fixture
def told() -> Told:
    return _told()


@cache
def _told() -> Told:
    return Told()


CONFIRMED = "pre-migrating migrating post-migrating finished confirming confirmed"
REVERTED = "pre-migrating migrating post-migrating finished reverting reverted"
COMPLETED = "accepted queued preparing running completed"


def names(events: list[EventRow]) -> tuple[str, ...]:
    return tuple(event.event for event in events)


def about(actual: float | None, expected: float) -> bool:
    return actual is not None and abs(actual - expected) < 0.1


def test_every_server_was_made_and_then_moved(told: Told) -> None:
    assert len(told.rows) > 100
    first = {tuple(action.action for action, _ in told.actions(row))[:2] for row in told.rows.values()}
    assert first == {("create", verb) for verb in ("resize", "migrate", "live-migration", "evacuate")}
    assert all(len(events) == 1 for events in ([*told.actions(row)[0][1]] for row in told.rows.values()))


def test_the_action_begins_a_moment_before_its_record(told: Told) -> None:
    early = [row.created_at - told.actions(row)[1][0].start_time for row in told.rows.values()]
    assert all(0.05 <= seconds <= 0.3001 for seconds in early)


def test_steps_of_a_confirmed_move(told: Told) -> None:
    moves = told.moves(CONFIRMED)
    assert len(moves) > 20
    assert {names(actions[1][1]) for _, actions, _ in moves} == {COLD, RESCHEDULED}
    for entered, actions, row in moves:
        (_, _), (_, moved), (confirm, confirmed) = actions
        (resize, finish), (end,) = moved[-2:], confirmed
        assert about(resize.start_time, entered["migrating"]) and resize.start_time < entered["migrating"]
        assert about(resize.finish_time, entered["post-migrating"])
        assert about(finish.finish_time, entered["finished"])
        assert about(confirm.start_time, entered["confirming"]) and confirm.start_time < entered["confirming"]
        assert end.start_time < entered["confirmed"] < (end.finish_time or 0)
        assert [event.host for event in (*moved[-3:], end)] == [
            row.dest_compute, row.source_compute, row.dest_compute, row.source_compute,
        ]  # fmt: skip


def test_after_a_reschedule_the_second_steps_of_a_name_never_end(told: Told) -> None:
    moved = [actions[1][1] for _, actions, _ in told.moves(CONFIRMED) if len(actions[1][1]) > len(COLD)]
    assert moved
    for events in moved:
        assert [event.result for event in events] == [*["Success"] * 3, None, None, None, "Success", "Success"]
        assert (events[1].finish_time or 0) > events[4].start_time
        assert events[2].host != events[5].host


def test_steps_of_a_reverted_move(told: Told) -> None:
    moves = told.moves(REVERTED)
    assert {names(actions[2][1]) for _, actions, _ in moves} == {REVERT, REVERT[:1]}
    for entered, actions, row in moves:
        revert, events = actions[2]
        assert about(revert.start_time, entered["reverting"])
        assert about(events[0].finish_time, entered["reverted"])
        hosts = [row.dest_compute, row.source_compute]
        assert [event.host for event in events] == hosts[: len(events)]


def test_steps_of_a_live_migration(told: Told) -> None:
    moves = told.moves(COMPLETED)
    assert len(moves) > 10
    for entered, actions, row in moves:
        (_, _), (action, events) = actions
        assert names(events) == LIVE
        assert (action.message, {event.result for event in events}) == (None, {"Success"})
        enqueue, prepare, end = events[3:]
        assert about(enqueue.start_time, entered["queued"]) and about(enqueue.finish_time, entered["queued"])
        assert about(prepare.start_time, entered["preparing"])
        assert about(prepare.finish_time, entered["running"])
        assert about(end.finish_time, entered["completed"])
        assert [event.host for event in events[1:]] == [
            row.dest_compute, row.source_compute, row.source_compute, row.dest_compute, row.dest_compute,
        ]  # fmt: skip


def test_a_live_migration_that_fails_before_it_runs_has_a_failed_step(told: Told) -> None:
    moves = told.moves("accepted queued preparing error failed")
    assert moves
    for _, actions, _ in moves:
        action, events = actions[1]
        assert names(events) == LIVE[:5]
        assert (action.message, events[-1].result) == ("Error", "Error")
        assert events[-1].traceback and events[-1].details


def test_nothing_tells_of_a_live_migration_that_fails_while_it_runs(told: Told) -> None:
    moves = told.moves("accepted queued preparing running failed")
    assert moves
    for _, actions, _ in moves:
        (_, _), (action, events) = actions
        assert (names(events), action.message, {event.result for event in events}) == (LIVE[:5], None, {"Success"})


@pytest.mark.parametrize(
    ("way", "action", "step"),
    [
        ("accepted queued preparing running cancelled", "live_migration_cancel", "compute_live_migration_abort"),
        (
            "accepted queued preparing running running (post-copy) completed",
            "live_migration_force_complete",
            "compute_live_migration_force_complete",
        ),
    ],
)
def test_a_live_migration_that_somebody_ends(told: Told, way: str, action: str, step: str) -> None:
    moves = told.moves(way)
    assert moves
    for entered, actions, row in moves:
        end, (event,) = actions[2]
        assert (end.action, event.event, event.host) == (action, step, row.source_compute)
        assert entered["running"] < end.start_time


def test_steps_of_an_evacuation(told: Told) -> None:
    moves = told.moves("accepted pre-migrating done completed")
    assert moves
    for entered, actions, row in moves:
        (_, _), (_, events) = actions
        assert names(events) == ("rebuild_server", "compute_rebuild_instance")
        assert about(events[1].start_time, entered["pre-migrating"])
        assert about(events[1].finish_time, entered["done"])
        assert events[1].host == row.dest_compute


@pytest.mark.parametrize(
    ("way", "step"),
    [
        ("pre-migrating error", "cold_migrate"),
        ("pre-migrating migrating error", "compute_resize_instance"),
        ("accepted pre-migrating failed", "compute_rebuild_instance"),
    ],
)
def test_what_fails_says_so_in_its_step(told: Told, way: str, step: str) -> None:
    moves = told.moves(way)
    assert moves
    for entered, actions, _ in moves:
        action, events = actions[1]
        (failed,) = [event for event in events if event.event == step]
        assert (action.message, failed.result) == ("Error", "Error")
        assert about(failed.finish_time, list(entered.values())[-1])


def test_a_deletion_after_the_move_confirms_under_the_same_request(told: Told) -> None:
    moves = told.moves("pre-migrating migrating post-migrating finished confirmed")
    assert moves
    for _, actions, row in moves:
        (confirm, _), (delete, events) = actions[2:]
        assert (confirm.action, delete.action) == ("confirmResize", "delete")
        assert (confirm.request_id, confirm.start_time) == (delete.request_id, delete.start_time)
        assert told.nova.actions.action(row.instance_uuid, confirm.request_id) == delete
        assert names(events) == ("compute_terminate_instance",)


def test_what_breaks_off_has_a_step_that_never_ends(told: Told) -> None:
    open_steps = {
        (row.status, names(events)[-1])
        for row in told.rows.values()
        if row.created_at < BEGIN + 20
        for _, events in told.actions(row)[1:]
        if events[-1].finish_time is None
    }
    assert open_steps == {
        ("post-migrating", "compute_finish_resize"),
        ("pre-migrating", "compute_rebuild_instance"),
        ("completed", "compute_rebuild_instance"),
        ("accepted", "conductor_live_migrate_instance"),
        ("migrating", "compute_resize_instance"),
    }


def test_running_moves_data(told: Told) -> None:
    reports: dict[str, list[Beat]] = defaultdict(list)
    for beat in takewhile(lambda beat: beat.at <= BEGIN + SECONDS, story(1, BEGIN)):
        if beat.verb is Verb.HEARTBEAT:
            reports[beat.target].append(beat)
    assert {bool(beats[0].columns["disk_total"]) for beats in reports.values()} == {True, False}
    for former, later in (pair for beats in reports.values() for pair in pairwise(beats)):
        assert former.columns["memory_total"] == later.columns["memory_total"] > 0
        assert former.columns["memory_processed"] < later.columns["memory_processed"]
        assert former.columns["memory_remaining"] > later.columns["memory_remaining"] >= 0
