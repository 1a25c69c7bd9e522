"""The simulated cloud as a cloud under test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from exporter.demo import SimulatedCloud
from exporter.demo.keystone import ADMIN_ACCOUNT, READER_ACCOUNT, Account
from exporter.demo.policy import allowing
from tests.contract.clouds import Login


def _login(account: Account) -> Login:
    return Login(account.username, account.password, account.project_name)


class SimulatedUnderTest:
    """Seed the simulated cloud through its model."""

    name = "simulated"

    def __init__(self) -> None:
        self._cloud = SimulatedCloud()
        self.region = self._cloud.keystone.region
        self.admin = _login(ADMIN_ACCOUNT)
        self.reader = _login(READER_ACCOUNT)

    def __enter__(self) -> Self:
        self._cloud.start()
        self.auth_url = self._cloud.auth_url
        return self

    def __exit__(self, *_: object) -> None:
        self._cloud.stop()

    def insert(self, **columns: Any) -> None:
        self._cloud.nova.insert(**columns)

    def boot(self, name: str) -> str:
        self._cloud.nova.set_service("host1")
        return self._cloud.nova.boot(name=name, host="host1").id

    def delete(self, server_id: str) -> None:
        self._cloud.nova.delete_server(server_id)

    @contextmanager
    def max_limit(self, maximum: int) -> Iterator[None]:
        former = self._cloud.settings.max_limit
        self._cloud.change(max_limit=maximum)
        try:
            yield
        finally:
            self._cloud.change(max_limit=former)

    def insert_stale_twin(self, **columns: Any) -> None:
        self._cloud.nova.insert(**columns)

    def remove(self, migration: str) -> None:
        self._cloud.nova.remove(migration)

    @contextmanager
    def readers_may(self, *rules: str) -> Iterator[None]:
        former = self._cloud.settings.policy
        self._cloud.change(policy=allowing("reader", *rules))
        try:
            yield
        finally:
            self._cloud.change(policy=former)
