"""The simulated cloud as a cloud under test."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from exporter.demo import SimulatedCloud
from exporter.demo.beats import Script, play
from exporter.demo.endings import Ending
from exporter.demo.keystone import ADMIN_ACCOUNT, READER_ACCOUNT, Account
from exporter.demo.policy import allowing
from exporter.demo.scripts import cold, evacuate, live
from tests.contract.clouds import Login
from tests.contract.moves import Move, Moved

INSIDER = Account(username="insider", password="secret", roles=frozenset({"reader"}), user_id="1" * 32)
MANAGER = Account(
    username="manager", password="secret", roles=frozenset({"manager", "member", "reader"}), user_id="2" * 32
)
AGO = 200.0  # seconds; more than any of the scripts below takes

SCRIPTS: Mapping[Move, Callable[[Script], object]] = {
    Move.CONFIRMED: lambda script: cold(script, "migration", Ending.CONFIRMED),
    Move.FINISHING: lambda script: cold(script, "migration", Ending.STUCK_FINISHING),
    Move.FINISHED: lambda script: cold(script, "migration", Ending.UNCONFIRMED),
    Move.STRANDED: lambda script: cold(script, "resize", Ending.STRANDED_REVERTING),
    Move.REVERTED: lambda script: cold(script, "resize", Ending.REVERTED),
    Move.RESCHEDULED: lambda script: cold(script, "migration", Ending.RESCHEDULED),
    Move.NO_VALID_HOST: lambda script: cold(script, "migration", Ending.NO_VALID_HOST),
    Move.DISK_ERROR: lambda script: cold(script, "migration", Ending.DISK_ERROR),
    Move.DELETED: lambda script: cold(script, "migration", Ending.DELETED_FINISHED),
    Move.COMPLETED: lambda script: live(script, Ending.COMPLETED, script.at, 0),
    Move.RUNNING: lambda script: live(script, Ending.STUCK_RUNNING, script.at, script.at + 30),
    Move.CANCELLED: lambda script: live(script, Ending.CANCELLED, script.at, 0),
    Move.PRE_FAILED: lambda script: live(script, Ending.PRE_FAILED, script.at, 0),
    Move.REBUILDING: lambda script: evacuate(script, Ending.STUCK_REBUILDING, lambda at: at),
    Move.EVACUATED: lambda script: evacuate(script, Ending.COMPLETED, lambda at: at + 1),
}


def _login(account: Account) -> Login:
    return Login(account.username, account.password, account.project_name)


class SimulatedUnderTest:
    """Seed the simulated cloud through its model."""

    name = "simulated"

    def __init__(self) -> None:
        self._at: float | None = None
        self._chance = random.Random(1)
        accounts = (ADMIN_ACCOUNT, READER_ACCOUNT, INSIDER, MANAGER)
        self._cloud = SimulatedCloud(clock=lambda: self._at or time.time(), accounts=accounts)
        self.region = self._cloud.keystone.region
        self.admin = _login(ADMIN_ACCOUNT)
        self.reader = _login(READER_ACCOUNT)
        self.insider = _login(INSIDER)
        self.manager = _login(MANAGER)

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
    def moved(self, move: Move) -> Iterator[Moved]:
        # As the story tells it, some minutes ago.
        script = Script(1, time.time() - AGO, self._chance, "host1", "host2")
        SCRIPTS[move](script)
        for beat in script.beats:
            self._at = beat.at
            play(self._cloud.nova, beat)
        self._at = None
        dest = None if move is Move.NO_VALID_HOST else script.dest
        try:
            yield Moved(script.server_id, script.migration_id, script.source, dest)
        finally:
            self.delete(script.server_id)

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
