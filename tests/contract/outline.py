"""What is left of an answer about a moved server when all that differs between two clouds is taken out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from tests.contract.clouds import Answer, Client
from tests.contract.moves import Moved

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
VOLATILE = {"date", "content-length", "x-openstack-request-id", "x-compute-request-id", "connection", "keep-alive"}
TEXTS = {
    "tenant_id": "PROJECT",
    "traceback": "TRACEBACK",
    "details": "DETAILS",
    "user_id": "USER",
    "project_id": "PROJECT",
}


@cache
def requests_of(admin: Client, server: str) -> list[str]:
    """Give the request ids of what was done with a server at rest, the newest first."""
    answer = admin.get(f"/servers/{server}/os-instance-actions")
    assert answer.status == 200, answer.body
    return [action["request_id"] for action in answer.body["instanceActions"]]


class Outline:
    """Name what belongs to one moved server."""

    def __init__(self, moved: Moved, requests: list[str]) -> None:
        self._names = {moved.server: "SERVER", moved.migration: "MIGRATION"}
        self._names |= {request: f"REQUEST-{place}" for place, request in enumerate(requests)}
        self._hosts = {moved.source: "SOURCE", moved.dest: "DEST"}

    def of(self, answer: Answer) -> tuple[int, Mapping[str, str], Any]:
        """Give status, headers and body of an answer."""
        headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() not in VOLATILE}
        headers.pop("vary", None)
        return answer.status, headers, self._body(answer.body)

    def part(self, body: Mapping[str, Any]) -> Any:
        """Give a part of an answer's body; the project that hides a host's name is the part's."""
        return self._body(body, project=body["tenant_id"])

    def _body(self, value: Any, key: str = "", project: str = "") -> Any:
        if isinstance(value, dict):
            project = value.get("project_id") or project
            return {name: self._body(item, name, project) for name, item in value.items()}
        if isinstance(value, list):
            return [self._body(item, key, project) for item in value]
        if isinstance(value, int):
            return "NUMBER" if key == "id" or key.endswith("_bytes") else value
        return self._text(value, key, project) if isinstance(value, str) else value

    def _text(self, value: str, key: str, project: str) -> str:
        if key in TEXTS or TIME.fullmatch(value):
            return TEXTS.get(key, "TIME")
        if key.endswith(("host", "hypervisor_hostname", "_compute", "_node")):
            return self._hosts.get(value, "ANOTHER")
        if key == "hostId":
            hashes = {_hash(project, host): name for host, name in self._hosts.items()}
            return hashes.get(value, "ANOTHER" if re.fullmatch(r"[0-9a-f]{56}", value) else value)
        for name, label in self._names.items():
            value = value.replace(name, label)
        return value


def _hash(project: str, host: str | None) -> str:
    """Hide a host's name as Nova does (nova/utils.py generate_hostid)."""
    return hashlib.sha224(f"{project}{host}".encode()).hexdigest()
