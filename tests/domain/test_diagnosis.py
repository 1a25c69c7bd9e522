"""Which records are stuck, why, and since when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.diagnosis import FAULTS, Limits, Stuck, deadline_of, judge, opinion
from exporter.domain.lifecycle import (
    LIVE_ROWS,
    UNKNOWN_STATUS,
    Actor,
    MigrationType,
    Phase,
    Reason,
    Row,
    reasons_of,
    row_of,
)
from exporter.domain.migration import Migration
from exporter.domain.server import MOVING_STATUSES, Progress, Server, Sighting
from exporter.domain.snapshot import Snapshot
from exporter.domain.standing import Standing
from exporter.domain.tracked import NO_VERDICT, Stay, Tracked, Verdict
from exporter.domain.tracker import Tracker
from tests.domain.records import COLD, EVACUATION, HOUR, LIVE, RESIZE, record

EXPECTED = {
    **{(row.migration_type, row.status): 100.0 for row in LIVE_ROWS},
    **{(kind, UNKNOWN_STATUS): 500.0 for kind in MigrationType},
    (RESIZE, "finished"): math.inf,
}
LIMITS = Limits(EXPECTED, no_progress=30.0)


def tracked(migration: Migration, since: float = 0.0, heartbeat: float | None = None) -> Tracked:
    stay = Stay(migration.status, since)
    return Tracked(migration, stay, seen=since, first_seen=since, counted=True, heartbeat=heartbeat)


def found(*live: Tracked, at: float, limits: Limits = LIMITS, progress: Progress | None = None) -> dict[str, Stuck]:
    """Return what is stuck of some records; `progress` is that of the record `m`."""
    of_records = {} if progress is None else {"m": progress}
    records = {each.migration.uuid: each for each in live}
    return Standing(limits).judge(records, records.keys(), frozenset(), at, of_records)


def test_a_record_is_stuck_only_after_its_threshold() -> None:
    record_in_time = tracked(record(RESIZE, "migrating", 0.0))
    assert found(record_in_time, at=100.0) == {}
    assert found(record_in_time, at=100.5) == {"m": Stuck(Reason.UNDIAGNOSED, 100.0)}


def test_a_record_that_sweeps_do_not_show_gets_no_older() -> None:
    shown = tracked(record(RESIZE, "migrating", 0.0))
    hidden = replace(shown, seen=90.0, unseen_since=95.0)
    assert found(hidden, at=5000.0) == {}
    assert found(replace(hidden, seen=101.0), at=5000.0) == {"m": Stuck(Reason.UNDIAGNOSED, 100.0)}, "it was so before"


def test_the_threshold_runs_from_the_entry_of_the_status_not_from_creation() -> None:
    assert found(tracked(record(RESIZE, "migrating", 0.0, 950.0), since=950.0), at=1000.0) == {}


def test_the_deadline_is_the_entry_plus_the_threshold() -> None:
    assert deadline_of(tracked(record(RESIZE, "migrating", 0.0), since=7.0), LIMITS) == 107.0
    assert deadline_of(tracked(record(RESIZE, "finished", 0.0), since=7.0), LIMITS) == math.inf


def test_finished_is_never_stuck_without_a_threshold() -> None:
    assert found(tracked(record(RESIZE, "finished", 0.0)), at=1e12) == {}


def test_finished_beyond_a_threshold_is_unconfirmed() -> None:
    limits = replace(LIMITS, expected={**EXPECTED, (RESIZE, "finished"): 60.0})
    stuck = found(tracked(record(RESIZE, "finished", 0.0)), at=61.0, limits=limits)
    assert stuck == {"m": Stuck(Reason.UNCONFIRMED, 60.0)}


def test_an_unknown_status_has_the_threshold_of_unknown() -> None:
    odd = tracked(record(LIVE, "odd", 0.0))
    assert found(odd, at=500.0) == {}
    assert found(odd, at=501.0) == {"m": Stuck(Reason.UNDIAGNOSED, 500.0)}


def test_running_is_stuck_when_its_heartbeat_stands_still() -> None:
    running = tracked(record(LIVE, "running", 0.0, 20.0), heartbeat=20.0)
    assert found(running, at=50.0) == {}
    assert found(running, at=51.0) == {"m": Stuck(Reason.NO_PROGRESS, 50.0)}


def test_running_without_a_first_heartbeat_is_judged_by_its_threshold_alone() -> None:
    running = tracked(record(LIVE, "running", 0.0, 20.0))
    assert found(running, at=99.0) == {}
    assert found(running, at=101.0) == {"m": Stuck(Reason.UNDIAGNOSED, 100.0)}


def test_running_with_a_heartbeat_is_stuck_at_its_absolute_limit_too() -> None:
    running = tracked(record(LIVE, "running", 0.0, 99.0), heartbeat=99.0)
    assert found(running, at=101.0) == {"m": Stuck(Reason.UNDIAGNOSED, 100.0)}


def queued(source: str | None = "a") -> Tracked:
    return tracked(record(LIVE, "queued", 0.0, uuid="waits", source=source))


def test_a_queued_one_waits_its_turn_behind_a_running_one_of_its_host() -> None:
    for status in ("preparing", "running", "running (post-copy)"):
        running = tracked(record(LIVE, status, 0.0, 150.0, uuid="runs", source="a"), since=150.0)
        assert found(queued(), running, at=200.0) == {}


def test_a_queued_one_is_stuck_when_another_host_is_busy() -> None:
    running = tracked(record(LIVE, "running", 0.0, 150.0, uuid="runs", source="b"), since=150.0)
    assert set(found(queued(), running, at=200.0)) == {"waits"}


def test_a_queued_one_is_stuck_behind_one_that_is_stuck_itself() -> None:
    running = tracked(record(LIVE, "running", 0.0, 0.0, uuid="runs", source="a"))
    assert set(found(queued(), running, at=200.0)) == {"waits", "runs"}


def test_a_queued_one_does_not_wait_for_another_queued_one() -> None:
    other = tracked(record(LIVE, "queued", 0.0, 150.0, uuid="next", source="a"), since=150.0)
    assert set(found(queued(), other, at=200.0)) == {"waits"}


def test_a_queued_one_of_an_unknown_host_waits_for_nobody() -> None:
    running = tracked(record(LIVE, "running", 0.0, 150.0, uuid="runs", source=None), since=150.0)
    assert set(found(queued(source=None), running, at=200.0)) == {"waits"}


def test_only_queued_ones_wait_their_turn() -> None:
    accepted = tracked(record(LIVE, "accepted", 0.0, uuid="waits", source="a"))
    running = tracked(record(LIVE, "running", 0.0, 150.0, uuid="runs", source="a"), since=150.0)
    assert set(found(accepted, running, at=200.0)) == {"waits"}


def test_a_queued_one_with_a_fault_does_not_wait_its_turn() -> None:
    running = tracked(record(LIVE, "running", 0.0, 150.0, uuid="runs", source="a"), since=150.0)
    orphaned = replace(queued(), verdict=Verdict(Reason.ORPHANED, 70.0))
    assert found(orphaned, running, at=200.0) == {"waits": Stuck(Reason.ORPHANED, 70.0)}


def test_a_queued_one_is_stuck_behind_one_that_has_a_fault() -> None:
    running = tracked(record(LIVE, "running", 0.0, 150.0, uuid="runs", source="a"), since=150.0)
    orphaned = replace(running, verdict=Verdict(Reason.ORPHANED, 160.0))
    assert set(found(queued(), orphaned, at=200.0)) == {"waits", "runs"}


# --- what is stuck, given a verdict ---


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_is_stuck_at_once(fault: Reason) -> None:
    faulty = replace(tracked(record(RESIZE, "migrating", 0.0)), verdict=Verdict(fault, 3.0))
    assert found(faulty, at=4.0) == {"m": Stuck(fault, 3.0)}


def test_the_faults_are_the_reasons_that_need_no_threshold() -> None:
    order = list(Reason)
    assert set(order[: order.index(Reason.DEST_DOWN) + 1]) == FAULTS


def test_a_fault_that_one_sweep_proposes_makes_nothing_stuck() -> None:
    verdict = Verdict(Reason.OVERDUE, 1.0, Reason.ORPHANED, 3.0)
    assert found(replace(tracked(record(RESIZE, "migrating", 0.0)), verdict=verdict), at=99.0) == {}


def test_a_move_that_its_server_agrees_with_is_overdue_only_after_its_threshold() -> None:
    agreed = replace(tracked(record(RESIZE, "migrating", 0.0)), verdict=Verdict(Reason.OVERDUE, 3.0))
    assert found(agreed, at=100.0) == {}
    assert found(agreed, at=101.0) == {"m": Stuck(Reason.OVERDUE, 100.0)}


def test_a_waiting_one_is_unconfirmed_whatever_its_server_says() -> None:
    limits = replace(LIMITS, expected={**EXPECTED, (RESIZE, "finished"): 60.0})
    agreed = replace(tracked(record(RESIZE, "finished", 0.0)), verdict=Verdict(Reason.OVERDUE, 3.0))
    assert found(agreed, at=61.0, limits=limits) == {"m": Stuck(Reason.UNCONFIRMED, 60.0)}


def test_standing_still_comes_before_being_overdue_and_after_a_fault() -> None:
    still = replace(tracked(record(LIVE, "running", 0.0, 20.0), heartbeat=20.0), verdict=Verdict(Reason.OVERDUE, 3.0))
    assert found(still, at=200.0) == {"m": Stuck(Reason.NO_PROGRESS, 50.0)}
    down = replace(still, verdict=Verdict(Reason.SOURCE_DOWN, 30.0))
    assert found(down, at=200.0) == {"m": Stuck(Reason.SOURCE_DOWN, 30.0)}


@pytest.mark.parametrize(
    ("progress", "still"),
    [
        (None, True),
        (Progress(), True),
        (Progress(memory_total=9, memory_remaining=1), True),
        (Progress(memory_total=9, memory_remaining=0, disk_remaining=1), True),
        (Progress(memory_total=9, memory_remaining=0), False),
        (Progress(memory_total=9, memory_remaining=0, disk_remaining=0), False),
    ],
)
def test_a_running_one_stands_still_only_while_bytes_remain(progress: Progress | None, still: bool) -> None:
    running = tracked(record(LIVE, "running", 0.0, 20.0), heartbeat=20.0)
    assert bool(found(running, at=60.0, progress=progress)) is still


# --- deadlines of running live migrations ---

GIB = 2**30
BUILT_IN = Limits(
    {(row.migration_type, row.status): row.expected for row in LIVE_ROWS},
    no_progress=300.0,
    completion_timeout_per_gib=800.0,
)


def memory(gib: float) -> Progress:
    return Progress(memory_total=int(gib * GIB))


def deadline(
    progress: Progress | None = None, limits: Limits = BUILT_IN, kind: MigrationType = LIVE, status: str = "running"
) -> float:
    return deadline_of(tracked(record(kind, status, 0.0), since=1000.0), limits, progress)


@pytest.mark.parametrize(
    ("progress", "seconds"),
    [
        (memory(8), 8 * 800),
        (memory(64), 64 * 800),
        (memory(0.5), 2 * 800),
        (Progress(memory_total=8 * GIB, disk_total=20 * GIB), 28 * 800),
        (Progress(memory_total=8 * GIB, disk_total=GIB), 10 * 800),
        (Progress(memory_total=8 * GIB, disk_total=0), 8 * 800),
    ],
)
def test_a_running_one_has_the_time_that_nova_gives_it_by_its_size(progress: Progress, seconds: float) -> None:
    assert deadline(progress) == 1000.0 + seconds + 300.0


@pytest.mark.parametrize("progress", [None, Progress(), Progress(memory_total=0, disk_total=0)])
def test_without_a_size_a_running_one_has_its_threshold(progress: Progress | None) -> None:
    assert deadline(progress) == 1000.0 + 24 * HOUR


def test_without_a_completion_timeout_in_nova_a_running_one_has_its_threshold() -> None:
    assert deadline(memory(8), replace(BUILT_IN, completion_timeout_per_gib=0.0)) == 1000.0 + 24 * HOUR


@pytest.mark.parametrize(("own", "seconds"), [(60.0, 60.0), (20 * HOUR, 6700.0), (math.inf, 6700.0)])
def test_an_operators_own_threshold_holds_where_it_is_earlier(own: float, seconds: float) -> None:
    limits = replace(BUILT_IN, expected={**BUILT_IN.expected, (LIVE, "running"): own})
    assert deadline(memory(8), limits) == 1000.0 + seconds


@pytest.mark.parametrize(
    ("kind", "status"), [(LIVE, "running (post-copy)"), (LIVE, "preparing"), (RESIZE, "migrating")]
)
def test_a_size_moves_no_other_deadline(kind: MigrationType, status: str) -> None:
    assert deadline(memory(8), kind=kind, status=status) == deadline(kind=kind, status=status)


def test_a_running_one_beyond_novas_own_limit_is_stuck() -> None:
    running = replace(tracked(record(LIVE, "running", 0.0)), verdict=Verdict(Reason.OVERDUE, 3.0))
    assert found(running, at=1901.0, limits=BUILT_IN, progress=memory(2)) == {"m": Stuck(Reason.OVERDUE, 1900.0)}


# --- what one sweep says ---


def server(
    status: str = "ACTIVE", task: str | None = None, vm: str | None = "active", host: str | None = "src"
) -> Server:
    return Server("s", status, vm_state=vm, task_state=task, host=host)


def sighted(seen: Server | None = None, **hosts: bool) -> Sighting:
    """Return a sweep's sighting of one server, and of hosts that are up or down."""
    servers = {} if seen is None else {seen.id: seen}
    moving = {each: one for each, one in servers.items() if one.status in MOVING_STATUSES}
    others = {each: one for each, one in servers.items() if one.status not in MOVING_STATUSES}
    return Sighting(moving, others, hosts_up=hosts)


