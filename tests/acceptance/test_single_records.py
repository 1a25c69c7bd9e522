"""Single records on the real Nova: stuck, deleted, vanished, very many."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from exporter.config import load
from exporter.domain.diagnosis import Limits
from exporter.domain.lifecycle import NEVER_UPDATED_STATUSES, MigrationType, Phase, row_of
from tests.acceptance.watching import Watcher, assert_page_is_true
from tests.realcloud.cloud import RealCloud

pytestmark = pytest.mark.realcloud

HOUR = 3600.0
ENDED, STUCK, BECAME_STUCK = (
    "openstack_migrations_ended_total",
    "openstack_migrations_stuck",
    "openstack_migrations_became_stuck_total",
)


def limits(seconds: float) -> Limits:
    """Return limits that let nothing but `finished` stay for longer than this."""
    (cloud,) = load(None, {}).clouds
    waiting = {pair for pair in cloud.thresholds if row_of(*pair).phase is Phase.WAITING}
    return Limits({pair: limit if pair in waiting else seconds for pair, limit in cloud.thresholds.items()}, HOUR)


def let_hang(cloud: RealCloud, method: str, server: str) -> None:
    """Let a step of the driver never end, or lose a message between Nova's services."""
    if method.startswith("rpc:"):
        cloud.lose(method.removeprefix("rpc:"), server)
    else:
        cloud.hang(method, server)


def test_a_record_never_updated_is_seen_and_is_stuck_after_its_threshold(real_cloud: RealCloud) -> None:
    watcher = Watcher(real_cloud, sweep_interval=HOUR, limits=limits(3.0))
    watcher.poll()
    server = real_cloud.create_server()
    real_cloud.lose("live_migrate_instance", server)
    real_cloud.insert_record(
        migration_type="live-migration",
        status="accepted",
        instance_uuid=server,
        updated_at=None,
        created_at=time.time(),
    )
    watcher.poll()
    assert watcher.counts("openstack_migrations", "migration_type", "status") == {("live-migration", "accepted"): 1}
    assert watcher.counts(STUCK, "status") == {}
    time.sleep(5.0)
    watcher.poll()
    watcher.poll()
    assert watcher.counts(STUCK, "status", "reason") == {("accepted", "undiagnosed"): 1}
    assert watcher.counts(BECAME_STUCK, "status") == {("accepted",): 1}


@pytest.mark.parametrize("status", ["VERIFY_RESIZE", "migrating"])
def test_a_deleted_server_ends_its_migration_as_deleted_once(real_cloud: RealCloud, status: str) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    server = real_cloud.create_server()
    if status == "migrating":
        real_cloud.hang("migrate_disk_and_power_off", server)
    real_cloud.resize(server)
    if status == "migrating":
        real_cloud.wait_status("migrating", server)
    else:
        real_cloud.wait_server(server, "VERIFY_RESIZE")
    watcher.poll()
    real_cloud.delete_server(server)
    real_cloud.remove()
    for _ in range(3):
        watcher.poll()
    assert watcher.counts(ENDED, "migration_type", "status") == {("resize", "deleted"): 1}
    assert watcher.counts("openstack_migrations", "status") == {}
    assert not watcher.samples("openstack_migration_records_unseen")


def test_a_record_that_vanishes_without_proof_is_kept_and_counted_unseen(real_cloud: RealCloud) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    server = real_cloud.create_server()
    uuid = real_cloud.insert_record(migration_type="resize", status="migrating", instance_uuid=server)["uuid"]
    watcher.poll()
    real_cloud.delete_records([uuid], soft=True)
    watcher.poll()
    assert watcher.counts("openstack_migrations", "status") == {("migrating",): 1}
    assert watcher.counts("openstack_migration_records_unseen", "cloud") == {("real",): 1}
    assert watcher.counts(ENDED, "status") == {}


