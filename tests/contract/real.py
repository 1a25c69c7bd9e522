"""The real Nova behind the real Keystone as a cloud under test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from tests.contract import real_moves
from tests.contract.clouds import Login
from tests.contract.moves import Move, Moved
from tests.realcloud.cloud import RealCloud
from tests.realcloud.identity import REGION, User

DEFAULT_MAX_LIMIT = 1000  # nova/conf/api.py


def _login(user: User) -> Login:
    return Login(user.name, user.password, user.project)


class RealUnderTest:
    """Seed the real cloud by SQL and through its API."""

    name = "real"
    region = REGION

    def __init__(self, cloud: RealCloud) -> None:
        cloud.reset()
        self._cloud = cloud
        self._alive: set[str] = set()
        self.auth_url = cloud.auth_url
        self.admin = _login(cloud.admin)
        self.reader = _login(cloud.reader)
        self.insider = self._user("insider", "reader")
        self.manager = self._user("overseer", "manager", "member", "reader")

    def _user(self, name: str, *roles: str) -> Login:
        return _login(self._cloud.identity.create_user(name, f"{name}-secret", self.admin.project_name, list(roles)))

    def insert(self, **columns: Any) -> None:
        self._cloud.insert_record(**columns)

    def boot(self, name: str) -> str:
        server = self._cloud.create_server(name, host="host1")
        self._alive.add(server)
        return server

    def delete(self, server_id: str) -> None:
        if server_id in self._alive:
            self._alive.remove(server_id)
            self._cloud.delete_server(server_id)

    def moved(self, move: Move) -> AbstractContextManager[Moved]:
        return real_moves.moved(self._cloud, move)

    @contextmanager
    def max_limit(self, maximum: int) -> Iterator[None]:
        self._cloud.set_config("api", "max_limit", maximum)
        try:
            yield
        finally:
            self._cloud.set_config("api", "max_limit", DEFAULT_MAX_LIMIT)

    def insert_stale_twin(self, **columns: Any) -> None:
        self._cloud.insert_record(cell="cell2", **columns)

    def remove(self, migration: str) -> None:
        self._cloud.delete_records([migration])

    @contextmanager
    def readers_may(self, *rules: str) -> Iterator[None]:
        defaults = {rule: self._cloud.command("policy_default", name=rule) for rule in rules}
        self._cloud.set_policy({rule: f"({check}) or role:reader" for rule, check in defaults.items()})
        try:
            yield
        finally:
            self._cloud.set_policy(defaults)