def told(migration: Migration, sighting: Sighting, is_newest: bool = True) -> Reason | None:
    return opinion(tracked(migration), sighting, is_newest)


RESIZING = [
    ("pre-migrating", server("RESIZE", "resize_prep")),
    ("migrating", server("RESIZE", "resize_prep")),
    ("migrating", server("RESIZE", "resize_migrating", "stopped")),
    ("post-migrating", server("RESIZE", "resize_migrating")),
    ("post-migrating", server("RESIZE", "resize_migrated", host="dst")),
    ("post-migrating", server("RESIZE", "resize_finish", host="dst")),
    ("finished", server("RESIZE", "resize_finish", host="dst")),
    ("finished", server("VERIFY_RESIZE", None, "resized", "dst")),
    ("confirming", server("VERIFY_RESIZE", None, "resized", "dst")),
    ("reverting", server("REVERT_RESIZE", "resize_reverting", "resized", "dst")),
]
AGREEING = [
    *((kind, status, seen) for kind in (RESIZE, COLD) for status, seen in RESIZING),
    *((LIVE, row.status, server("MIGRATING", "migrating")) for row in LIVE_ROWS if row.migration_type is LIVE),
    (LIVE, "running", server("MIGRATING", "migrating", "paused")),
    (EVACUATION, "accepted", server("REBUILD", "rebuilding", "error")),
    (EVACUATION, "pre-migrating", server("REBUILD", "rebuild_spawning")),
    (EVACUATION, "pre-migrating", server("REBUILD", "rebuild_block_device_mapping", "stopped")),
]


