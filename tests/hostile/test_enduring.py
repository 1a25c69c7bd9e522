"""Faults that cost no poll: `up` stays 1, no error is counted, and the page goes on telling the truth."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest

from exporter.demo.keystone import READER_ACCOUNT
from exporter.demo.policy import MIGRATIONS as LIST_MIGRATIONS
from exporter.demo.policy import MIGRATIONS_ALL_PROJECTS, MIGRATIONS_HOST, SERVERS_ALL_TENANTS, allowing
from tests.faults import Clock, Exchange, Fault, Rule, faults
from tests.hostile.moves import Acts
from tests.hostile.stage import CloudClock, Page, Stage

MIGRATIONS = "/os-migrations"
UNSEEN = "openstack_migration_records_unseen"
REJECTED = "openstack_migration_records_rejected_total"
MARKER_GONE = {"badRequest": {"code": 400, "message": "Marker 0d9a could not be found."}}


def endure(stage: Stage, inject: Callable[[], Rule]) -> Page:
    """Let moves begin, go on and end while a fault lasts, and see that the page tells all of it without an error."""
    acts = Acts(stage.moves)
    acts.before()
    known = stage.settle()
    with stage.fault():
        rule = inject()
        acts.during()
        stage.wait(lambda page: rule.met)
        endured = stage.settle()
    acts.after()
    assert endured.errors == known.errors
    assert stage.settle().errors == known.errors
    return endured


def until(seconds: float) -> Fault:
    """Answer 503 with a date until which to wait, by the clock of the answer."""

    def fault(exchange: Exchange) -> None:
        now = time.time()
        dates = {"Date": formatdate(now, usegmt=True), "Retry_After": formatdate(now + seconds, usegmt=True)}
        faults.answers(503, b"", **dates)(exchange)

    return fault


BRIEF: dict[str, Callable[[], Fault]] = {
    "503 for a second": lambda: faults.answers(503, b"", Retry_After="1"),
    "503 until a date": lambda: until(1.0),
    "503 with an odd wait": lambda: faults.answers(503, b"", Retry_After="soon"),
    "429 for a second": lambda: faults.answers(429, b"", Retry_After="1"),
    "500 once": lambda: faults.answers(500, b""),
    "502 with HTML once": lambda: faults.answers(502, faults.BAD_GATEWAY),
    "reset once": faults.resets,
    "a page cut short once": faults.cut,
    "401 once": lambda: faults.refuses(faults.EXPIRED),
}


@pytest.mark.parametrize("fault", BRIEF.values(), ids=BRIEF.keys())
def test_what_another_try_mends_costs_no_poll(stage: Stage, fault: Callable[[], Fault]) -> None:
    endure(stage, lambda: stage.proxy.spoil(fault(), path=MIGRATIONS, times=1))


@pytest.fixture
def paged(stage: Stage) -> Iterator[Stage]:
    """Give pages of three records."""
    stage.cloud.change(max_limit=3)
    yield stage
    stage.cloud.change(max_limit=1000)


def test_a_token_that_is_revoked_in_mid_paging_is_renewed(paged: Stage) -> None:
    fault = faults.first(paged.cloud.keystone.revoke_all)
    endure(paged, lambda: paged.proxy.spoil(fault, path=MIGRATIONS, query="marker=", skip=1, times=1))
    assert any(seen.status == 401 for seen in paged.cloud.journal.requests)


@pytest.mark.parametrize("times", [1, 2])
def test_a_marker_that_is_gone_begins_the_listing_again(paged: Stage, times: int) -> None:
    fault = faults.answers(400, MARKER_GONE)
    endure(paged, lambda: paged.proxy.spoil(fault, path=MIGRATIONS, query="marker=", times=times))


def test_answers_that_are_a_little_late_are_waited_for(stage: Stage) -> None:
    endure(stage, lambda: stage.proxy.spoil(faults.late(0.05), path=MIGRATIONS))


def test_whole_seconds_count_like_any_other(stage: Stage) -> None:
    stage.proxy.clock = Clock(whole_seconds=True)
    try:
        endure(stage, lambda: stage.proxy.spoil(lambda exchange: exchange.send(exchange.forward())))
    finally:
        stage.proxy.clock = Clock()


FIELDS = (
    "id", "uuid", "migration_type", "status", "instance_uuid", "source_compute", "source_node", "dest_compute", "dest_node",
    "dest_host", "old_instance_type_id", "new_instance_type_id", "user_id", "project_id", "created_at", "updated_at",
)  # fmt: skip


def sound(number: int, **odd: Any) -> dict[str, Any]:
    """Return a record that is sound but for some fields; each number is another record, for each counts once."""
    return {
        "id": number,
        "uuid": str(uuid.UUID(int=number, version=4)),
        "migration_type": "resize",
        "status": "migrating",
        "instance_uuid": str(uuid.uuid4()),
        "created_at": "2026-11-20T10:00:00.000000",
        **odd,
    }


ODD: dict[str, tuple[str, Any]] = {
    "null fields": ("no_uuid", dict.fromkeys(FIELDS)),
    "no fields": ("no_uuid", {"id": 1}),
    "no object": ("not_an_object", "migration"),
    "null status": ("bad_status", sound(1, status=None)),
    "null type": ("bad_type", sound(2, migration_type=None)),
    "null server": ("no_server", sound(3, instance_uuid=None)),
    "null creation": ("bad_time", sound(4, created_at=None)),
    "a year that is none": ("bad_time", sound(5, created_at="99999-01-01T00:00:00.000000")),
    "a month that is none": ("bad_time", sound(6, updated_at="2026-13-01T00:00:00.000000")),
    "a long text": ("bad_field", sound(7, source_compute="h" * 100_000)),
    "half a character": ("bad_field", sound(8, dest_compute="host\ud800")),
    "a number without end": ("bad_field", sound(9, old_instance_type_id=10**4000)),
    "lists": ("no_uuid", {field: [[]] for field in FIELDS}),
}


@pytest.mark.parametrize(("reason", "record"), ODD.values(), ids=ODD.keys())
def test_an_odd_record_costs_that_record_alone(stage: Stage, reason: str, record: Any) -> None:
    before = stage.page().value(REJECTED, reason=reason)
    fault = faults.changes(lambda body: {**body, "migrations": [record, *body["migrations"]]})
    stage.proxy.spoil(fault, path=MIGRATIONS, query="changes-since")
    with stage.fault():
        page = stage.wait(lambda page: page.value(REJECTED, reason=reason) > before)
    assert page.up
    assert page.value(REJECTED, reason=reason) == before + 1


def without(servers: set[str]) -> Fault:
    """Leave the records and servers of a cell that is down out of every answer, as Nova does, with status 200."""

    def change(body: dict[str, Any]) -> dict[str, Any]:
        for kind, server in (("migrations", "instance_uuid"), ("servers", "id")):
            if kind in body:
                body[kind] = [row for row in body[kind] if row[server] not in servers]
        return body

    return faults.changes(change)


def cell_down(stage: Stage, servers: set[str]) -> Rule:
    """Hide a cell: lists leave its rows out, and a server by id is UNKNOWN (nova/api/openstack/compute/views/servers.py)."""
    rule = stage.proxy.spoil(without(servers), path=MIGRATIONS)
    stage.proxy.spoil(without(servers), path="/servers/detail")
    for server in servers:
        stage.proxy.spoil(
            faults.answers(200, {"server": {"id": server, "status": "UNKNOWN"}}), path=f"/servers/{server}"
        )
    return rule


def test_a_cell_that_is_down_ends_nothing_and_tells_the_rest_when_it_is_back(stage: Stage) -> None:
    moves = stage.moves
    hidden = [moves.begin("live-migration", "accepted", "queued", "preparing", "running") for _ in range(2)]
    hidden.append(moves.begin("resize", "pre-migrating", "migrating"))
    seen = moves.begin("migration", "pre-migrating", "migrating")
    known = stage.settle()
    servers = {moves.server_of(each) for each in hidden}
    with stage.fault():
        cell_down(stage, servers)
        moves.go(seen, "error")
        stage.wait(lambda page: page.value(UNSEEN) == len(hidden))
        down = stage.settle()  # nothing of the hidden ones has moved on yet, so the truth is what was known of them
        moves.go(hidden[0], "completed")
        moves.delete_server(hidden[1])
        stage.next_polls()
        still = stage.page()
        assert (still.told, still.up) == (down.told, True)
    back = stage.settle()
    assert back.value(UNSEEN) == 0
    assert back.errors == known.errors
    moves.go(hidden[2], "post-migrating", "finished", "confirming", "confirmed")
    stage.settle()


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
def test_a_clock_that_is_an_hour_off_costs_nothing(tmp_path_factory: pytest.TempPathFactory, ahead: float) -> None:
    with Stage(tmp_path_factory.mktemp("clock"), clock=CloudClock(ahead)) as stage:
        stage.cloud.nova.insert(status="confirmed", migration_type="resize")  # was there before, and is not counted
        stage.open()
        known = stage.settle()
        acts = Acts(stage.moves)
        acts.before()
        stage.settle()
        acts.during()
        acts.after()
        page = stage.settle()
        assert page.errors == known.errors
        assert abs(page.value("openstack_migration_clock_skew_seconds") - ahead) < 60
        logins = [seen for seen in stage.cloud.journal.requests if seen.path.endswith("/auth/tokens")]
        assert len(logins) == 1
        assert page.value("openstack_migration_duration_seconds_sum") < 60


@pytest.mark.parametrize(("before", "after"), [(3600.0, 0.0), (0.0, -3600.0), (0.0, 3600.0), (-3600.0, 0.0)])
def test_a_clock_that_jumps_costs_nothing(
    tmp_path_factory: pytest.TempPathFactory, before: float, after: float
) -> None:
    clock = CloudClock(before)
    with Stage(tmp_path_factory.mktemp("clock"), clock=clock) as stage:
        stage.open()
        known = stage.settle()
        acts = Acts(stage.moves)
        acts.before()
        stage.settle()
        clock.ahead = after
        acts.during()
        stage.settle()
        acts.after()
        stage.settle()
        later = Acts(stage.moves)
        later.before()
        stage.settle()
        later.during()
        later.after()
        assert stage.settle().errors == known.errors


OBSERVER = allowing("reader", LIST_MIGRATIONS, MIGRATIONS_ALL_PROJECTS, MIGRATIONS_HOST, SERVERS_ALL_TENANTS)


def test_a_server_that_looks_deleted_to_a_user_who_is_no_admin_is_not_deleted(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Nova says 404 for it by id, and ignores the filters of the list of servers."""
    with Stage(tmp_path_factory.mktemp("observer"), account=READER_ACCOUNT, policy=OBSERVER) as stage:
        stage.open()
        moves = stage.moves
        hidden = moves.begin("resize", "pre-migrating", "migrating")
        moves.begin("migration", "pre-migrating")
        stage.settle()
        server = moves.server_of(hidden)
        with stage.fault():
            stage.proxy.spoil(without({server}), path=MIGRATIONS)
            stage.wait(lambda page: page.value(UNSEEN) == 1)
            stage.next_polls(4)
            page = stage.settle()
            assert not page.errors
        moves.go(hidden, "error")
        assert stage.settle().value(UNSEEN) == 0
        asked = [seen.path for seen in stage.cloud.journal.requests if seen.path.startswith("/servers")]
        assert "/servers/detail" in asked
        assert f"/servers/{server}" not in asked


def test_a_404_of_something_before_nova_proves_no_deletion(stage: Stage) -> None:
    hidden = stage.moves.begin("resize", "pre-migrating", "migrating")
    stage.settle()
    server = stage.moves.server_of(hidden)
    with stage.fault():
        stage.proxy.spoil(without({server}), path=MIGRATIONS)
        stage.proxy.spoil(without({server}), path="/servers/detail")
        rule = stage.proxy.spoil(faults.answers(404, b"<html>no such page</html>"), path=f"/servers/{server}")
        stage.wait(lambda page: rule.met and page.value(UNSEEN) == 1)
        stage.next_polls()
        stage.settle()
    stage.moves.go(hidden, "error")
    assert stage.settle().value(UNSEEN) == 0
