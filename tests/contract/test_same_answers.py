"""The two clouds side by side: whole answers to the same questions, word for word.

What is taken out before they are compared: their addresses, the ids of rows, request ids, lengths and dates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.clouds import Answer, Client, CloudUnderTest
from tests.contract.conftest import client_of
from tests.contract.rows import ROWS, identity

pytestmark = pytest.mark.realcloud

Query = tuple[tuple[str, str], ...]

QUERIES: list[Query] = [
    (),
    (("limit", "0"),),
    (("limit", "2"),),
    (("limit", "2"), ("status", "confirmed")),
    (("limit", "00002"),),
    (("limit", "-1"),),
    (("limit", "1.5"),),
    (("limit", " 2"),),
    (("limit", "9" * 30),),
    (("marker", ROWS["finished"]["uuid"]),),
    (("marker", ROWS["hidden"]["uuid"]), ("limit", "2")),
    (("marker", ROWS["finished"]["uuid"].upper()),),
    (("marker", "gone"), ("limit", "0")),
    (("marker", ""), ("limit", "2")),
    (("marker", "a"), ("marker", "b")),
    (("status", "RUNNING"),),
    (("status", "running "),),
    (("status", "running"), ("status", "queued"), ("limit", "1")),
    (("host", "HOST1"),),
    (("host", "host1"), ("host", "host2")),
    (("host", ""),),
    (("source_compute", "host1"), ("limit", "1")),
    (("instance_uuid", identity("server-a").upper()),),
    (("user_id", ""),),
    (("user_id", "a"), ("user_id", "b")),
    (("hidden", "0"),),
    (("hidden", "1"),),
    (("hidden", "False"),),
    (("changes-since", "2026"),),
    (("changes-since", "2026-03"),),
    (("changes-since", "2026-3-1"),),
    (("changes-since", "20260301"),),
    (("changes-since", "202603"),),
    (("changes-since", "2026-03-01T10"),),
    (("changes-since", "2026-03-01T10Z"),),
    (("changes-since", "2026-03-01T100400"),),
    (("changes-since", "2026-03-01T10:04:00,5"),),
    (("changes-since", "2026-03-01T10:04:00.0000005Z"),),
    (("changes-since", "2026-03-01T10:04:00-0030"),),
    (("changes-since", "2026-03-01T10:04:00+02"),),
    (("changes-since", "2026-03-01t10:04:00z"),),
    (("changes-since", "2026-13-01"),),
    (("changes-since", "2026-02-30"),),
    (("changes-since", "1772359440"),),
    (("changes-since", "now"),),
    (("changes-since", "2026-03-01 10:04:00 00:00"),),
    (("changes-since", " 2026-03-01"),),
    (("changes-since", "2026-03-01"), ("changes-since", "2026-03-02")),
    (("changes-since", "2026-03-02"), ("changes-before", "2026-03-01"), ("bogus", "1")),
    (("changes-before", "2026-03-01T10:03:00"), ("limit", "1")),
    (("node", "host1"),),
    (("foo", "1"), ("bar", "2")),
    (("limit", "-1"), ("foo", "1")),
]
MICROVERSIONS = ["2.1", "2.23", "2.59", "2.66", "2.80", "2.104", "latest"]
VOLATILE = {"date", "content-length", "x-openstack-request-id", "x-compute-request-id", "connection", "keep-alive"}


@pytest.fixture
def both(simulated: CloudUnderTest, real: CloudUnderTest) -> tuple[Client, Client]:
    return client_of(simulated, simulated.admin), client_of(real, real.admin)


def neutral(value: Any, key: str = "") -> Any:
    """Take out what two clouds cannot have in common."""
    if isinstance(value, dict):
        return {name: neutral(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [neutral(item) for item in value]
    if key == "id" and isinstance(value, int):
        return "ID"
    return re.sub(r"/migrations/\d+$", "/migrations/ID", value) if key == "href" else value


def whole(answer: Answer) -> tuple[int, dict[str, str], Any]:
    headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in VOLATILE}
    # Several Vary lines say the same as one with several values.
    headers["vary"] = ", ".join(sorted(part.strip() for part in headers.get("vary", "").split(",")))
    return answer.status, headers, neutral(answer.body)


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_queries(both: tuple[Client, Client], query: Query) -> None:
    simulated, real = (whole(client.get("/os-migrations", *query)) for client in both)
    assert simulated == real


@pytest.mark.parametrize("microversion", MICROVERSIONS)
@pytest.mark.parametrize(
    "query", [(), (("limit", "2"),), (("changes-before", "2026-03-01"),), (("user_id", "x"),), (("foo", "1"),)], ids=str
)
def test_microversions(both: tuple[Client, Client], query: Query, microversion: str) -> None:
    simulated, real = (whole(client.get("/os-migrations", *query, microversion=microversion)) for client in both)
    assert _unordered(simulated) == _unordered(real)


def _unordered(answer: tuple[int, dict[str, str], Any]) -> tuple[int, dict[str, str], Any]:
    """Sort the records of an answer without paging, whose order is nobody's promise."""
    status, headers, body = answer
    if "migrations" in body and "uuid" not in (body["migrations"] or [{}])[0]:
        body = {"migrations": sorted(body["migrations"], key=lambda record: (record["created_at"], record["status"]))}
    return status, headers, body


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"OpenStack-API-Version": "compute 2.80, compute 2.59"},
        {"OpenStack-API-Version": "compute"},
        {"OpenStack-API-Version": "nova 2.80"},
        {"OpenStack-API-Version": "COMPUTE 2.80"},
        {"OpenStack-API-Version": "compute latest"},
        {"OpenStack-API-Version": "compute 2.999"},
        {"OpenStack-API-Version": "compute two"},
        {"X-OpenStack-Nova-API-Version": "2.80"},
        {"X-OpenStack-Nova-API-Version": "2.999"},
        {"X-OpenStack-Nova-API-Version": "two"},
        {"Accept": "application/json"},
        {"Accept": "text/html"},
    ],
    ids=str,
)
def test_headers(both: tuple[Client, Client], headers: dict[str, str]) -> None:
    simulated, real = (
        whole(client.get("/os-migrations", ("status", "none"), microversion=None, headers=headers)) for client in both
    )
    assert simulated == real


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
@pytest.mark.parametrize("path", ["/no-such-thing", "/os-migrations/1", "/os-migrations/", "/servers/none"])
def test_paths(both: tuple[Client, Client], path: str, accept: str) -> None:
    simulated, real = (whole(client.get(path, headers={"Accept": accept})) for client in both)
    assert simulated == real


