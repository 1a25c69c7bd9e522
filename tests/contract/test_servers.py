"""Servers and services: the proof that a server is deleted, and what a diagnosis looks at."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.contract.clouds import Client, CloudUnderTest
from tests.contract.rows import ROWS

FIELDS = {
    "id", "name", "status", "tenant_id", "user_id", "created", "updated", "hostId", "links", "flavor", "image",
    "metadata", "addresses", "accessIPv4", "accessIPv6", "config_drive", "key_name", "locked", "locked_reason",
    "description", "tags", "trusted_image_certificates", "host_status", "OS-DCF:diskConfig",
    "OS-EXT-AZ:availability_zone", "OS-EXT-STS:vm_state", "OS-EXT-STS:task_state", "OS-EXT-STS:power_state",
    "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at", "OS-EXT-SRV-ATTR:host",
    "OS-EXT-SRV-ATTR:hypervisor_hostname", "OS-EXT-SRV-ATTR:instance_name", "OS-EXT-SRV-ATTR:hostname",
    "OS-EXT-SRV-ATTR:kernel_id", "OS-EXT-SRV-ATTR:launch_index", "OS-EXT-SRV-ATTR:ramdisk_id",
    "OS-EXT-SRV-ATTR:reservation_id", "OS-EXT-SRV-ATTR:root_device_name", "OS-EXT-SRV-ATTR:user_data",
    "os-extended-volumes:volumes_attached",
}  # fmt: skip
SERVICE_FIELDS = {
    "id", "binary", "host", "zone", "status", "state", "updated_at", "disabled_reason", "forced_down",
}  # fmt: skip
ALL = ("all_tenants", "1")


Boot = Callable[[str], str]


@pytest.fixture
def server(boot: Boot) -> str:
    return boot("looked-at")


def test_fields_of_a_server(admin: Client, server: str) -> None:
    (shown,) = admin.get("/servers/detail", ALL, ("uuid", server)).body["servers"]
    assert set(shown) - {"progress", "security_groups"} == FIELDS
    assert (shown["id"], shown["status"], shown["name"]) == (server, "ACTIVE", "looked-at")
    assert (shown["OS-EXT-STS:vm_state"], shown["OS-EXT-STS:task_state"]) == ("active", None)
    assert shown["OS-EXT-STS:power_state"] == 1
    assert shown["OS-EXT-SRV-ATTR:host"] == "host1"
    assert shown["OS-SRV-USG:terminated_at"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", shown["OS-SRV-USG:launched_at"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["updated"])


def test_one_server(admin: Client, server: str) -> None:
    answer = admin.get(f"/servers/{server}")
    assert answer.status == 200
    assert answer.body["server"]["id"] == server
    assert "server_groups" in answer.body["server"]


def test_a_deleted_server_is_found_among_the_deleted_only(cloud: CloudUnderTest, admin: Client, server: str) -> None:
    uuid = ("uuid", server)
    assert admin.get("/servers/detail", ALL, uuid, ("deleted", "True")).body == {"servers": []}
    cloud.delete(server)
    assert admin.get("/servers/detail", ALL, uuid).body == {"servers": []}
    (shown,) = admin.get("/servers/detail", ALL, uuid, ("deleted", "True")).body["servers"]
    assert (shown["id"], shown["status"]) == (server, "DELETED")
    assert (shown["OS-EXT-STS:vm_state"], shown["OS-EXT-STS:task_state"]) == ("deleted", None)
    assert shown["OS-EXT-STS:power_state"] == 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", shown["OS-SRV-USG:terminated_at"])
    answer = admin.get(f"/servers/{server}")
    assert answer.status == 404
    assert answer.body == {"itemNotFound": {"code": 404, "message": f"Instance {server} could not be found."}}


def test_deleting_a_server_hides_its_migrations(cloud: CloudUnderTest, admin: Client, server: str) -> None:
    columns = {**ROWS["old"], "uuid": "5c0ffee0-0000-4000-8000-000000000002", "instance_uuid": server}
    cloud.insert(**{**columns, "status": "finished"})
    assert len(admin.migrations(("instance_uuid", server))) == 1
    cloud.delete(server)
    assert admin.migrations(("instance_uuid", server)) == []


def test_an_unknown_server(admin: Client) -> None:
    unknown = "5c0ffee0-0000-4000-8000-00000000dead"
    assert admin.get(f"/servers/{unknown}").status == 404
    assert admin.get("/servers/detail", ALL, ("uuid", unknown), ("deleted", "True")).body == {"servers": []}


def test_a_server_of_another_project_does_not_exist_for_a_reader(reader: Client, server: str) -> None:
    answer = reader.get(f"/servers/{server}")
    assert answer.status == 404
    assert answer.body == {"itemNotFound": {"code": 404, "message": f"Instance {server} could not be found."}}


def test_a_reader_may_not_look_at_all_projects(reader: Client) -> None:
    rule = "os_compute_api:servers:detail:get_all_tenants"
    answer = reader.get("/servers/detail", ALL)
    assert answer.status == 403
    assert answer.body == {"forbidden": {"code": 403, "message": f"Policy doesn't allow {rule} to be performed."}}


@pytest.mark.parametrize(
    ("status", "found"), [("ACTIVE", True), ("active", True), ("RESIZE", False), ("MIGRATING", False)]
)
def test_servers_by_status(admin: Client, server: str, status: str, found: bool) -> None:
    listed = admin.get("/servers/detail", ALL, ("status", status)).body["servers"]
    assert (server in {shown["id"] for shown in listed}) is found


def test_only_an_administrator_finds_deleted_servers_by_their_status(
    cloud: CloudUnderTest, admin: Client, reader: Client, server: str
) -> None:
    cloud.delete(server)
    listed = admin.get("/servers/detail", ALL, ("status", "DELETED")).body["servers"]
    assert server in {shown["id"] for shown in listed}
    answer = reader.get("/servers/detail", ("status", "DELETED"))
    message = "Only administrators may list deleted instances"
    assert (answer.status, answer.body) == (403, {"forbidden": {"code": 403, "message": message}})


def test_whoever_may_only_list_all_projects_sees_no_hosts_and_finds_by_status_alone(
    cloud: CloudUnderTest, reader: Client, server: str
) -> None:
    with cloud.readers_may("os_compute_api:servers:detail:get_all_tenants"):
        (shown,) = reader.get("/servers/detail", ALL, ("status", "ACTIVE")).body["servers"]
        unfiltered = reader.get("/servers/detail", ALL, ("host", "nowhere"), ("uuid", "none")).body["servers"]
        assert reader.get("/servers/detail", ALL, ("status", "MIGRATING")).body["servers"] == []
    assert [shown["id"], *(found["id"] for found in unfiltered)] == [server, server]
    assert shown["OS-EXT-STS:vm_state"] == "active"
    assert not {name for name in shown if name.startswith("OS-EXT-SRV-ATTR:") or name == "host_status"}


def test_a_bogus_status_of_servers(admin: Client) -> None:
    answer = admin.get("/servers/detail", ALL, ("status", "BOGUS"))
    assert answer.status == 400
    assert answer.body == {"badRequest": {"code": 400, "message": "Invalid status value"}}


def test_pages_of_servers(admin: Client, server: str) -> None:
    first = admin.get("/servers/detail", ALL, ("limit", "1"))
    assert [shown["id"] for shown in first.body["servers"]] == [server]
    (link,) = first.body["servers_links"]
    assert link == {"rel": "next", "href": f"ROOT/v2.1/servers/detail?all_tenants=1&limit=1&marker={server}"}
    gone = admin.get("/servers/detail", ALL, ("marker", "5c0ffee0-0000-4000-8000-00000000dead"))
    assert gone.body == {
        "badRequest": {"code": 400, "message": "marker [5c0ffee0-0000-4000-8000-00000000dead] not found"}
    }


def test_pages_of_servers_by_the_next_link(admin: Client, boot: Boot) -> None:
    booted = [boot(f"paged-{number}") for number in range(3)]
    query, found = [ALL, ("status", "ACTIVE"), ("limit", "2")], []
    while query:
        page = admin.get("/servers/detail", *query).body
        found += [(shown["created"], shown["id"]) for shown in page["servers"]]
        query = [pair for link in page.get("servers_links", ()) for pair in parse_qsl(urlsplit(link["href"]).query)]
    assert sorted(server for _, server in found) == sorted(booted)
    # Newest first, those of one second by their ids.
    assert found == sorted(sorted(found, key=itemgetter(1)), key=itemgetter(0), reverse=True)


@pytest.mark.parametrize(
    ("query", "hosts"),
    [
        ((("host", "host1"), ("binary", "nova-compute")), ["host1"]),
        ((("host", "nowhere"), ("binary", "nova-compute")), []),
        ((("host", "host1"), ("binary", "nova-scheduler")), []),
    ],
)
def test_services_of_a_host(admin: Client, server: str, query: tuple[tuple[str, str], ...], hosts: list[str]) -> None:
    assert [shown["host"] for shown in admin.get("/os-services", *query).body["services"]] == hosts


def test_services_are_asked_by_host_and_binary_only(admin: Client, server: str) -> None:
    assert admin.get("/os-services", ("state", "down"), microversion="2.74").status == 200
    answer = admin.get("/os-services", ("state", "down"))
    message = "Additional properties are not allowed ('state' was unexpected)"
    assert (answer.status, answer.body) == (400, {"badRequest": {"code": 400, "message": message}})


def test_services(admin: Client, server: str) -> None:
    listed = admin.get("/os-services", ("binary", "nova-compute")).body["services"]
    assert {shown["binary"] for shown in listed} == {"nova-compute"}
    (shown,) = [shown for shown in listed if shown["host"] == "host1"]
    assert set(shown) == SERVICE_FIELDS
    assert (shown["state"], shown["status"], shown["forced_down"]) == ("up", "enabled", False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", shown["updated_at"])
    assert re.fullmatch(r"[0-9a-f-]{36}", shown["id"])


def test_a_reader_may_not_see_services(reader: Client) -> None:
    rule = "os_compute_api:os-services:list"
    answer = reader.get("/os-services")
    assert answer.status == 403
    assert answer.body == {"forbidden": {"code": 403, "message": f"Policy doesn't allow {rule} to be performed."}}
