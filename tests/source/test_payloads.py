"""What a real Nova answered is understood, in every microversion that is spoken."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import pytest

from exporter.domain.cloud import CloudError, Deletion, ErrorKind
from exporter.domain.lifecycle import MigrationType, is_known
from exporter.domain.server import Action, Server
from exporter.source.nova import NovaCloud
from tests.source.cloud import NOVA, Cloud
from tests.source.record_payloads import MICROVERSIONS, PAYLOADS

LATER = 2000.0


def payload(microversion: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((PAYLOADS / microversion / f"{name}.json").read_text())
    return content


def answering(cloud: Cloud, microversion: str, *names: str) -> NovaCloud:
    cloud.maximum = microversion
    cloud.keystone()
    cloud.discovery()
    for name in names:
        answer = payload(microversion, name)
        path = answer["request"].split("?")[0]
        cloud.nova(path, json=answer["body"], status=answer["status"], headers=answer["headers"])
    return cloud.ask()


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_every_record_is_understood(cloud: Cloud, microversion: str) -> None:
    answer = answering(cloud, microversion, "migrations").changed_since(0, LATER)
    assert answer.rejections == ()
    assert {migration.migration_type for migration in answer.migrations} == set(MigrationType)
    assert all(is_known(migration.migration_type, migration.status) for migration in answer.migrations)
    assert [migration.status for migration in answer.migrations if migration.updated_at is None] == ["pre-migrating"]
    assert all(migration.source_host for migration in answer.migrations)
    assert all(
        (migration.initiator_project_id is None) is (microversion in ("2.59", "2.66"))
        for migration in answer.migrations
    )
    assert answer.date is not None
    assert all(0 <= answer.date + 1 - migration.stamp < 600 for migration in answer.migrations)


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_a_page_with_more_behind_it_is_followed_from_its_last_record(cloud: Cloud, microversion: str) -> None:
    nova = answering(cloud, microversion, "page", "marker_gone", "migrations")
    last = payload(microversion, "page")["body"]["migrations"][-1]["uuid"]
    everything = nova.changed_since(0, LATER)
    assert f"marker={last}" in cloud.sent()[1].url
    assert len(everything.migrations) == len(payload(microversion, "migrations")["body"]["migrations"])


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_a_readers_refusal_is_understood(cloud: Cloud, microversion: str) -> None:
    with pytest.raises(CloudError, match="os_compute_api:os-migrations:index") as error:
        answering(cloud, microversion, "forbidden").newest(LATER)
    assert error.value.kind is ErrorKind.FORBIDDEN


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_a_deleted_server_is_proven(cloud: Cloud, microversion: str) -> None:
    recorded = payload(microversion, "servers_deleted")
    server = recorded["body"]["servers"][0]["id"]
    proof = answering(cloud, microversion, "servers_deleted").deletion_of(server, LATER)
    assert isinstance(proof, Deletion)
    assert proof.at is not None


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_a_server_that_is_gone_is_proven_without_its_time(cloud: Cloud, microversion: str) -> None:
    nova = answering(cloud, microversion, "server_gone")
    cloud.nova("/servers/detail", json={"servers": []})
    server = payload(microversion, "server_gone")["request"].rsplit("/", 1)[1]
    assert nova.deletion_of(server, LATER) == Deletion(at=None)


def asked(microversion: str, name: str) -> list[str]:
    """Return the parts of the path that a payload answers."""
    return str(payload(microversion, name)["request"]).split("?")[0].split("/")


def is_what_was_recorded(cloud: Cloud, microversion: str, name: str) -> bool:
    """Tell whether the last request sent was that of a payload."""
    request = cast(Any, cloud.mock.calls)[-1].request
    sent: str = request.url.removeprefix(NOVA)
    return re.sub("changes-since=[^&]*", "", sent) == re.sub(
        "changes-since=[^&]*", "", payload(microversion, name)["request"]
    )


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_servers_that_move_are_understood(cloud: Cloud, microversion: str) -> None:
    nova = answering(cloud, microversion, "servers_resize")
    (server,) = nova.servers_with_status("RESIZE", LATER)
    (raw,) = payload(microversion, "servers_resize")["body"]["servers"]
    assert server == Server(
        raw["id"], "RESIZE", raw["name"], raw["tenant_id"], "active", "resize_prep", "RUNNING", "host1"
    )
    assert is_what_was_recorded(cloud, microversion, "servers_resize")


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_servers_that_wait_are_understood(cloud: Cloud, microversion: str) -> None:
    found = answering(cloud, microversion, "servers_verify_resize").servers_with_status("VERIFY_RESIZE", LATER)
    assert {(server.vm_state, server.task_state) for server in found} == {("resized", None)}
    assert len(found) == len(payload(microversion, "servers_verify_resize")["body"]["servers"]) > 0


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_a_server_found_among_all_is_understood(cloud: Cloud, microversion: str) -> None:
    nova = answering(cloud, microversion, "server")
    raw = payload(microversion, "server")["body"]["servers"][0]
    server = nova.server(raw["id"], LATER)
    assert server is not None
    assert (server.id, server.status, server.task_state) == (raw["id"], "MIGRATING", "migrating")
    assert is_what_was_recorded(cloud, microversion, "server")


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_hosts_are_understood(cloud: Cloud, microversion: str) -> None:
    nova = answering(cloud, microversion, "services")
    hosts = [f"host{number}" for number in range(1, 12)]
    assert nova.hosts_up(hosts, LATER) == {
        "host1": True,
        "host2": True,
        "host3": True,
        "host4": False,
        "host5": True,
    }
    assert is_what_was_recorded(cloud, microversion, "services")


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_what_was_done_is_understood(cloud: Cloud, microversion: str) -> None:
    nova = answering(cloud, microversion, "actions", "action")
    *_, server, _ = asked(microversion, "actions")
    found = nova.actions(server, 0.0, LATER)
    assert found is not None
    assert [each.name for each in found] == ["create", "migrate", "confirmResize"]
    assert is_what_was_recorded(cloud, microversion, "actions")
    action = nova.steps(server, asked(microversion, "action")[-1], LATER)
    assert is_what_was_recorded(cloud, microversion, "action")
    assert isinstance(action, Action)
    assert [step.name for step in action.steps] == [
        "conductor_migrate_server",
        "cold_migrate",
        "compute_prep_resize",
        "compute_resize_instance",
        "compute_finish_resize",
    ]
    assert all(step.ok and step.finish and action.start <= step.start <= step.finish for step in action.steps)


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_a_step_that_failed_is_understood(cloud: Cloud, microversion: str) -> None:
    *_, server, _, request = asked(microversion, "action_failed")
    action = answering(cloud, microversion, "action_failed").steps(server, request, LATER)
    assert action is not None
    assert [(step.name, step.ok) for step in action.steps if step.ok is not True] == [
        ("compute_resize_instance", False)
    ]


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_what_was_done_with_a_deleted_server_is_understood(cloud: Cloud, microversion: str) -> None:
    *_, server, _ = asked(microversion, "actions_of_deleted")
    found = answering(cloud, microversion, "actions_of_deleted").actions(server, 0.0, LATER)
    assert found is not None
    assert [each.name for each in found] == ["create", "delete"]


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_progress_is_understood(cloud: Cloud, microversion: str) -> None:
    *_, server, _ = asked(microversion, "progress")
    found = answering(cloud, microversion, "progress").progress(server, LATER)
    assert is_what_was_recorded(cloud, microversion, "progress")
    (raw,) = payload(microversion, "progress")["body"]["migrations"]
    assert found is not None
    assert found[raw["uuid"]].memory_remaining == raw["memory_remaining_bytes"]
    assert found[raw["uuid"]].total == 2**31
    assert raw["memory_processed_bytes"] > 0


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_what_nova_does_not_know_is_none(cloud: Cloud, microversion: str) -> None:
    nova = answering(cloud, microversion, "actions_not_found", "action_not_found", "progress_not_found")
    *_, server, _ = asked(microversion, "actions_not_found")
    assert nova.actions(server, 0.0, LATER) is None
    *_, server, _, request = asked(microversion, "action_not_found")
    assert nova.steps(server, request, LATER) is None
    *_, server, _ = asked(microversion, "progress_not_found")
    assert nova.progress(server, LATER) is None


@pytest.mark.parametrize("microversion", MICROVERSIONS)
def test_a_readers_refusals_are_understood(cloud: Cloud, microversion: str) -> None:
    nova = answering(cloud, microversion, "servers_forbidden", "services_forbidden")
    for ask in (
        lambda: nova.servers_with_status("RESIZE", LATER),
        lambda: nova.hosts_up([f"host{number}" for number in range(11)], LATER),
    ):
        with pytest.raises(CloudError, match=r"Policy doesn't allow os_compute_api:\S+ to be performed") as error:
            ask()
        assert error.value.kind is ErrorKind.FORBIDDEN