@pytest.mark.parametrize("path", ["", "/", "/../", "/../v2.1"])
def test_version_documents(both: tuple[Client, Client], path: str) -> None:
    simulated, real = (whole(client.get(path, token=None)) for client in both)
    assert simulated == real


@pytest.fixture
def servers(simulated: CloudUnderTest, real: CloudUnderTest) -> Iterator[tuple[str, str]]:
    booted = simulated.boot("compared"), real.boot("compared")
    yield booted
    for cloud, server in zip((simulated, real), booted, strict=True):
        cloud.delete(server)


@pytest.mark.parametrize(
    "microversion", ["2.1", "2.8", "2.47", "2.62", "2.75", "2.80", "2.95", "2.96", "2.100", "2.104"]
)
def test_fields_of_servers(both: tuple[Client, Client], servers: tuple[str, str], microversion: str) -> None:
    one, detail = [], []
    for client, server in zip(both, servers, strict=True):
        one.append(set(client.get(f"/servers/{server}", microversion=microversion).body["server"]))
        query = (("all_tenants", "1"), ("uuid", server))
        detail.append(set(client.get("/servers/detail", *query, microversion=microversion).body["servers"][0]))
    assert one[0] == one[1]
    assert detail[0] == detail[1]


@pytest.mark.parametrize("microversion", ["2.1", "2.10", "2.11", "2.53", "2.69", "2.80", "2.104"])
def test_fields_of_services(both: tuple[Client, Client], servers: tuple[str, str], microversion: str) -> None:
    shown = [
        client.get("/os-services", ("binary", "nova-compute"), microversion=microversion).body["services"][0]
        for client in both
    ]
    assert {name: type(value) for name, value in shown[0].items()} == {
        name: type(value) for name, value in shown[1].items()
    }


@pytest.mark.parametrize("deleted", [False, True])
def test_a_server(
    both: tuple[Client, Client],
    simulated: CloudUnderTest,
    real: CloudUnderTest,
    servers: tuple[str, str],
    deleted: bool,
) -> None:
    if deleted:
        simulated.delete(servers[0])
        real.delete(servers[1])
    shown = []
    for client, server in zip(both, servers, strict=True):
        query = (("all_tenants", "1"), ("deleted", str(deleted)), ("uuid", server))
        (found,) = client.get("/servers/detail", *query).body["servers"]
        shown.append({name: value for name, value in found.items() if name not in SERVERS_OWN})
    assert shown[0] == shown[1]


# What servers that were made alike on two clouds have of their own.
SERVERS_OWN = {
    "id", "tenant_id", "user_id", "created", "updated", "hostId", "links", "flavor", "image", "config_drive",
    "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at", "OS-EXT-SRV-ATTR:instance_name",
    "OS-EXT-SRV-ATTR:reservation_id", "OS-EXT-SRV-ATTR:hypervisor_hostname", "OS-EXT-SRV-ATTR:root_device_name",
    "OS-DCF:diskConfig",
}  # fmt: skip

SERVER_QUERIES: list[Query] = [
    (("all_tenants", "1"), ("status", "ACTIVE"), ("uuid", "none")),
    (("all_tenants", "True"), ("status", "bogus")),
    (("all_tenants", "maybe"),),
    (("all_tenants", ""), ("uuid", "none")),
    (("all_tenants", "1"), ("deleted", "maybe"), ("uuid", "none")),
    (("all_tenants", "1"), ("limit", "-1")),
    (("all_tenants", "1"), ("limit", "0"), ("uuid", "none")),
    (("all_tenants", "1"), ("marker", "none")),
    (("all_tenants", "1"), ("bogus", "1")),
    (("all_tenants", "1"), ("task_state", "migrating")),
    (("all_tenants", "1"), ("vm_state", "resized")),
    (("all_tenants", "1"), ("host", "nowhere")),
]


@pytest.mark.parametrize("microversion", ["2.74", "2.80"])
@pytest.mark.parametrize("query", SERVER_QUERIES, ids=str)
def test_queries_of_servers(both: tuple[Client, Client], query: Query, microversion: str) -> None:
    simulated, real = (whole(client.get("/servers/detail", *query, microversion=microversion)) for client in both)
    if query == (("all_tenants", "1"), ("bogus", "1")) and microversion == "2.74":
        assert simulated[0] == real[0] == 200
    else:
        assert simulated == real
