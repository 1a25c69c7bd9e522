"""Prove the harness: what tests of the exporter rely on is shown here to be so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import keystoneauth1.exceptions
import openstack
import pytest
import requests

from tests.realcloud.cloud import RealCloud
from tests.realcloud.control import Row

COLD = ["pre-migrating", "migrating", "post-migrating", "finished"]
LIVE = ["accepted", "queued", "preparing", "running"]


@pytest.fixture
def conn(real_cloud: RealCloud) -> Iterator[Any]:
    """Log in as the administrator."""
    connection = real_cloud.connect()
    yield connection
    connection.close()


def listed(conn: Any, query: str = "") -> list[Row]:
    """Ask for migrations as the exporter does."""
    answer = conn.compute.get(f"/os-migrations{query}", microversion="2.80")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["migrations"])


def test_login_and_discovery(conn: Any, real_cloud: RealCloud) -> None:
    assert conn.compute.get_endpoint_data().max_microversion >= (2, 95)
    assert list(conn.compute.migrations()) == []
    root = requests.get(real_cloud.compute_url.removesuffix("v2.1"), timeout=10).json()
    assert [version["id"] for version in root["versions"]] == ["v2.0", "v2.1"]
    assert all(entry["status"] == 200 for entry in real_cloud.requests())
    assert "Date" in conn.compute.get("/os-migrations").headers


def test_cold_migration_confirmed(conn: Any, real_cloud: RealCloud) -> None:
    server = real_cloud.create_server(host="host1")
    real_cloud.migrate(server, "host2")
    real_cloud.wait_server(server, "VERIFY_RESIZE")
    real_cloud.confirm(server)
    record = real_cloud.wait_status("confirmed", server)
    assert real_cloud.statuses(server) == [*COLD, "confirming", "confirmed"]
    assert (record["source_compute"], record["dest_compute"]) == ("host1", "host2")
    assert [row["status"] for row in listed(conn)] == ["confirmed"]
    assert real_cloud.wait_server(server, "ACTIVE")["OS-EXT-SRV-ATTR:host"] == "host2"


def test_resize_reverted(real_cloud: RealCloud) -> None:
    server = real_cloud.create_server()
    real_cloud.resize(server, "2")
    real_cloud.wait_server(server, "VERIFY_RESIZE")
    real_cloud.revert(server)
    real_cloud.wait_server(server, "ACTIVE")
    assert real_cloud.statuses(server) == [*COLD, "reverting", "reverted"]
    assert real_cloud.records(server)[0]["migration_type"] == "resize"


def test_resize_on_the_same_host(real_cloud: RealCloud) -> None:
    server = real_cloud.create_server(host="host1")
    real_cloud.allow_same_host()
    real_cloud.resize(server, "2")
    record = real_cloud.wait_status("finished", server)
    assert record["source_compute"] == record["dest_compute"] == "host1"


def test_live_migration_in_the_second_cell(real_cloud: RealCloud) -> None:
    server = real_cloud.create_server(host="host4")
    real_cloud.live_migrate(server)
    record = real_cloud.wait_status("completed", server)
    assert real_cloud.statuses(server) == [*LIVE, "completed"]
    assert (record["cell"], record["dest_compute"]) == ("cell2", "host5")


def test_evacuation_ends_when_the_host_returns(real_cloud: RealCloud) -> None:
    server = real_cloud.create_server(host="host1")
    real_cloud.fail_host("host1")
    real_cloud.evacuate(server)
    real_cloud.wait_status("done", server)
    real_cloud.wait_server(server, "SHUTOFF")  # microversion 2.95 and later leave it stopped
    real_cloud.start_host("host1")
    real_cloud.wait_status("completed", server)
    assert real_cloud.statuses(server) == ["accepted", "pre-migrating", "done", "completed"]


def test_failed_step_ends_in_error(real_cloud: RealCloud) -> None:
    server = real_cloud.create_server()
    real_cloud.fail("finish_migration", server)
    real_cloud.migrate(server)
    real_cloud.wait_status("error", server)
    assert real_cloud.statuses(server) == [*COLD[:3], "error"]
    assert real_cloud.wait_server(server, "ERROR")


def test_failed_step_with_rollback_keeps_the_server(real_cloud: RealCloud) -> None:
    server = real_cloud.create_server()
    real_cloud.fail("migrate_disk_and_power_off", server, "InstanceFaultRollback")
    real_cloud.migrate(server)
    real_cloud.wait_status("error", server)
    assert real_cloud.wait_server(server, "ACTIVE")


def test_live_migration_fails_before_it_runs(real_cloud: RealCloud) -> None:
    server = real_cloud.create_server()
    real_cloud.fail("pre_live_migration", server)
    real_cloud.live_migrate(server)
    real_cloud.wait_status("failed", server)
    assert real_cloud.statuses(server) == [*LIVE[:3], "error", "failed"]


@pytest.mark.parametrize(("rule", "end"), [("raise", "error"), ("rollback", "failed")])
def test_live_migration_fails_while_it_runs(real_cloud: RealCloud, rule: str, end: str) -> None:
    server = real_cloud.create_server()
    real_cloud.rule("live_migration", rule, server)
    real_cloud.live_migrate(server)
    real_cloud.wait_status(end, server)
    assert real_cloud.statuses(server) == [*LIVE, end]


def test_running_live_migration_beats_and_is_aborted(conn: Any, real_cloud: RealCloud) -> None:
    server = real_cloud.create_server()
    real_cloud.hang("live_migration", server)
    real_cloud.heartbeat(0.1, server)
    real_cloud.live_migrate(server)
    first = real_cloud.wait_status("running", server)
    time.sleep(0.5)
    later = real_cloud.records(server)[0]
    assert later["memory_processed"] > 0 and later["updated_at"] > first["updated_at"]
    shown = conn.compute.get(f"/servers/{server}/migrations", microversion="2.80").json()["migrations"][0]
    assert shown["memory_total_bytes"] == later["memory_total"]
    real_cloud.abort(server)
    real_cloud.wait_status("cancelled", server)
    assert real_cloud.statuses(server) == [*LIVE, "cancelled"]


def test_live_migrations_queue_behind_each_other(real_cloud: RealCloud) -> None:
    one, two = real_cloud.create_server("one"), real_cloud.create_server("two")
    real_cloud.hang("live_migration", one)
    real_cloud.live_migrate(one, "host2")
    real_cloud.wait_status("running", one)
    real_cloud.live_migrate(two, "host2")
    real_cloud.wait_status("queued", two)
    real_cloud.remove()
    real_cloud.wait_status("completed", one)
    real_cloud.wait_status("completed", two)


def test_post_copy(real_cloud: RealCloud) -> None:
    server = real_cloud.create_server()
    hang = real_cloud.hang("live_migration", server)
    real_cloud.rule("live_migration", "post_copy", server)
    real_cloud.live_migrate(server)
    real_cloud.wait_status("running", server)
    real_cloud.force_complete(server)
    real_cloud.wait_status("running (post-copy)", server)
    real_cloud.remove(hang)
    real_cloud.wait_status("completed", server)


def test_killed_host_leaves_its_move_for_ever(real_cloud: RealCloud) -> None:
    server = real_cloud.create_server(host="host1")
    real_cloud.hang("migrate_disk_and_power_off", server)
    real_cloud.migrate(server)
    real_cloud.wait_status("migrating", server)
    real_cloud.stop_host("host1")
    real_cloud.remove()
    real_cloud.start_host("host1")
    assert real_cloud.wait_server(server, "ACTIVE")
    assert real_cloud.statuses(server) == COLD[:2]


def test_lost_message_is_invisible_to_changes_since(conn: Any, real_cloud: RealCloud) -> None:
    server = real_cloud.create_server()
    real_cloud.lose("prep_resize", server)
    real_cloud.migrate(server)
    record = real_cloud.wait_status("pre-migrating", server)
    time.sleep(0.3)
    assert real_cloud.records(server)[0]["updated_at"] is None
    assert [row["uuid"] for row in listed(conn)] == [record["uuid"]]
    assert listed(conn, "?changes-since=2000-01-01T00:00:00Z") == []


def test_deleting_the_server_hides_its_records(conn: Any, real_cloud: RealCloud) -> None:
    server = real_cloud.create_server()
    real_cloud.hang("migrate_disk_and_power_off", server)
    real_cloud.migrate(server)
    real_cloud.wait_status("migrating", server)
    real_cloud.delete_server(server)
    assert listed(conn) == []
    record = real_cloud.records(server)[0]
    assert record["deleted"] and record["status"] == "migrating"
    assert [row["event"] for row in real_cloud.truth(server)["history"][record["uuid"]]][-1] == "deleted"


def test_held_cloud_stands_still_and_answers(conn: Any, real_cloud: RealCloud) -> None:
    servers = [real_cloud.create_server(f"s{number}") for number in range(3)]
    waiting = servers.pop()
    real_cloud.migrate(waiting)
    real_cloud.wait_server(waiting, "VERIFY_RESIZE")
    for server in servers:
        real_cloud.migrate(server)
    held = real_cloud.hold()
    confirm = real_cloud.confirm(waiting, wait=None)
    time.sleep(0.5)
    truth = {row["uuid"]: row["status"] for row in held["records"]}
    assert {row["uuid"]: row["status"] for row in listed(conn)} == truth
    assert {row["uuid"]: row["status"] for row in real_cloud.records()} == truth
    real_cloud.release()
    assert real_cloud.answer(confirm)["status"] == 204
    real_cloud.wait_status("confirmed", waiting)
    for server in servers:
        real_cloud.wait_status("finished", server)


def test_delay_shows_in_the_history(real_cloud: RealCloud) -> None:
    server = real_cloud.create_server()
    real_cloud.delay("migrate_disk_and_power_off", 0.7, server)
    real_cloud.migrate(server)
    record = real_cloud.wait_status("finished", server)
    history = {row["status"]: row["at"] for row in real_cloud.truth(server)["history"][record["uuid"]]}
    assert 0.7 <= history["post-migrating"] - history["migrating"] < 1.5


def test_rights(real_cloud: RealCloud) -> None:
    for name in ("reader", "demo", "custom"):
        answer = real_cloud.connect(name).compute.get("/os-migrations", microversion="2.80", raise_exc=False)
        assert answer.status_code == 403, name
    real_cloud.insert_record()
    real_cloud.grant_custom()
    assert listed(real_cloud.connect("custom"))[0]["source_compute"] == "host1"
    assert real_cloud.connect("reader").compute.get("/os-migrations", raise_exc=False).status_code == 403


def test_bad_token(real_cloud: RealCloud) -> None:
    for headers in ({}, {"X-Auth-Token": "nonsense"}):
        answer = requests.get(f"{real_cloud.compute_url}/os-migrations", headers=headers, timeout=10)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")


def test_token_expires(real_cloud: RealCloud) -> None:
    real_cloud.identity.set_token_expiration(3)  # Keystone cuts the end to whole seconds
    token = real_cloud.identity.token(real_cloud.admin)[0]
    ask = {"url": f"{real_cloud.compute_url}/os-migrations", "headers": {"X-Auth-Token": token}, "timeout": 10}
    assert requests.get(**ask).status_code == 200
    time.sleep(3.1)
    assert requests.get(**ask).status_code == 401
    assert listed(real_cloud.connect()) == []


def test_identity_changes(real_cloud: RealCloud) -> None:
    identity = real_cloud.identity
    user = identity.create_user("changing", "old", "admin", ["admin"])
    entry = real_cloud.application_credential_entry(user, "exporter")
    conn = openstack.connect(load_envvars=False, load_yaml_config=False, region_name="RegionOne", **entry)
    assert listed(conn) == []
    identity.set_enabled(user, False)
    time.sleep(2.1)  # keystonemiddleware remembers a token for two seconds
    with pytest.raises(Exception, match=r"401|404|requires authentication|Could not find"):
        listed(conn)
    identity.delete_user(user)


def test_catalogue_changes(real_cloud: RealCloud) -> None:
    real_cloud.identity.delete_endpoints(real_cloud.compute_service)
    with pytest.raises(Exception, match=r"(?i)compute|endpoint|service"):
        listed(real_cloud.connect())
    real_cloud.reset()
    assert listed(real_cloud.connect()) == []


def test_raw_records_and_paging(conn: Any, real_cloud: RealCloud) -> None:
    real_cloud.set_config("api", "max_limit", 3)
    now = time.time()
    made = [real_cloud.insert_record(created_at=now - age, status="odd one")["uuid"] for age in range(7)]
    first = conn.compute.get("/os-migrations", microversion="2.80").json()
    assert [row["uuid"] for row in first["migrations"]] == made[:3]
    assert len(first["migrations_links"]) == 1
    assert [row["uuid"] for row in listed(conn, f"?marker={made[5]}")] == made[6:]
    assert [row["status"] for row in listed(conn, "?status=odd%20one&limit=1")] == ["odd one"]


def test_odd_records(conn: Any, real_cloud: RealCloud) -> None:
    blank = {"created_at": None, "status": None, "migration_type": None, "source_compute": None, "dest_compute": None}
    real_cloud.insert_record(**blank)
    shown = listed(conn)[0]
    assert (shown["created_at"], shown["status"]) == (None, None)


def test_many_records(conn: Any, real_cloud: RealCloud) -> None:
    assert real_cloud.insert_records(20_000) < 5
    page = listed(conn, "?limit=1000")
    assert len(page) == 1000 and {row["status"] for row in page} == {"confirmed"}


def test_whole_seconds(conn: Any, real_cloud: RealCloud) -> None:
    real_cloud.stamps("round")
    server = real_cloud.create_server()
    real_cloud.migrate(server)
    real_cloud.wait_status("finished", server)
    shown = listed(conn)[0]
    assert shown["created_at"].endswith(".000000") and shown["updated_at"].endswith(".000000")


def test_broken_cell_omits_its_rows(conn: Any, real_cloud: RealCloud) -> None:
    here, there = real_cloud.insert_record(), real_cloud.insert_record(cell="cell2")
    assert {row["uuid"] for row in listed(conn)} == {here["uuid"], there["uuid"]}
    real_cloud.break_cell("cell2")
    assert [row["uuid"] for row in listed(conn)] == [here["uuid"]]
    real_cloud.break_cell("cell2", "slow", 0.6, timeout=0.5)
    begun = time.monotonic()
    assert [row["uuid"] for row in listed(conn)] == [here["uuid"]]
    assert time.monotonic() - begun >= 0.6
    real_cloud.repair_cell("cell2")
    assert len(listed(conn)) == 2
    real_cloud.break_cell("cell2")
    real_cloud.set_config("api", "list_records_by_skipping_down_cells", False)
    assert conn.compute.get("/os-migrations", microversion="2.80", raise_exc=False).status_code == 500


def test_hung_cell_holds_the_answer(real_cloud: RealCloud) -> None:
    real_cloud.break_cell("cell2", "hung", timeout=0.5)
    with pytest.raises(keystoneauth1.exceptions.ConnectTimeout):
        real_cloud.connect(api_timeout=1.5).compute.get("/os-migrations", microversion="2.80")


def test_sql_of_an_operator(conn: Any, real_cloud: RealCloud) -> None:
    uuid = real_cloud.insert_record(cell="cell2")["uuid"]
    guarded = (
        f"UPDATE migrations SET status='error', updated_at=UTC_TIMESTAMP() WHERE uuid='{uuid}' AND status='migrating'"
    )
    assert [real_cloud.sql(f"-- a comment\n{guarded};") for _ in range(2)] == [1, 0]
    (shown,) = listed(conn)
    assert shown["status"] == "error" and shown["updated_at"] > shown["created_at"][:19]


def test_rollback_of_an_aborted_live_migration_fails(real_cloud: RealCloud) -> None:
    server = real_cloud.create_server()
    hang = real_cloud.hang("pre_live_migration", server)
    failing = real_cloud.fail("rollback_live_migration_at_source", server)
    real_cloud.live_migrate(server)
    real_cloud.wait_status("preparing", server)
    real_cloud.abort(server)
    time.sleep(1.0)  # the answer comes before the source has heard of it
    real_cloud.remove(hang)
    end = time.monotonic() + 30
    while not any(rule["number"] == failing and rule["met"] for rule in real_cloud.rules()):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert real_cloud.statuses(server) == LIVE[:3]
    assert real_cloud.show_server(server)["status"] == "MIGRATING"


def test_twin_of_a_move_between_cells(conn: Any, real_cloud: RealCloud) -> None:
    now = time.time()
    one = real_cloud.insert_record(status="post-migrating", created_at=now - 60, updated_at=now - 50, cross_cell_move=1)
    twin = {key: one[key] for key in ("uuid", "instance_uuid", "created_at")} | {
        "status": "finished",
        "updated_at": now,
    }
    real_cloud.insert_record(cell="cell2", cross_cell_move=1, **twin)
    assert [row["status"] for row in listed(conn)] == ["finished"]
    assert [row["status"] for row in listed(conn, "?status=post-migrating")] == ["post-migrating"]


def test_move_between_cells(conn: Any, real_cloud: RealCloud) -> None:
    server = real_cloud.create_server(host="host1")
    real_cloud.allow_cross_cell()
    real_cloud.migrate(server)
    record = real_cloud.wait_status("finished", server)
    rows = {row["cell"]: row["status"] for row in real_cloud.records(uuid=record["uuid"])}
    assert rows == {"cell1": "post-migrating", "cell2": "finished"}
    assert [row["status"] for row in listed(conn)] == ["finished"]
    assert [row["status"] for row in listed(conn, "?status=post-migrating")] == ["post-migrating"]


def test_spoiled_answers(conn: Any, real_cloud: RealCloud) -> None:
    real_cloud.fault(path="os-migrations", times=1, status=502)
    assert conn.compute.get("/os-migrations", raise_exc=False).status_code == 502
    assert conn.compute.get("/os-migrations").status_code == 200
    token = real_cloud.identity.token(real_cloud.admin)[0]
    for kind in ("close", "cut"):
        real_cloud.fault(kind, times=1, status=200, path="os-migrations")
        with pytest.raises(requests.RequestException):
            requests.get(f"{real_cloud.compute_url}/os-migrations", headers={"X-Auth-Token": token}, timeout=5)
    assert [entry["status"] for entry in real_cloud.requests(reset=True)][-4:-1] == [502, 200, None]
