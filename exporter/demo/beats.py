"""The beats of the story: one write each to the simulated Nova, and the script of one move."""

import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from exporter.demo.nova import Nova

CONDUCTOR = "controller-1"

_AGE = 86400.0  # seconds since a server was made when the story comes to it
_SIZES = ((2048, 20), (4096, 40), (8192, 80), (16384, 160))  # MiB of memory, GiB of disk
_FIRST_REPORT, _REPORT_EVERY = 0.3, 2.0  # seconds; with libvirt at once, then every 5


class Verb(Enum):
    """What a beat does."""

    BOOT = "boot"
    BEGIN = "begin"
    WRITE = "write"
    HEARTBEAT = "heartbeat"
    ACT = "act"
    START = "start"
    FINISH = "finish"
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


_PLAYS: Mapping[Verb, Callable[..., object]] = {
    Verb.BOOT: lambda nova, target, **columns: nova.boot(id=target, **columns),
    Verb.BEGIN: lambda nova, target, **columns: nova.insert(uuid=target, **columns),
    Verb.WRITE: Nova.advance,
    Verb.HEARTBEAT: Nova.advance,
    Verb.ACT: lambda nova, target, **columns: nova.actions.start(target, **columns),
    Verb.START: lambda nova, target, **columns: nova.actions.start_event(target, **columns),
    Verb.FINISH: lambda nova, target, **columns: nova.actions.finish_event(target, **columns),
    Verb.SERVER: Nova.change_server,
    Verb.DELETE: Nova.delete_server,
    Verb.PURGE: Nova.purge_server,
    Verb.SERVICE: Nova.set_service,
}


def play(nova: Nova, beat: Beat) -> None:
    """Let a beat happen now, by Nova's clock."""
    _PLAYS[beat.verb](nova, beat.target, **beat.columns)


class Script:
    """Write down the beats of one move of one server, in order, with pauses drawn from a seed."""

    def __init__(self, number: int, at: float, chance: random.Random, source: str, dest: str) -> None:
        self.at = at
        self.beats: list[Beat] = []
        self.source = source
        self.dest = dest
        self._chance = chance
        self.server_id = _uuid(chance)
        self.migration_id = _uuid(chance)
        self._asked_at: dict[str, float] = {}
        ram, disk = chance.choice(_SIZES)
        self._memory, self._disk = ram << 20, (disk << 30) * chance.choice((0, 0, 1))  # mostly on shared storage
        self._beat(
            Verb.BOOT, self.server_id, name=f"vm-{number:05}", host=source, ram=ram, disk=disk,
            created_at=at - _AGE, launched_at=at - _AGE + 20,
        )  # fmt: skip
        self._create(at - _AGE)

    def _create(self, at: float) -> None:
        """Write how the server was made, long ago; times are epoch seconds."""
        made = {"request_id": self._request(), "event": "compute__do_build_and_run_instance"}
        self._beat(Verb.ACT, self.server_id, action="create", request_id=made["request_id"], at=at)
        self._beat(Verb.START, self.server_id, host=self.source, at=at + 2, **made)
        self._beat(Verb.FINISH, self.server_id, at=at + 20, **made)

    def _request(self) -> str:
        return f"req-{_uuid(self._chance)}"

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
            Verb.BEGIN, self.migration_id, instance_uuid=self.server_id, migration_type=migration_type,
            status=status, source_compute=self.source, source_node=self.source, **columns,
        )  # fmt: skip

    def claim(self, **columns: Any) -> None:
        """Write the destination into the row, its status unchanged."""
        self._beat(Verb.WRITE, self.migration_id, dest_compute=self.dest, dest_node=self.dest, **columns)

    def write(self, status: str) -> None:
        """Write a status into the row."""
        self._beat(Verb.WRITE, self.migration_id, status=status)

    def act(self, action: str, *, request: str | None = None) -> str:
        """Let somebody ask something of the server, and return the request id; one request may do two things.

        An action begins with its request, a moment before Nova does anything.
        """
        request_id = request or self._request()
        asked_at = self._asked_at.setdefault(request_id, self.at - self.draw(0.05, 0.1))
        self._beat(Verb.ACT, self.server_id, action=action, request_id=request_id, at=asked_at)
        return request_id

    def start(self, request: str, event: str, host: str = CONDUCTOR) -> None:
        """Begin a step of an action on a host."""
        self._beat(Verb.START, self.server_id, request_id=request, event=event, host=host)

    def finish(self, request: str, event: str, error: str | None = None) -> None:
        """End a step of an action, with an error or well."""
        self._beat(Verb.FINISH, self.server_id, request_id=request, event=event, error=error)

    @contextmanager
    def step(self, request: str, event: str, host: str = CONDUCTOR) -> Iterator[None]:
        """Do something as a step of an action that ends well."""
        self.start(request, event, host)
        yield
        self.finish(request, event)

    def run(self, seconds: float, whole: float) -> None:
        """Let a running live migration move data for some seconds of the `whole` that it takes, and report that."""
        begin, end = self.at, self.at + seconds
        self.at += _FIRST_REPORT
        while self.at < end:
            self._report((self.at - begin) / whole)
            self.at += _REPORT_EVERY
        self.at = end

    def _report(self, share: float) -> None:
        """Write how many bytes were moved; the guest goes on writing, so that more memory is moved than there is."""
        self._beat(
            Verb.HEARTBEAT, self.migration_id,
            memory_total=self._memory, memory_processed=int(self._memory * share * 1.2),
            memory_remaining=int(self._memory * (1 - share)),
            disk_total=self._disk, disk_processed=int(self._disk * share), disk_remaining=int(self._disk * (1 - share)),
        )  # fmt: skip

    def server(self, **changes: Any) -> None:
        """Write columns of the server."""
        self._beat(Verb.SERVER, self.server_id, **changes)

    def settle(self, host: str) -> None:
        """Let the server be active on a host, with nothing under way."""
        self.server(vm_state="active", task_state=None, host=host)

    def delete(self) -> None:
        """Delete the server, and so the migration."""
        self._beat(Verb.DELETE, self.server_id)

    def purge(self, after: float) -> None:
        """Forget server and migration some seconds later."""
        self.at += after
        self._beat(Verb.PURGE, self.server_id)

    def draw(self, least: float, most: float) -> float:
        """Draw a number of seconds."""
        return self._chance.uniform(least, most)


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
