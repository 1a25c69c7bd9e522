"""The beats of the story: one write each to the simulated Nova, and the script of one move."""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from exporter.demo.nova import Nova


class Verb(Enum):
    """What a beat does."""

    BOOT = "boot"
    BEGIN = "begin"
    WRITE = "write"
    HEARTBEAT = "heartbeat"
    SERVER = "server"
    DELETE = "delete"
    PURGE = "purge"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Beat:
    """One write at a time, in epoch seconds, to a migration, a server or a host."""

    at: float
    verb: Verb
    target: str
    columns: Mapping[str, Any] = field(default_factory=dict)


def play(nova: Nova, beat: Beat) -> None:
    """Let a beat happen now, by Nova's clock."""
    target, columns = beat.target, beat.columns
    match beat.verb:
        case Verb.BOOT:
            nova.boot(id=target, **columns)
        case Verb.BEGIN:
            nova.insert(uuid=target, **columns)
        case Verb.WRITE:
            nova.advance(target, **columns)
        case Verb.HEARTBEAT:
            nova.touch(target)
        case Verb.SERVER:
            nova.change_server(target, **columns)
        case Verb.DELETE:
            nova.delete_server(target)
        case Verb.PURGE:
            nova.purge_server(target)
        case Verb.SERVICE:
            nova.set_service(target, **columns)


class Script:
    """Write down the beats of one move of one server, in order, with pauses drawn from a seed."""

    def __init__(self, number: int, at: float, chance: random.Random, source: str, dest: str) -> None:
        self.at = at
        self.beats: list[Beat] = []
        self.source = source
        self.dest = dest
        self._chance = chance
        self._server_id = _uuid(chance)
        self._migration_id = _uuid(chance)
        self._beat(
            Verb.BOOT,
            self._server_id,
            name=f"vm-{number:05}",
            host=source,
            created_at=at - 86400,
            launched_at=at - 86000,
        )

    def _beat(self, verb: Verb, target: str, **columns: Any) -> None:
        self.beats.append(Beat(self.at, verb, target, columns))

    def wait(self, least: float, most: float) -> None:
        """Let some seconds pass, between the least and the most."""
        self.at += self._chance.uniform(least, most)

    def wait_until(self, at: float) -> None:
        """Let time pass until a moment, if it is still to come."""
        self.at = max(self.at, at)

    def begin(self, migration_type: str, status: str, **columns: Any) -> None:
        """Create the migration's row."""
        self._beat(
            Verb.BEGIN, self._migration_id, instance_uuid=self._server_id, migration_type=migration_type,
            status=status, source_compute=self.source, source_node=self.source, **columns,
        )  # fmt: skip

    def claim(self, **columns: Any) -> None:
        """Write the destination into the row, its status unchanged."""
        self._beat(Verb.WRITE, self._migration_id, dest_compute=self.dest, dest_node=self.dest, **columns)

    def write(self, status: str) -> None:
        """Write a status into the row."""
        self._beat(Verb.WRITE, self._migration_id, status=status)

    def run(self, seconds: float, every: float = 2.0) -> None:
        """Let a running live migration report progress for some seconds."""
        end = self.at + seconds
        while self.at + every < end:
            self.at += every
            self._beat(Verb.HEARTBEAT, self._migration_id)
        self.at = max(self.at, end)

    def server(self, **changes: Any) -> None:
        """Write columns of the server."""
        self._beat(Verb.SERVER, self._server_id, **changes)

    def settle(self, host: str) -> None:
        """Let the server be active on a host, with nothing under way."""
        self.server(vm_state="active", task_state=None, host=host)

    def delete(self) -> None:
        """Delete the server, and so the migration."""
        self._beat(Verb.DELETE, self._server_id)

    def purge(self, after: float) -> None:
        """Forget server and migration some seconds later."""
        self.at += after
        self._beat(Verb.PURGE, self._server_id)

    def draw(self, least: float, most: float) -> float:
        """Draw a number of seconds."""
        return self._chance.uniform(least, most)


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
