"""What the contract asks of a cloud under test, and how it asks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import requests

from tests.contract.moves import Move, Moved

TIMEOUT = 60.0  # seconds for one request; the real Nova shares two cores with everything else


@dataclass(frozen=True, slots=True)
class Login:
    """A user of the cloud under test, with a password and the domain Default."""

    username: str
    password: str
    project_name: str


class CloudUnderTest(Protocol):
    """A cloud that can be asked over HTTP and seeded behind its back."""

    name: str
    auth_url: str
    region: str
    admin: Login
    #: A user with the role reader on another project than the administrator's.
    reader: Login
    #: Users of the administrator's project who are none: one with the role reader, one also with manager.
    insider: Login
    manager: Login

    def insert(self, **columns: Any) -> None:
        """Insert a row into `migrations` with exactly these values; times are epoch seconds."""

    def boot(self, name: str) -> str:
        """Create a server of the administrator's project and return its id."""

    def delete(self, server_id: str) -> None:
        """Delete a server, if it is still there, and wait until it is gone."""

    def moved(self, move: Move) -> AbstractContextManager[Moved]:
        """Move a server of the administrator's project, made for that and deleted afterwards."""

    def max_limit(self, maximum: int) -> AbstractContextManager[None]:
        """Set Nova's [api]max_limit for a while."""

    def insert_stale_twin(self, **columns: Any) -> None:
        """Insert the row that a cross-cell resize leaves in the other cell, before that of the same uuid."""

    def remove(self, migration: str) -> None:
        """Take the rows of a uuid out of the database."""

    def readers_may(self, *rules: str) -> AbstractContextManager[None]:
        """Let readers pass some rules of Nova's policy for a while."""

    def __hash__(self) -> int:
        """Tell clouds apart."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, with what differs between any two clouds made alike."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Client:
    """A user's session with a cloud under test."""

    def __init__(self, cloud: CloudUnderTest, login: Login) -> None:
        self.cloud = cloud
        self.login = login
        self.session = requests.Session()
        granted = authenticate(cloud, login)
        assert granted.status_code == 201, granted.text
        self.token = granted.headers["X-Subject-Token"]
        self.compute_url = compute_url(granted.json()["token"], cloud.region)

    def get(
        self,
        path: str,
        *query: tuple[str, str],
        microversion: str | None = "2.80",
        headers: Mapping[str, str] | None = None,
        token: str | None = "",
    ) -> Answer:
        """Ask Nova; `token` None sends none, an empty one sends that of the session."""
        sent = {} if microversion is None else {"OpenStack-API-Version": f"compute {microversion}"}
        if token is not None:
            sent["X-Auth-Token"] = token or self.token
        answer = self.session.get(
            f"{self.compute_url}{path}", params=list(query), headers=sent | dict(headers or {}), timeout=TIMEOUT
        )
        return Answer(answer.status_code, answer.headers, self.neutral(answer))

    def neutral(self, answer: requests.Response) -> Any:
        """Give the body with the cloud's own address taken out."""
        root = self.compute_url.removesuffix("/v2.1")
        text = answer.text.replace(root, "ROOT")
        try:
            return json.loads(text)
        except ValueError:
            return text

    def migrations(self, *query: tuple[str, str], microversion: str = "2.80") -> list[dict[str, Any]]:
        """List migrations; the answer has to be 200."""
        answer = self.get("/os-migrations", *query, microversion=microversion)
        assert answer.status == 200, answer.body
        listed: list[dict[str, Any]] = answer.body["migrations"]
        return listed


def authenticate(cloud: CloudUnderTest, login: Login) -> requests.Response:
    """Ask Keystone for a token."""
    domain = {"name": "Default"}
    user = {"name": login.username, "password": login.password, "domain": domain}
    auth = {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"name": login.project_name, "domain": domain}},
    }
    return requests.post(f"{cloud.auth_url}/auth/tokens", json={"auth": auth}, timeout=TIMEOUT)


def compute_url(token: Mapping[str, Any], region: str) -> str:
    """Find Nova's public endpoint in the catalogue of a token."""
    found: Sequence[str] = [
        endpoint["url"]
        for service in token["catalog"]
        if service["type"] == "compute"
        for endpoint in service["endpoints"]
        if endpoint["interface"] == "public" and endpoint["region_id"] == region
    ]
    return found[0].rstrip("/")