@pytest.mark.parametrize(("kind", "status", "seen"), AGREEING)
def test_a_server_in_the_state_of_the_move_agrees(kind: MigrationType, status: str, seen: Server) -> None:
    assert told(record(kind, status, 0.0, dest="dst"), sighted(seen)) is Reason.OVERDUE


def test_every_live_status_has_a_server_that_agrees() -> None:
    assert {(kind, status) for kind, status, _ in AGREEING} == {(row.migration_type, row.status) for row in LIVE_ROWS}


@pytest.mark.parametrize("row", LIVE_ROWS, ids=lambda row: f"{row.migration_type}-{row.status}")
@pytest.mark.parametrize(
    "seen",
    [server(), server("SHUTOFF", None, "stopped"), server("REBOOT", "rebooting"), server("SHELVED", None, "shelved")],
)
def test_a_server_that_does_something_else_leaves_an_orphaned_record(row: Row, seen: Server) -> None:
    migration = record(row.migration_type, row.status, 0.0)
    assert told(migration, sighted(seen)) is Reason.ORPHANED


@pytest.mark.parametrize(
    ("kind", "status", "seen"),
    [
        (RESIZE, "migrating", server("VERIFY_RESIZE", None, "resized")),
        (RESIZE, "finished", server("REVERT_RESIZE", "resize_reverting", "resized")),
        (RESIZE, "reverting", server("VERIFY_RESIZE", None, "resized")),
        (RESIZE, "confirming", server("RESIZE", "resize_prep")),
        (LIVE, "preparing", server("RESIZE", "resize_prep")),
        (LIVE, "running", server("VERIFY_RESIZE", None, "resized")),
        (EVACUATION, "accepted", server("MIGRATING", "migrating")),
    ],
)
def test_a_server_in_another_move_leaves_an_orphaned_record(kind: MigrationType, status: str, seen: Server) -> None:
    assert told(record(kind, status, 0.0), sighted(seen)) is Reason.ORPHANED


