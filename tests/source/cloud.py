"""A cloud of canned answers: Keystone, catalogue, discovery and whatever a test lets Nova say."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from typing import Any

import responses

from exporter.source.connect import Connect, connect_to
from exporter.source.nova import NovaCloud

KEYSTONE = "http://keystone.test/identity/v3"
NOVA = "http://nova.test/compute/v2.1"
PASSWORD = "s3cr3t-passw0rd"
TOKEN = "gAAAAABtesttesttesttesttesttest"
NOW = 1_795_000_000.0
SERVER = "11111111-1111-4111-8111-111111111111"


class Cloud:
    """Canned answers; `mock` takes those of Nova."""

    def __init__(self, mock: responses.RequestsMock) -> None:
        self.mock = mock
        self.roles = ["admin", "reader"]
        self.endpoints = [("public", "RegionOne", NOVA)]
        self.maximum = "2.104"
        self.expires_at = "2099-01-01T00:00:00.000000Z"
        self.naps: list[float] = []
        self.now = 1000.0

    def keystone(self, status: int = 201, body: object = None) -> None:
        self.mock.get(KEYSTONE, json={"version": _identity()})
        answer = {"token": _token(self.roles, self.endpoints, self.expires_at)} if body is None else body
        self.mock.post(f"{KEYSTONE}/auth/tokens", json=answer, status=status, headers={"X-Subject-Token": TOKEN})

    def discovery(self) -> None:
        version = {
            "id": "v2.1",
            "status": "CURRENT",
            "version": self.maximum,
            "min_version": "2.1",
            "links": [{"rel": "self", "href": f"{NOVA}/"}],
        }
        for url in (NOVA, f"{NOVA}/"):
            self.mock.get(url, json={"version": version})

    def migrations(
        self, records: Sequence[object], query: Mapping[str, str], more: bool = False, **options: Any
    ) -> None:
        body: dict[str, object] = {"migrations": list(records)}
        if more:
            body["migrations_links"] = [{"rel": "next", "href": "http://elsewhere.test/os-migrations?marker=x"}]
        self.nova("/os-migrations", query, json=body, **options)

    def nova(self, path: str, query: Mapping[str, str] | None = None, **options: Any) -> responses.BaseResponse:
        match = [] if query is None else [responses.matchers.query_param_matcher(query)]
        headers = {"Date": formatdate(NOW, usegmt=True), **options.pop("headers", {})}
        return self.mock.get(f"{NOVA}{path}", match=match, headers=headers, **options)

    def connect(self, region: str | None = "RegionOne") -> Connect:
        return connect_to(KEYSTONE, "exporter", PASSWORD, "ops", region_name=region, name="prod")

    def ask(self, connect: Connect | None = None, **options: Any) -> NovaCloud:
        arguments: dict[str, Any] = {"timeout": 5.0, "monotonic": self.monotonic, "wait": self.wait, **options}
        return NovaCloud(connect or self.connect(), **arguments)

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds

    def sent(self, path: str = "/os-migrations") -> list[Any]:
        """Return the requests to a path of Nova."""
        return [call.request for call in self.mock.calls if str(call.request.url).split("?")[0] == f"{NOVA}{path}"]


def record(number: int = 1, **fields: object) -> dict[str, object]:
    """Return a record as Nova 2.80 shows it; every number is another migration."""
    return {
        "id": number,
        "uuid": uuid_of(number),
        "migration_type": "resize",
        "status": "migrating",
        "instance_uuid": SERVER,
        "source_compute": "host1",
        "source_node": "node1",
        "dest_compute": "host2",
        "dest_node": "node2",
        "dest_host": "192.0.2.2",
        "old_instance_type_id": 1,
        "new_instance_type_id": 2,
        "user_id": "u",
        "project_id": "p",
        "created_at": "2026-11-20T10:00:00.000000",
        "updated_at": "2026-11-20T10:00:05.250000",
        **fields,
    }


def uuid_of(number: int) -> str:
    return str(uuid.UUID(int=number, version=4))


def _identity() -> dict[str, object]:
    links = [{"rel": "self", "href": f"{KEYSTONE}/"}]
    return {"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z", "links": links, "media-types": []}


def _token(roles: Sequence[str], endpoints: Sequence[tuple[str, str, str]], expires_at: str) -> dict[str, object]:
    compute = [
        {"id": str(number), "interface": interface, "region": region, "region_id": region, "url": url}
        for number, (interface, region, url) in enumerate(endpoints)
    ]
    domain = {"id": "default", "name": "Default"}
    return {
        "methods": ["password"],
        "user": {"id": "u", "name": "exporter", "domain": domain},
        "project": {"id": "p", "name": "ops", "domain": domain},
        "roles": [{"id": name, "name": name} for name in roles],
        "expires_at": expires_at,
        "issued_at": "2026-01-01T00:00:00.000000Z",
        "audit_ids": ["a"],
        "catalog": [{"id": "c", "type": "compute", "name": "nova", "endpoints": compute}] if compute else [],
    }
