"""A server, its host, and what Nova did to it: what explains a migration record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The statuses of a server that Nova moves, or that waits for the confirmation of a move
#: (nova/api/openstack/common.py, `_STATE_MAP`). A REBUILD may also be one in place.
MOVING_STATUSES = ("RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE", "MIGRATING", "REBUILD")


@dataclass(frozen=True, slots=True)
class Server:
    """A server as Nova showed it at one moment; what is None Nova did not show.

    `status` is the API's word (`UNKNOWN` for a server in a cell that is down), `power_state` the name of Nova's number.
    """

    id: str
    status: str
    name: str | None = None
    project_id: str | None = None
    vm_state: str | None = None
    task_state: str | None = None
    power_state: str | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One event of an instance action; times are seconds since the epoch, in the clock of the service that did it.

    `ok` is its result, None where Nova wrote none: not finished, or one of several of the same name
    (nova/db/main/api.py, `action_event_finish` finishes the first of a name).
    """

    name: str
    start: float
    finish: float | None = None
    ok: bool | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """An instance action: what somebody asked of a server, and the steps in which Nova did it, in the order of their start."""

    name: str
    request_id: str
    start: float
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running live migration has moved, in bytes; None where the driver counts nothing."""

    memory_total: int | None = None
    memory_processed: int | None = None
    memory_remaining: int | None = None
    disk_total: int | None = None
    disk_processed: int | None = None
    disk_remaining: int | None = None

    @property
    def total(self) -> int | None:
        """Return the bytes of memory and disk that are to be moved; None where that is not known."""
        return None if self.memory_total is None else self.memory_total + (self.disk_total or 0)

    @property
    def remaining(self) -> int | None:
        """Return the bytes of memory and disk that are left; None where that is not known."""
        return None if self.memory_remaining is None else self.memory_remaining + (self.disk_remaining or 0)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a sweep saw of servers and hosts.

    `moving` are all servers in a moving status, by id; `others` are those servers of live records that were looked up one by
    one. `evacuating` are the ids of those in REBUILD that an evacuation put there. `hosts_up` tells of the nova-compute
    service of each host that was asked for. A server or host that is in none was not seen, and nothing follows from that.
    """

    moving: Mapping[str, Server] = field(default_factory=dict)
    others: Mapping[str, Server] = field(default_factory=dict)
    evacuating: frozenset[str] = frozenset()
    hosts_up: Mapping[str, bool] = field(default_factory=dict)

    def server(self, server_id: str) -> Server | None:
        """Return a server that was seen."""
        return self.moving.get(server_id) or self.others.get(server_id)