@pytest.mark.parametrize("status", ["running", "running (post-copy)"])
@pytest.mark.parametrize(("source", "dest", "host"), [("a", "b", "b"), ("a", "b", "a"), ("a", "a", "a")])
def test_the_end_of_a_running_one_agrees_for_one_sweep_and_is_orphaned_after_two(
    status: str, source: str, dest: str, host: str
) -> None:
    running = tracked(record(LIVE, status, 0.0, source=source, dest=dest))
    moving, over = sighted(server("MIGRATING", "migrating")), sighted(server(host=host))
    assert [each.reason for each in swept(running, moving, over)] == [Reason.OVERDUE] * 2
    assert swept(running, moving, over, over)[-1] == Verdict(Reason.ORPHANED, 1.0)


@pytest.mark.parametrize(
    "seen",
    [
        server("ACTIVE", "deleting"),
        server("RESIZE", "soft-deleting"),
        server("DELETED", None, "deleted"),
        server("SOFT_DELETED", None, "soft-delete"),
        server("ERROR", "deleting", "error"),
    ],
)
def test_a_server_that_goes_is_deleting(seen: Server) -> None:
    assert told(record(RESIZE, "migrating", 0.0), sighted(seen, src=False)) is Reason.SERVER_DELETING


def test_a_server_in_error_comes_before_all_but_its_deletion() -> None:
    seen = sighted(server("ERROR", None, "error"), src=False)
    assert told(record(RESIZE, "migrating", 0.0), seen, is_newest=False) is Reason.SERVER_ERROR