def test_a_cell_that_is_down_ends_nothing_and_comes_back(real_cloud: RealCloud) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    for cell in ("cell1", "cell2"):
        real_cloud.insert_record(
            cell=cell, migration_type="resize", status="migrating", instance_uuid=real_cloud.create_server()
        )
    watcher.poll()
    real_cloud.break_cell("cell2")
    watcher.poll()
    assert watcher.counts("openstack_migrations", "status") == {("migrating",): 2}
    assert watcher.counts("openstack_migration_records_unseen", "cloud") == {("real",): 1}
    real_cloud.repair_cell("cell2")
    watcher.poll()
    assert not watcher.samples("openstack_migration_records_unseen")
    assert watcher.counts("openstack_migrations_started_total", "migration_type") == {("resize",): 2}


def test_the_twin_of_a_cross_cell_resize_is_one_migration(real_cloud: RealCloud) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    server, now = real_cloud.create_server(), time.time()
    row = {"migration_type": "resize", "instance_uuid": server, "created_at": now}
    uuid = real_cloud.insert_record(status="post-migrating", updated_at=now + 1, **row)["uuid"]
    real_cloud.insert_record(cell="cell2", uuid=uuid, status="finished", updated_at=now + 2, **row)
    for _ in range(2):
        watcher.poll()
    assert watcher.counts("openstack_migrations", "status") == {("finished",): 1}
    assert watcher.counts("openstack_migrations_started_total", "migration_type") == {("resize",): 1}


def test_2500_live_records_over_three_pages_are_all_there(real_cloud: RealCloud) -> None:
    real_cloud.insert_records(2500, migration_type="live-migration", status="queued")
    watcher = Watcher(real_cloud)
    watcher.poll()
    assert watcher.counts("openstack_migrations", "migration_type", "status") == {("live-migration", "queued"): 2500}
    asked = [each["query"] for each in real_cloud.requests() if "status=queued" in each["query"]]
    assert len(asked) == 3
    assert watcher.counts("openstack_migration_series_omitted", "cloud") == {("real",): 1500}


def test_a_million_ended_records_cost_a_steady_poll_three_requests(real_cloud: RealCloud) -> None:
    now = time.time()
    real_cloud.insert_records(
        1_000_000, migration_type="resize", status="confirmed", oldest=now - 90 * 24 * HOUR, newest=now - 24 * HOUR
    )
    live = real_cloud.insert_record(
        migration_type="resize", status="migrating", instance_uuid=real_cloud.create_server()
    )
    watcher = Watcher(real_cloud, sweep_interval=HOUR)
    watcher.poll()
    real_cloud.requests(reset=True)
    watcher.poll()
    watcher.poll()
    asked = [each for each in real_cloud.requests() if "/os-migrations" in each["path"]]
    assert len(asked) == 6
    statuses = {each["query"].split("status=")[1].split("&")[0] for each in asked if "status=" in each["query"]}
    assert statuses == set(NEVER_UPDATED_STATUSES)
    assert [each.labels["migration_id"] for each in watcher.samples("openstack_migration_info")] == [live["uuid"]]


def test_an_old_live_record_does_not_make_the_next_look_read_all_since(real_cloud: RealCloud) -> None:
    now, month = time.time(), 30 * 24 * HOUR
    real_cloud.insert_records(
        5000, migration_type="resize", status="confirmed", oldest=now - month, newest=now - 2 * 24 * HOUR
    )
    real_cloud.insert_record(
        migration_type="resize",
        status="migrating",
        instance_uuid=real_cloud.create_server(),
        created_at=now - month,
        updated_at=now - month,
    )
    watcher = Watcher(real_cloud, sweep_interval=HOUR)
    watcher.poll()
    real_cloud.requests(reset=True)
    watcher.poll()
    assert len([each for each in real_cloud.requests() if "/os-migrations" in each["path"]]) == 3


@pytest.mark.parametrize(
    ("method", "statuses"),
    [
        ("rpc:prep_resize", "pre-migrating"),
        ("migrate_disk_and_power_off", "migrating"),
        ("finish_migration", "post-migrating"),
        ("confirm_migration", "confirming"),
        ("finish_revert_migration", "reverted"),
    ],
)
def test_a_resize_that_hangs_is_shown_where_it_hangs(real_cloud: RealCloud, method: str, statuses: str) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    server = real_cloud.create_server()
    let_hang(real_cloud, method, server)
    real_cloud.resize(server)
    if statuses in ("confirming", "reverted"):
        real_cloud.wait_server(server, "VERIFY_RESIZE")
        (real_cloud.confirm if statuses == "confirming" else real_cloud.revert)(server)
    real_cloud.wait_status(statuses, server)
    told = real_cloud.hold()
    watcher.poll()
    real_cloud.release()
    assert_page_is_true(watcher, told)
    real_cloud.remove()


