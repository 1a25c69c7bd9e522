"""The story: a function of seed and time that shows everything soon and never grows."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice, pairwise, takewhile

import pytest

from exporter.demo.beats import Beat, Verb, play
from exporter.demo.nova import Nova
from exporter.demo.records import MigrationRow, ServerRow
from exporter.demo.story import (
    DOOM,
    DOOMED_HOST,
    DRAIN_AT,
    DRAIN_EVERY,
    DRAINED_HOST,
    FLAKY_HOST,
    RESTARTED_HOST,
    RETENTION,
    story,
)
from exporter.domain.server import MOVING_STATUSES

BEGIN = 1_800_000_000.0
TYPES = {"resize", "migration", "live-migration", "evacuation"}
ENDED = {"confirmed", "reverted", "error", "failed", "completed", "cancelled", "done"}
SEEDS = [1, 2, 3, 1789]


def beats(seed: int, seconds: float) -> list[Beat]:
    return list(takewhile(lambda beat: beat.at <= BEGIN + seconds, story(seed, BEGIN)))


def played(seed: int, seconds: float) -> Nova:
    """Give the cloud as it is some seconds after the begin."""
    now = [BEGIN]
    nova = Nova(clock=lambda: now[0])
    for beat in beats(seed, seconds):
        now[0] = beat.at
        play(nova, beat)
    now[0] = BEGIN + seconds
    return nova


def histories(seed: int, seconds: float) -> dict[str, list[tuple[float, str]]]:
    """Give the statuses of each migration with their times."""
    found: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for beat in beats(seed, seconds):
        if beat.verb in (Verb.BEGIN, Verb.WRITE) and "status" in beat.columns:
            found[beat.target].append((beat.at, beat.columns["status"]))
    return found


def test_the_same_seed_tells_the_same_story() -> None:
    assert list(islice(story(7, BEGIN), 500)) == list(islice(story(7, BEGIN), 500))
    assert list(islice(story(7, BEGIN), 500)) != list(islice(story(8, BEGIN), 500))


@pytest.mark.parametrize("seed", SEEDS)
def test_beats_come_in_the_order_of_time(seed: int) -> None:
    assert all(former.at <= later.at for former, later in pairwise(beats(seed, 600)))


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_minute_there_are_live_stuck_and_ended_moves_of_all_types(seed: int) -> None:
    nova = played(seed, 60)
    rows = nova.migrations()
    live = [row for row in rows if row.status not in ENDED]
    assert {row.migration_type for row in live} == TYPES
    assert {row.migration_type for row in rows if row.status in ENDED} == TYPES
    quiet = [row for row in live if nova.clock() - (row.updated_at or row.created_at) > 30]
    assert {row.migration_type for row in quiet} == TYPES
    assert {(row.migration_type, row.status) for row in quiet} >= {
        ("live-migration", "accepted"),
        ("live-migration", "running"),
        ("resize", "post-migrating"),
        ("evacuation", "pre-migrating"),
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_the_stuck_accepted_was_never_updated(seed: int) -> None:
    rows = played(seed, 120).migrations()
    (stuck,) = [row for row in rows if row.status == "accepted" and row.created_at < BEGIN + 60]
    assert stuck.updated_at is None


@pytest.mark.parametrize("seed", SEEDS)
def test_the_dead_host_leaves_its_moves_as_they_were(seed: int) -> None:
    nova = played(seed, 300)
    (host,) = [service for service in nova.services() if service.host == DOOMED_HOST]
    assert not host.up
    left = [row for row in nova.migrations() if DOOMED_HOST in (row.source_compute, row.dest_compute)]
    assert sorted(row.status for row in left) == [
        "completed",
        "migrating",
        "post-migrating",
        "pre-migrating",
        "running",
    ]
    assert all((row.updated_at or 0) <= BEGIN + DOOM for row in left if row.status != "completed")
    (running,) = [row for row in left if row.status == "running"]
    assert 0 < (running.memory_remaining or 0) < (running.memory_total or 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_source_works_on_one_live_migration_at_a_time(seed: int) -> None:
    nova, now = Nova(clock=lambda: now[0]), [BEGIN]
    queued = 0
    for beat in beats(seed, 900):
        now[0] = beat.at
        play(nova, beat)
        working = [
            row.source_compute
            for row in nova.migrations()
            if row.migration_type == "live-migration" and row.status in ("preparing", "running", "running (post-copy)")
        ]
        assert len(working) == len(set(working))
        queued = max(queued, sum(row.status == "queued" for row in nova.migrations()))
    assert 2 <= queued <= 12


def drained(seed: int, seconds: float) -> tuple[list[str], bool]:
    """Return the statuses of the live migrations away from the host that is drained, and whether it takes new servers."""
    nova = played(seed, seconds)
    (host,) = [service for service in nova.services() if service.host == DRAINED_HOST]
    return [row.status for row in nova.migrations() if row.source_compute == DRAINED_HOST], not host.disabled


@pytest.mark.parametrize("seed", SEEDS)
def test_a_host_is_drained_again_and_again_one_server_after_the_other(seed: int) -> None:
    assert drained(seed, DRAIN_AT - 2) == ([], True)
    statuses, is_open = drained(seed, DRAIN_AT + 20)
    assert not is_open and len(statuses) == 8 and statuses.count("queued") >= 5
    assert drained(seed, DRAIN_EVERY + DRAIN_AT - 2) == (["completed"] * 8, True)
    statuses, is_open = drained(seed, DRAIN_EVERY + DRAIN_AT + 20)
    assert not is_open and statuses.count("completed") >= 8 and statuses.count("queued") >= 5


# Nova's own orders (nova/compute/manager.py, nova/conductor); any of them may end early in `error` or be deleted.
WAYS = {
    ("pre-migrating", "migrating", "post-migrating", "finished", "confirming", "confirmed"),
    ("pre-migrating", "migrating", "post-migrating", "finished", "reverting", "reverted"),
    ("pre-migrating", "migrating", "post-migrating", "finished", "confirmed"),
    ("pre-migrating", "migrating", "error"),
    ("pre-migrating", "error"),
    ("accepted", "queued", "preparing", "running", "completed"),
    ("accepted", "queued", "preparing", "running", "running (post-copy)", "completed"),
    ("accepted", "queued", "preparing", "running", "failed"),
    ("accepted", "queued", "preparing", "running", "cancelled"),
    ("accepted", "queued", "preparing", "error", "failed"),
    ("accepted", "pre-migrating", "done", "completed"),
    ("accepted", "pre-migrating", "completed"),
    ("accepted", "pre-migrating", "failed"),
}


def test_moves_go_the_ways_that_nova_knows_and_every_way_is_gone() -> None:
    gone = {tuple(status for _, status in history) for history in histories(1, 1800).values()}
    assert gone >= WAYS
    begins = {way[:length] for way in WAYS for length in range(1, len(way) + 1)}
    assert gone <= begins


def test_error_and_failed_lie_close_together() -> None:
    pairs = [
        (former, later)
        for history in histories(1, 300).values()
        for former, later in pairwise(history)
        if (former[1], later[1]) == ("error", "failed")
    ]
    assert pairs
    assert all(later[0] - former[0] == pytest.approx(0.09) for former, later in pairs)


def test_running_has_a_heartbeat() -> None:
    running = {beat.target for beat in beats(1, 120) if beat.verb is Verb.HEARTBEAT}
    assert len(running) >= 3


def test_servers_are_deleted_in_the_middle() -> None:
    deleted = [beat for beat in beats(1, 120) if beat.verb is Verb.DELETE]
    assert len(deleted) >= 2
    nova = played(1, 120)
    assert len([server for server in nova.servers() if server.status == "DELETED"]) == len(deleted)


def test_an_evacuation_is_completed_when_its_source_is_back() -> None:
    completed = [
        (history[-2][0], history[-1][0])
        for history in histories(1, 600).values()
        if [status for _, status in history[-2:]] == ["done", "completed"]
    ]
    assert completed
    back = {beat.at for beat in beats(1, 700) if beat.verb is Verb.SERVICE and beat.columns.get("up")}
    assert all(any(moment <= end <= moment + 15 for moment in back) for _, end in completed)


def test_it_goes_on_for_ever_without_growing() -> None:
    after_half_an_hour, after_two_hours = played(1, 1800), played(1, 7200)
    assert after_two_hours.count() < 1.25 * after_half_an_hour.count() < 1.25 * RETENTION
    assert len(after_two_hours.servers()) < 1.25 * len(after_half_an_hour.servers())
    stuck = [row for row in after_two_hours.migrations() if row.created_at < BEGIN + 3600]
    assert len(stuck) == 10
    assert {row.instance_uuid for row in stuck} <= {server.id for server in after_two_hours.servers()}
    assert all(after_two_hours.actions.of_server(row.instance_uuid) for row in stuck)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("after", [120, RETENTION + 300])
def test_servers_stay_in_moves_that_their_records_know_nothing_of(seed: int, after: float) -> None:
    nova = played(seed, after)
    found = {
        (server.status, server.task_state, row.migration_type, row.status)
        for server, row in lasting(nova)
        if row.status in ENDED or server.status == "ACTIVE"
    }
    assert found == {
        ("REVERT_RESIZE", "resize_reverting", "migration", "reverted"),
        ("REBUILD", "rebuild_spawning", "evacuation", "completed"),
        ("ACTIVE", None, "resize", "migrating"),
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_stranded_and_orphaned_servers_are_where_their_moves_broke_off(seed: int) -> None:
    nova = played(seed, 120)
    moves = {(row.migration_type, row.status): (server, row) for server, row in lasting(nova)}
    orphaned, of_orphaned = moves["resize", "migrating"]
    rebuilding, of_rebuilding = moves["evacuation", "completed"]
    reverting, of_reverting = moves["migration", "reverted"]
    assert orphaned.host == of_orphaned.source_compute == RESTARTED_HOST
    assert rebuilding.host == of_rebuilding.source_compute == FLAKY_HOST
    assert reverting.host == of_reverting.dest_compute
    assert [nova.actions.of_server(server.id)[0].action for server in (orphaned, rebuilding, reverting)] == [
        "resize", "evacuate", "revertResize",
    ]  # fmt: skip


def lasting(nova: Nova) -> list[tuple[ServerRow, MigrationRow]]:
    """Give the servers of the cast that are in a move or whose record is live, each with its record."""
    servers = {server.id: server for server in nova.servers()}
    cast = [row for row in nova.migrations() if row.created_at < BEGIN + 20]
    return [
        (servers[row.instance_uuid], row)
        for row in cast
        if row.status not in ENDED or servers[row.instance_uuid].status in MOVING_STATUSES
    ]