def test_an_errored_server_that_is_evacuated_is_not_in_error() -> None:
    assert (
        told(record(EVACUATION, "accepted", 0.0), sighted(server("REBUILD", "rebuilding", "error"))) is Reason.OVERDUE
    )


def test_an_orphaned_record_comes_before_a_host_that_is_down() -> None:
    assert told(record(RESIZE, "migrating", 0.0), sighted(server(), src=False)) is Reason.ORPHANED


@pytest.mark.parametrize("row", LIVE_ROWS, ids=lambda row: f"{row.migration_type}-{row.status}")
@pytest.mark.parametrize("server_seen", [True, False])
def test_only_the_host_that_must_act_next_is_missed(row: Row, server_seen: bool) -> None:
    kind, status = row.migration_type, row.status
    agreeing = next(seen for of_kind, of_status, seen in AGREEING if (of_kind, of_status) == (kind, status))
    seen = sighted(agreeing if server_seen else None, src=False, dst=False)
    expected = {Actor.SOURCE: Reason.SOURCE_DOWN, Actor.DEST: Reason.DEST_DOWN}.get(row.actor)
    fallback = Reason.OVERDUE if server_seen else None
    assert told(record(kind, status, 0.0, dest="dst"), seen) is (expected or fallback)


@pytest.mark.parametrize(
    "sighting", [sighted(server("RESIZE", "resize_migrating"), src=True), sighted(server("RESIZE", "resize_migrating"))]
)
def test_a_host_that_is_up_or_was_not_asked_for_is_not_missed(sighting: Sighting) -> None:
    assert told(record(RESIZE, "migrating", 0.0), sighting) is Reason.OVERDUE