def test_a_resize_to_the_same_host_counts_like_any_other(real_cloud: RealCloud) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    server = real_cloud.create_server()
    real_cloud.allow_same_host()
    real_cloud.resize(server)
    real_cloud.wait_server(server, "VERIFY_RESIZE")
    watcher.poll()
    (info,) = watcher.samples("openstack_migration_info")
    assert (info.labels["source_host"], info.labels["dest_host"]) == ("host1", "host1")
    real_cloud.confirm(server)
    real_cloud.wait_status("confirmed", server)
    watcher.poll()
    assert watcher.counts(ENDED, "migration_type", "status") == {("resize", "confirmed"): 1}


def test_times_in_a_status_equal_those_of_the_database(real_cloud: RealCloud) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    server = real_cloud.create_server()
    for method in ("migrate_disk_and_power_off", "finish_migration", "confirm_migration"):
        real_cloud.delay(method, 1.5, server)
    real_cloud.resize(server)
    real_cloud.wait_status(["pre-migrating", "migrating"], server)
    confirmed = False
    while real_cloud.statuses(server)[-1] != "confirmed":
        watcher.poll()
        if not confirmed and real_cloud.show_server(server)["status"] == "VERIFY_RESIZE":
            real_cloud.confirm(server)
            confirmed = True
        time.sleep(0.1)
    watcher.poll()
    history = next(iter(real_cloud.truth(server)["history"].values()))
    steps = [row for row in history if row["event"] in ("created", "status")]
    true = {(before["status"],): after["at"] - before["at"] for before, after in pairwise(steps)}
    sums = {
        (each.labels["status"],): each.value
        for each in watcher.samples("openstack_migration_status_duration_seconds_sum")
    }
    assert sums == pytest.approx(true, abs=0.05)
    assert watcher.counts("openstack_migration_duration_seconds_count", "outcome") == {("success",): 1}
    (total,) = watcher.samples("openstack_migration_duration_seconds_sum")
    finished = next(row["at"] for row in steps if row["status"] == "finished")
    assert total.value == pytest.approx(finished - steps[0]["at"], abs=0.05)


def test_what_was_there_before_the_first_look_is_not_counted(real_cloud: RealCloud) -> None:
    now = time.time()
    real_cloud.insert_records(50, migration_type="resize", status="confirmed", oldest=now - 60, newest=now - 2)
    real_cloud.insert_record(
        migration_type="resize",
        status="finished",
        instance_uuid=real_cloud.create_server(),
        created_at=now - 100,
        updated_at=now - 50,
    )
    watcher = Watcher(real_cloud)
    for _ in range(2):
        watcher.poll()
    assert watcher.counts(ENDED, "status") == {}
    assert watcher.counts("openstack_migrations_started_total", "migration_type") == {}
    assert watcher.counts("openstack_migrations", "migration_type", "status") == {("resize", "finished"): 1}


@pytest.mark.parametrize(
    ("method", "status"),
    [("rpc:live_migration", "accepted"), ("pre_live_migration", "preparing"), ("live_migration", "running")],
)
def test_a_live_migration_that_hangs_is_shown_where_it_hangs(real_cloud: RealCloud, method: str, status: str) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    server = real_cloud.create_server()
    let_hang(real_cloud, method, server)
    real_cloud.live_migrate(server)
    real_cloud.wait_status(status, server)
    watcher.poll()
    assert watcher.counts("openstack_migrations", "migration_type", "status") == {("live-migration", status): 1}


def test_a_live_migration_queues_behind_another_without_being_stuck(real_cloud: RealCloud) -> None:
    short = limits(1.0)
    unhurried = {**short.expected, (MigrationType.LIVE_MIGRATION, "running"): HOUR}
    watcher = Watcher(real_cloud, limits=Limits(unhurried, HOUR))
    watcher.poll()
    first, second = real_cloud.create_server(), real_cloud.create_server()
    real_cloud.hang("live_migration", first)
    for server, status in ((first, "running"), (second, "queued")):
        real_cloud.live_migrate(server)
        real_cloud.wait_status(status, server)
    time.sleep(3.0)
    watcher.poll()
    assert watcher.counts("openstack_migrations", "status") == {("running",): 1, ("queued",): 1}
    assert watcher.counts(STUCK, "status") == {}


