"""Which records are stuck, and since when."""

from __future__ import annotations

import math
from dataclasses import replace

from exporter.domain.diagnosis import Limits, Stuck, deadline_of, find_stuck
from exporter.domain.lifecycle import LIVE_ROWS, UNKNOWN_STATUS, MigrationType, Reason
from exporter.domain.migration import Migration
from exporter.domain.tracked import Stay, Tracked
from tests.domain.records import LIVE, RESIZE, record

EXPECTED = {
    **{(row.migration_type, row.status): 100.0 for row in LIVE_ROWS},
    **{(kind, UNKNOWN_STATUS): 500.0 for kind in MigrationType},
    (RESIZE, "finished"): math.inf,
}
LIMITS = Limits(EXPECTED, no_progress=30.0)


def tracked(migration: Migration, since: float = 0.0, heartbeat: float | None = None) -> Tracked:
    stay = Stay(migration.status, since)
    return Tracked(migration, stay, seen=since, first_seen=since, counted=True, heartbeat=heartbeat)


def found(*live: Tracked, at: float, limits: Limits = LIMITS) -> dict[str, Stuck]:
    return find_stuck({each.migration.uuid: each for each in live}, limits, at)


def test_a_record_is_stuck_only_after_its_threshold() -> None:
    record_in_time = tracked(record(RESIZE, "migrating", 0.0))
    assert found(record_in_time, at=100.0) == {}
    assert found(record_in_time, at=100.5) == {"m": Stuck(Reason.UNDIAGNOSED, 100.0)}


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
    assert found(running, at=51.0) == {"m": Stuck(Reason.UNDIAGNOSED, 50.0)}


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