def test_a_record_without_the_host_misses_none() -> None:
    assert (
        told(record(RESIZE, "pre-migrating", 0.0), sighted(server("RESIZE", "resize_prep"), src=False))
        is Reason.OVERDUE
    )


def test_a_record_that_nova_used_again_has_no_source_to_miss() -> None:
    reused = replace(tracked(record(RESIZE, "migrating", 0.0)), created_proven=False)
    assert opinion(reused, sighted(server("RESIZE", "resize_migrating"), src=False), True) is Reason.OVERDUE


@pytest.mark.parametrize("seen", [None, server("UNKNOWN", None, None, None), server("ACTIVE", None, None)])
def test_nothing_is_told_of_a_server_that_was_not_seen_or_not_shown(seen: Server | None) -> None:
    assert told(record(RESIZE, "migrating", 0.0), sighted(seen)) is None


def test_a_status_that_the_table_does_not_know_is_never_orphaned() -> None:
    odd = record(LIVE, "odd", 0.0)
    assert told(odd, sighted(server()), is_newest=False) is Reason.UNDIAGNOSED
    assert told(odd, sighted(server("MIGRATING", "migrating"))) is Reason.OVERDUE
    assert told(odd, sighted(server("ERROR", None, "error"))) is Reason.SERVER_ERROR


# --- several records of one server ---

MOVING = sighted(server("MIGRATING", "migrating"))


def reasons(*live: Tracked, sighting: Sighting = MOVING) -> dict[str, Reason | None]:
    """Return what one sweep says of each record: its reason, or what it proposes."""
    verdicts = judge({each.migration.uuid: each for each in live}, sighting, 1.0)
    return {uuid: verdict.proposed or verdict.reason for uuid, verdict in verdicts.items()}


def test_of_several_records_of_one_server_only_the_newest_can_be_under_way() -> None:
    stale = tracked(record(LIVE, "preparing", 0.0, 50.0, uuid="stale"))
    new = tracked(record(LIVE, "accepted", 60.0, uuid="new"))
    other = tracked(record(LIVE, "accepted", 10.0, uuid="other", server="t"))
    assert reasons(stale, new) == {"stale": Reason.ORPHANED, "new": Reason.OVERDUE}
    assert reasons(stale, other)["stale"] is Reason.OVERDUE
    assert reasons(stale, new, sighting=Sighting()) == {"stale": Reason.ORPHANED}


def test_the_newest_is_the_one_written_last_then_the_one_created_last() -> None:
    written = tracked(record(LIVE, "running", 0.0, 70.0, uuid="written"))
    created = tracked(record(LIVE, "accepted", 60.0, uuid="created"))
    assert reasons(written, created) == {"written": Reason.OVERDUE, "created": Reason.ORPHANED}
    twin = tracked(record(LIVE, "running", 10.0, 70.0, uuid="twin"))
    assert reasons(written, twin) == {"written": Reason.ORPHANED, "twin": Reason.OVERDUE}