def test_heartbeats_do_not_move_the_beginning_and_their_end_is_stuck(real_cloud: RealCloud) -> None:
    watcher = Watcher(real_cloud, limits=Limits(limits(HOUR).expected, no_progress=4.0))
    watcher.poll()
    server = real_cloud.create_server()
    beating = real_cloud.heartbeat(0.5, server)
    real_cloud.hang("live_migration", server)
    real_cloud.live_migrate(server)
    real_cloud.wait_status("running", server)
    watcher.poll()
    began = [each.value for each in watcher.samples("openstack_migration_status_timestamp_seconds")]
    for _ in range(4):
        time.sleep(0.6)
        watcher.poll()
    assert [each.value for each in watcher.samples("openstack_migration_status_timestamp_seconds")] == began
    assert watcher.counts(STUCK, "status") == {}
    real_cloud.remove(number=beating)
    time.sleep(7.0)
    watcher.poll()
    assert watcher.counts(STUCK, "status", "reason") == {("running", "no_progress"): 1}


def test_a_revert_that_is_lost_is_shown_as_reverting(real_cloud: RealCloud) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    server = real_cloud.create_server()
    real_cloud.resize(server)
    real_cloud.wait_server(server, "VERIFY_RESIZE")
    real_cloud.lose("revert_resize", server)
    real_cloud.revert(server)
    real_cloud.wait_status("reverting", server)
    watcher.poll()
    assert watcher.counts("openstack_migrations", "status") == {("reverting",): 1}


@pytest.mark.parametrize(
    ("method", "next_step"),
    [("confirm_migration", "confirm"), ("finish_revert_migration", "revert"), ("migrate_disk_and_power_off", "")],
)
def test_a_resize_that_fails_ends_in_error_whatever_the_step(
    real_cloud: RealCloud, method: str, next_step: str
) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    server = real_cloud.create_server()
    real_cloud.fail(method, server)
    real_cloud.resize(server)
    if next_step:
        real_cloud.wait_server(server, "VERIFY_RESIZE")
        watcher.poll()
        (real_cloud.confirm if next_step == "confirm" else real_cloud.revert)(server)
    real_cloud.wait_status("error", server)
    for _ in range(2):
        watcher.poll()
    ends = watcher.counts(ENDED, "status")
    assert ends == {("error",): 1} or (ends == {("reverted",): 1} and next_step == "revert")
    outcomes = watcher.counts("openstack_migration_duration_seconds_count", "outcome")
    assert outcomes == {("success" if next_step else "failure",): 1}


def test_an_evacuation_that_is_lost_is_shown_as_accepted(real_cloud: RealCloud) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    server = real_cloud.create_server("server", "host3")
    real_cloud.fail_host("host3")
    real_cloud.lose("rebuild_instance", server)
    real_cloud.evacuate(server)
    real_cloud.wait_status("accepted", server)
    watcher.poll()
    assert watcher.counts("openstack_migrations", "migration_type", "status") == {("evacuation", "accepted"): 1}


def test_an_evacuation_closed_by_its_returning_source_is_a_correction(real_cloud: RealCloud) -> None:
    watcher = Watcher(real_cloud)
    watcher.poll()
    server = real_cloud.create_server("server", "host3")
    real_cloud.fail_host("host3")
    real_cloud.evacuate(server)
    real_cloud.wait_status("done", server)
    watcher.poll()
    time.sleep(2.5)
    real_cloud.start_host("host3")
    real_cloud.wait_status("completed", server)
    for _ in range(2):
        watcher.poll()
    assert watcher.counts(ENDED, "status") == {("done",): 1}
    corrections = watcher.counts("openstack_migration_end_corrections_total", "from_status", "to_status")
    assert corrections == {("done", "completed"): 1}
    assert watcher.counts("openstack_migration_duration_seconds_count", "outcome") == {("success",): 1}
