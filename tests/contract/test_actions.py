"""What was done with a server, step by step, and its live migrations under way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.contract.clouds import Client, CloudUnderTest
from tests.contract.conftest import client_of
from tests.contract.moves import Move, Moved
from tests.contract.outline import TIME, requests_of

FIELDS = {"action", "instance_uuid", "request_id", "user_id", "project_id", "start_time", "message", "updated_at"}
EVENT_FIELDS = {"event", "start_time", "finish_time", "result", "traceback", "host", "hostId", "details"}
MOVED_FIELDS = {f"{what}_{part}_bytes" for what in ("memory", "disk") for part in ("total", "processed", "remaining")}
MIGRATION_FIELDS = MOVED_FIELDS | {
    "id", "uuid", "server_uuid", "status", "source_compute", "source_node", "dest_compute", "dest_node", "dest_host",
    "created_at", "updated_at", "user_id", "project_id",
}  # fmt: skip


@pytest.fixture(scope="module")
def confirmed(every_cloud: CloudUnderTest) -> Iterator[Moved]:
    with every_cloud.moved(Move.CONFIRMED) as moved:
        yield moved


@pytest.fixture(scope="module")
def admin(every_cloud: CloudUnderTest) -> Client:
    return client_of(every_cloud, every_cloud.admin)


def shown(client: Client, server: str, place: int, microversion: str = "2.84") -> dict[str, Any]:
    """Give an action with its steps; `place` counts from the newest."""
    admin = client_of(client.cloud, client.cloud.admin)
    request = requests_of(admin, server)[place]
    answer = client.get(f"/servers/{server}/os-instance-actions/{request}", microversion=microversion)
    assert answer.status == 200, answer.body
    action: dict[str, Any] = answer.body["instanceAction"]
    return action


def test_actions_are_listed_newest_first(admin: Client, confirmed: Moved) -> None:
    answer = admin.get(f"/servers/{confirmed.server}/os-instance-actions")
    assert set(answer.body) == {"instanceActions"}
    actions = answer.body["instanceActions"]
    assert [action["action"] for action in actions] == ["confirmResize", "migrate", "create"]
    for action in actions:
        assert set(action) == FIELDS
        assert TIME.fullmatch(action["start_time"]) and TIME.fullmatch(action["updated_at"])
        assert action["message"] is None
        assert action["instance_uuid"] == confirmed.server
    starts = [action["start_time"] for action in actions]
    assert starts == sorted(starts, reverse=True)


def test_pages_of_actions(admin: Client, confirmed: Moved) -> None:
    path = f"/servers/{confirmed.server}/os-instance-actions"
    found, query = [], [("limit", "2")]
    first = admin.get(path, *query)
    (link,) = first.body["links"]
    assert (link["rel"], urlsplit(link["href"]).path) == ("next", f"ROOT/v2.1{path}")
    query = parse_qsl(urlsplit(link["href"]).query)
    second = admin.get(path, *query)
    assert "links" not in second.body
    found = [*first.body["instanceActions"], *second.body["instanceActions"]]
    assert [action["request_id"] for action in found] == requests_of(admin, confirmed.server)


def test_actions_since_a_time(admin: Client, confirmed: Moved) -> None:
    path = f"/servers/{confirmed.server}/os-instance-actions"
    newest, *_ = admin.get(path).body["instanceActions"]
    since = admin.get(path, ("changes-since", newest["updated_at"])).body["instanceActions"]
    assert since == [newest]


def test_steps_of_an_action_newest_first(admin: Client, confirmed: Moved) -> None:
    action = shown(admin, confirmed.server, 1)
    assert set(action) == FIELDS | {"events"}
    assert [event["event"] for event in action["events"]] == [
        "compute_finish_resize", "compute_resize_instance", "compute_prep_resize", "cold_migrate",
        "conductor_migrate_server",
    ]  # fmt: skip
    assert [event["host"] for event in action["events"][:3]] == [confirmed.dest, confirmed.source, confirmed.dest]
    for event in action["events"]:
        assert set(event) == EVENT_FIELDS
        assert (event["result"], event["traceback"], event["details"]) == ("Success", None, None)
        assert TIME.fullmatch(event["start_time"]) and TIME.fullmatch(event["finish_time"])
        assert action["start_time"] < event["start_time"] < event["finish_time"] <= action["updated_at"]


def test_a_reader_of_the_project_sees_steps_without_hosts(every_cloud: CloudUnderTest, confirmed: Moved) -> None:
    insider = client_of(every_cloud, every_cloud.insider)
    for event in shown(insider, confirmed.server, 0)["events"]:
        assert set(event) == EVENT_FIELDS - {"traceback", "host", "details"}
    assert "events" not in shown(insider, confirmed.server, 0, microversion="2.50")


def test_to_others_the_server_does_not_exist(every_cloud: CloudUnderTest, confirmed: Moved) -> None:
    reader = client_of(every_cloud, every_cloud.reader)
    message = f"Instance {confirmed.server} could not be found."
    for path in ("os-instance-actions", "os-instance-actions/req-unknown", "migrations"):
        answer = reader.get(f"/servers/{confirmed.server}/{path}")
        assert (answer.status, answer.body) == (404, {"itemNotFound": {"code": 404, "message": message}})


def test_an_action_that_nobody_knows(admin: Client, confirmed: Moved) -> None:
    answer = admin.get(f"/servers/{confirmed.server}/os-instance-actions/req-unknown")
    message = "Action req-unknown not found"
    assert (answer.status, answer.body) == (404, {"itemNotFound": {"code": 404, "message": message}})


def test_only_live_migrations_are_shown_under_a_server(admin: Client, confirmed: Moved) -> None:
    answer = admin.get(f"/servers/{confirmed.server}/migrations")
    assert (answer.status, answer.body) == (200, {"migrations": []})


def test_a_running_live_migration_and_what_it_has_moved(every_cloud: CloudUnderTest, admin: Client) -> None:
    with every_cloud.moved(Move.RUNNING) as moved:
        (migration,) = admin.get(f"/servers/{moved.server}/migrations").body["migrations"]
        manager = client_of(every_cloud, every_cloud.manager)
        (hidden,) = manager.get(f"/servers/{moved.server}/migrations").body["migrations"]
        insider = client_of(every_cloud, every_cloud.insider)
        assert insider.get(f"/servers/{moved.server}/migrations").status == 403
    assert set(migration) == set(hidden) == MIGRATION_FIELDS
    assert (migration["uuid"], migration["server_uuid"]) == (moved.migration, moved.server)
    assert (migration["status"], migration["source_compute"], migration["dest_compute"]) == (
        "running", moved.source, moved.dest,
    )  # fmt: skip
    assert all(isinstance(migration[name], int) for name in MOVED_FIELDS)
    assert 0 < migration["memory_remaining_bytes"] <= migration["memory_total_bytes"]
    assert TIME.fullmatch(migration["created_at"]) and TIME.fullmatch(migration["updated_at"])
    assert {hidden[name] for name in MIGRATION_FIELDS if name.startswith(("source_", "dest_"))} == {None}


def test_actions_outlive_their_server(every_cloud: CloudUnderTest, admin: Client) -> None:
    with every_cloud.moved(Move.DELETED) as moved:
        path = f"/servers/{moved.server}/os-instance-actions"
        actions = admin.get(path).body["instanceActions"]
        assert [action["action"] for action in actions] == ["delete", "confirmResize", "migrate", "create"]
        # One request did both, and shows as the later of the two.
        assert actions[0]["request_id"] == actions[1]["request_id"]
        assert shown(admin, moved.server, 1)["action"] == "delete"
        assert admin.get(path, microversion="2.20").status == 404
        assert admin.get(f"/servers/{moved.server}/migrations").status == 404


def test_a_step_that_failed(every_cloud: CloudUnderTest, admin: Client) -> None:
    with every_cloud.moved(Move.PRE_FAILED) as moved:
        action = shown(admin, moved.server, 0)
    failed = action["events"][0]
    assert (action["message"], failed["event"], failed["result"]) == ("Error", "compute_pre_live_migration", "Error")
    assert failed["traceback"] and failed["details"] and failed["finish_time"]


def test_after_a_reschedule_the_first_step_of_a_name_ends_twice(every_cloud: CloudUnderTest, admin: Client) -> None:
    with every_cloud.moved(Move.RESCHEDULED) as moved:
        events = shown(admin, moved.server, 1)["events"][::-1]
    ended = [(event["event"], event["finish_time"] is not None) for event in events]
    first = ("conductor_migrate_server", "cold_migrate", "compute_prep_resize")
    assert ended[:6] == [*((name, True) for name in first), *((name, False) for name in first)]
    assert all(finished for _, finished in ended[6:])