def test_two_records_of_the_same_moment_are_both_the_newest() -> None:
    live = [tracked(record(LIVE, "accepted", 5.0, uuid=uuid)) for uuid in ("one", "two")]
    assert reasons(*live) == {"one": Reason.OVERDUE, "two": Reason.OVERDUE}


def test_a_status_that_may_be_an_end_makes_no_other_record_stale() -> None:
    odd = tracked(record(LIVE, "odd", 0.0, 90.0, uuid="odd"))
    running = tracked(record(LIVE, "running", 0.0, 50.0, uuid="runs"))
    assert reasons(odd, running)["runs"] is Reason.OVERDUE


def test_the_two_rows_of_a_cross_cell_resize_are_one_record_that_waits() -> None:
    stale = record(RESIZE, "post-migrating", 0.0, 50.0, dest="dst")
    waits = record(RESIZE, "finished", 0.0, 40.0, dest="dst")
    tracker = Tracker()
    tracker.observe(Snapshot((stale, waits), begun=60.0, complete=True), at=60.0)
    confirmable = sighted(server("VERIFY_RESIZE", None, "resized", "dst"))
    assert judge(tracker.live, confirmable, 60.0) == {"m": Verdict(Reason.OVERDUE, 60.0)}


# --- two sweeps ---


def swept(each: Tracked, *sightings: Sighting) -> list[Verdict]:
    """Return the verdict on a record after each of some sweeps, at the times 0, 1, 2 and so on."""

    def once_more(verdicts: list[Verdict], seen: tuple[int, Sighting]) -> list[Verdict]:
        at, sighting = seen
        known = replace(each, verdict=verdicts[-1])
        told = judge({each.migration.uuid: known}, sighting, float(at))
        return [*verdicts, told.get(each.migration.uuid, verdicts[-1])]

    return reduce(once_more, enumerate(sightings), [each.verdict])[1:]


RESIZED = tracked(record(RESIZE, "migrating", 0.0, dest="dst"))
AGREES = sighted(server("RESIZE", "resize_migrating"), src=True)
DISAGREES = sighted(server())
DOWN = sighted(server("RESIZE", "resize_migrating"), src=False)
ERROR = sighted(server("ERROR", None, "error"))
NOTHING = Sighting()


@pytest.mark.parametrize(
    ("sightings", "expected"),
    [
        ([AGREES], Verdict(Reason.OVERDUE, 0.0)),
        ([DISAGREES], Verdict(None, 0.0, Reason.ORPHANED, 0.0)),
        ([DISAGREES, DISAGREES], Verdict(Reason.ORPHANED, 0.0)),
        ([DISAGREES, AGREES], Verdict(Reason.OVERDUE, 1.0)),
        ([DISAGREES, DOWN], Verdict(None, 0.0, Reason.SOURCE_DOWN, 1.0)),
        ([AGREES, DISAGREES], Verdict(Reason.OVERDUE, 0.0, Reason.ORPHANED, 1.0)),
        ([AGREES, DISAGREES, AGREES], Verdict(Reason.OVERDUE, 0.0)),
        ([AGREES, DISAGREES, AGREES, DISAGREES], Verdict(Reason.OVERDUE, 0.0, Reason.ORPHANED, 3.0)),
        ([DOWN, DOWN, AGREES], Verdict(Reason.SOURCE_DOWN, 0.0, Reason.OVERDUE, 2.0)),
        ([DOWN, DOWN, AGREES, AGREES], Verdict(Reason.OVERDUE, 2.0)),
        ([DOWN, DOWN, DOWN], Verdict(Reason.SOURCE_DOWN, 0.0)),
        ([DOWN, DOWN, NOTHING, NOTHING], Verdict(Reason.SOURCE_DOWN, 0.0)),
        ([AGREES, DOWN, NOTHING, DOWN], Verdict(Reason.SOURCE_DOWN, 1.0)),
        ([ERROR, DOWN, ERROR], Verdict(None, 0.0, Reason.SERVER_ERROR, 2.0)),
        ([NOTHING], NO_VERDICT),
    ],
)
def test_a_reason_changes_when_two_sweeps_agree(sightings: Sequence[Sighting], expected: Verdict) -> None:
    assert swept(RESIZED, *sightings)[-1] == expected


def test_a_host_that_is_up_again_is_not_missed_any_more_though_the_server_is_not_seen() -> None:
    up = sighted(None, src=True)
    assert swept(RESIZED, DOWN, DOWN, up)[-1].reason is Reason.SOURCE_DOWN
    assert swept(RESIZED, DOWN, DOWN, up, up)[-1].reason is Reason.UNDIAGNOSED
    assert swept(RESIZED, DISAGREES, DISAGREES, up, up)[-1].reason is Reason.ORPHANED


def test_a_sweep_tells_nothing_of_a_record_that_it_did_not_see() -> None:
    assert judge({"m": RESIZED}, NOTHING, 1.0) == {}
    assert judge({"m": RESIZED}, AGREES, 1.0) == {"m": Verdict(Reason.OVERDUE, 1.0)}


SERVERS = st.builds(
    Server,
    st.just("s"),
    st.sampled_from(["ACTIVE", "ERROR", "UNKNOWN", "SHUTOFF", *MOVING_STATUSES]),
    vm_state=st.sampled_from([None, "active", "stopped", "error", "resized", "deleted"]),
    task_state=st.sampled_from(
        [None, "deleting", "rebooting", *{task for row in LIVE_ROWS for task in row.task_states if task is not None}]
    ),
    host=st.sampled_from([None, "src", "dst"]),
)
SIGHTINGS = st.builds(
    lambda seen, hosts: sighted(seen, **hosts),
    st.none() | SERVERS,
    st.dictionaries(st.sampled_from(["src", "dst"]), st.booleans()),
)
RECORDS = st.builds(
    lambda row, source, dest: tracked(record(row.migration_type, row.status, 0.0, source=source, dest=dest)),
    st.sampled_from([*LIVE_ROWS, row_of(LIVE, "odd")]),
    st.sampled_from([None, "src", "dst"]),
    st.sampled_from([None, "src", "dst"]),
)


@given(RECORDS, SIGHTINGS, st.booleans())
def test_a_record_is_only_ever_told_a_reason_that_is_possible_for_it(
    each: Tracked, sighting: Sighting, is_newest: bool
) -> None:
    row = each.migration.row
    possible = {None, Reason.OVERDUE, *reasons_of(row)}
    assert opinion(each, sighting, is_newest) in possible - ({Reason.ORPHANED} if row.phase is Phase.UNKNOWN else set())


@given(RECORDS, st.lists(SIGHTINGS, max_size=8))
def test_no_reason_changes_on_one_sweep_but_the_first_that_finds_nothing_wrong(
    each: Tracked, sightings: list[Sighting]
) -> None:
    verdicts = [NO_VERDICT, *swept(each, *sightings)]
    for before, after in pairwise(verdicts):
        if after.reason is not before.reason:
            assert after.reason is before.proposed or (before.reason is None and after.reason not in FAULTS)


@given(st.sampled_from(["accepted", "pre-migrating"]), st.lists(SIGHTINGS, max_size=6))
def test_the_source_of_an_evacuation_is_never_missed(status: str, sightings: list[Sighting]) -> None:
    evacuation = tracked(record(EVACUATION, status, 0.0, dest="dst"))
    said = {reason for each in swept(evacuation, *sightings) for reason in (each.reason, each.proposed)}
    assert Reason.SOURCE_DOWN not in said


@given(RECORDS, SIGHTINGS, st.integers(0, 5))
def test_the_same_sighting_over_and_over_settles_after_two_sweeps(each: Tracked, sighting: Sighting, more: int) -> None:
    twice = swept(each, sighting, sighting)[-1]
    assert twice.proposed is None
    assert swept(each, *[sighting] * (2 + more))[-1] == twice
