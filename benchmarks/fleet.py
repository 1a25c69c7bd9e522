"""A cloud in memory, of whatever size, whose Nova answers with rows of JSON: for benchmarks of what is done with them."""

from __future__ import annotations

import random
import uuid
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from exporter.domain.cloud import Answer, Deletion, Request
from exporter.domain.lifecycle import LIVE_STATUSES, MigrationType
from exporter.domain.server import Action, Progress, Server
from exporter.source.parsing import parse_all
from exporter.source.server_parsing import servers_of

Row = dict[str, Any]

BEGAN = datetime(2026, 1, 5, tzinfo=UTC).timestamp()
HOSTS = 200
URL = "https://nova.example.com/v2.1"

#: How a move goes, by type: the statuses that it passes; a live migration is written four times while it runs.
_MOVE = ("pre-migrating", "migrating", "post-migrating", "finished", "confirming", "confirmed")
PATHS: Mapping[str, tuple[str, ...]] = {
    MigrationType.RESIZE: _MOVE,
    MigrationType.MIGRATION: _MOVE,
    MigrationType.LIVE_MIGRATION: ("accepted", "queued", "preparing", *["running"] * 4, "completed"),
    MigrationType.EVACUATION: ("accepted", "pre-migrating", "done"),
}

#: Where live records rest, of a hundred: most moves wait to be confirmed or for their turn; a few hang wherever they may.
_RESTS: Mapping[str, Mapping[str, int]] = {
    MigrationType.RESIZE: {"finished": 30, "migrating": 7, "post-migrating": 1, "confirming": 1, "reverting": 1},
    MigrationType.MIGRATION: {"finished": 18, "migrating": 7, "post-migrating": 1},
    MigrationType.LIVE_MIGRATION: {"queued": 20, "preparing": 2, "running": 10, "running (post-copy)": 1, "fencing": 1},
}

#: So many records hang in each status that every look asks for whole, whatever the size of the cloud.
_HANGING = 10

#: What the server of a record shows in each status: its own status, vm_state and task_state.
_SHOWN: Mapping[str, tuple[str, str, str | None]] = {
    "migrating": ("RESIZE", "active", "resize_migrating"),
    "post-migrating": ("RESIZE", "active", "resize_migrated"),
    "finished": ("VERIFY_RESIZE", "resized", None),
    "confirming": ("VERIFY_RESIZE", "resized", None),
    "reverting": ("REVERT_RESIZE", "resized", "resize_reverting"),
}
_SHOWN_BY_TYPE: Mapping[str, tuple[str, str, str | None]] = {
    MigrationType.RESIZE: ("RESIZE", "active", "resize_prep"),
    MigrationType.MIGRATION: ("RESIZE", "active", "resize_prep"),
    MigrationType.LIVE_MIGRATION: ("MIGRATING", "active", "migrating"),
    MigrationType.EVACUATION: ("REBUILD", "error", "rebuilding"),
}


class Fleet:
    """The records and servers of a cloud: those that rest where they are, and `movers` of which some change between two polls.

    `seconds` is the time in the cloud and here. Everything is as chance has it, but the same in each run.
    """

    def __init__(self, live: int, movers: int) -> None:
        self.seconds = BEGAN
        self._chance = random.Random(live)  # so that each run sees the same
        self._number = 0
        self.rows: dict[str, Row] = {}
        self._by_status: dict[str, dict[str, Row]] = {}
        self._stamps: dict[str, float] = {}
        self._plans = _plans(live - movers)
        self._waiting: dict[str, Iterator[str]] = {}
        self._movers: deque[tuple[str, Iterator[str]]] = deque()
        self._coming = movers

    @property
    def live(self) -> int:
        """Return how many records have not ended."""
        return sum(len(self._by_status.get(status, ())) for status in (*LIVE_STATUSES, "fencing"))

    def end(self, number: int) -> None:
        """Let moves begin and end unseen, so that nothing is left of them but that they ended."""
        for _ in range(number):
            kind = self._kind()
            self._write(self._begin(kind, PATHS[kind][0]), PATHS[kind][-1])

    def forget(self) -> None:
        """Let go of what has ended, which nobody asks for again: what a poll leaves behind shall be the poller's alone."""
        for path in PATHS.values():
            for each in self._by_status.pop(path[-1], ()):
                del self.rows[each], self._stamps[each]

    def grow(self) -> bool:
        """Begin all moves, then let each go on by a status, up to where it rests; return whether any did."""
        if self._plans:
            for kind, statuses in self._plans:
                self._waiting[self._begin(kind, statuses[0])] = iter(statuses[1:])
            self._plans = []
            self._movers.extend(self._move() for _ in range(self._coming))
            return True
        went_on = [(each, status) for each, rest in self._waiting.items() if (status := next(rest, None)) is not None]
        for each, status in went_on:
            self._write(each, status)
        for _ in range(4 * len(self._movers)):
            self._movers.rotate(self._chance.randrange(len(self._movers)))  # they shall not march in step
            self._step()
        return bool(went_on)

    def change(self, number: int) -> None:
        """Change so many records: each goes on by a status, or is written again in it; behind one that ends another begins."""
        for _ in range(number):
            self._step()

    def _step(self) -> None:
        """Let the mover that waits longest go on; where it has ended, another begins."""
        each, rest = self._movers.popleft()
        status = next(rest, None)
        if status is None:
            self._movers.append(self._move())
            return
        self._write(each, status)
        self._movers.append((each, rest))

    def _move(self) -> tuple[str, Iterator[str]]:
        kind = self._kind()
        return self._begin(kind, PATHS[kind][0]), iter(PATHS[kind][1:])

    def _kind(self) -> str:
        return self._chance.choices(list(PATHS), weights=(40, 26, 32, 2))[0]

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def _begin(self, kind: str, status: str) -> str:
        self._number += 1
        row = _row(self._number, self._uuid(), self._uuid(), kind, status, self._stamp(), self._chance)
        self.rows[row["uuid"]] = row
        self._by_status.setdefault(status, {})[row["uuid"]] = row
        return str(row["uuid"])

    def _write(self, each: str, status: str) -> None:
        """Write a record as Nova does; the rows that were answered before stay as they were."""
        old = self.rows[each]
        del self._by_status[old["status"]][each]
        self.seconds += 1e-6
        row = {**old, "status": status, "updated_at": self._stamp()}
        self.rows[each] = row
        self._by_status.setdefault(status, {})[each] = row
        self._stamps.pop(each, None)
        self._stamps[each] = self.seconds

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")

    def in_status(self, status: str) -> Iterable[Row]:
        """Return the records in a status."""
        return self._by_status.get(status, {}).values()

    def changed_since(self, since: float) -> list[Row]:
        """Return the records written at or after a time, the newest first."""
        found: list[Row] = []
        for each, stamp in reversed(self._stamps.items()):
            if stamp < since:
                break
            found.append(self.rows[each])
        return found

    def servers(self) -> dict[str, list[Row]]:
        """Return the servers of all live records by status, as servers/detail shows them; one in fifty is in no move any more."""
        shown: dict[str, list[Row]] = {}
        for number, row in enumerate(row for status in LIVE_STATUSES for row in self.in_status(status)):
            server = (
                _server(row) if number % 50 else {**_server(row), "status": "ACTIVE", "OS-EXT-STS:task_state": None}
            )
            shown.setdefault(server["status"], []).append(server)
        return shown


class FleetCloud:
    """A fleet as the poller asks for it; what it has is read from rows of JSON, each time anew.

    `answered` are the rows of the last poll's answers.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.answered: list[Row] = []
        self.shown: Mapping[str, Sequence[Row]] = {}

    def open(self, deadline: float) -> str:  # noqa: ARG002  # here and below: the protocol's
        return "2.80"

    def newest(self, deadline: float) -> Answer:  # noqa: ARG002
        return self._answer(list(self._fleet.rows.values())[-1:])

    def with_status(self, status: str, deadline: float) -> Answer:  # noqa: ARG002
        return self._answer(self._fleet.in_status(status))

    def changed_since(self, since: float, deadline: float) -> Answer:  # noqa: ARG002
        return self._answer(self._fleet.changed_since(since))

    def of_server(self, server_id: str, deadline: float) -> Answer:  # noqa: ARG002
        return self._answer([row for row in self._fleet.rows.values() if row["instance_uuid"] == server_id])

    def deletion_of(self, server_id: str, deadline: float) -> Deletion | None:  # noqa: ARG002
        return None

    def shows_servers_by_id(self) -> bool:
        return True

    def servers_with_status(self, status: str, deadline: float) -> Sequence[Server]:  # noqa: ARG002
        return servers_of(self.shown.get(status, ()))

    def server(self, server_id: str, deadline: float) -> Server | None:  # noqa: ARG002
        found = servers_of(each for each in self.shown.get("ACTIVE", ()) if each["id"] == server_id)
        return found[0] if found else None

    def hosts_up(self, hosts: Collection[str], deadline: float) -> Mapping[str, bool]:  # noqa: ARG002
        return {host: host != "compute-7" for host in hosts}

    def actions(self, server_id: str, since: float, deadline: float) -> Sequence[Action] | None:  # noqa: ARG002
        return None

    def steps(self, server_id: str, request_id: str, deadline: float) -> Action | None:  # noqa: ARG002
        return None

    def progress(self, server_id: str, deadline: float) -> Mapping[str, Progress] | None:  # noqa: ARG002
        return {}

    def requests(self) -> Sequence[Request]:
        return ()

    def close(self) -> None:
        pass

    def _answer(self, rows: Iterable[Row]) -> Answer:
        found, rejected = parse_all(rows)
        self.answered += rows
        return Answer(found, rejected, self._fleet.seconds)


def _plans(number: int) -> list[tuple[str, Sequence[str]]]:
    """Return where so many records begin and what they pass, in shares as they rest."""
    hanging = [(kind, PATHS[kind][:1]) for kind in (MigrationType.RESIZE, MigrationType.EVACUATION)] * _HANGING
    rests = [
        (kind, status) for kind, weights in _RESTS.items() for status, weight in weights.items() for _ in range(weight)
    ]
    chosen = [rests[at * len(rests) // (number - len(hanging))] for at in range(number - len(hanging))]
    return hanging + [(kind, _way_to(kind, status)) for kind, status in chosen]


def _way_to(kind: str, status: str) -> Sequence[str]:
    path = list(dict.fromkeys(PATHS[kind]))[:-1]
    if status == "reverting":
        return (*path[: path.index("confirming")], status)
    if status not in path:  # behind all others, or of a name that nobody knows
        return (*path, status)
    return path[: path.index(status) + 1]


def _row(number: int, uuid: str, server: str, kind: str, status: str, at: str, chance: random.Random) -> Row:
    """Return a record as Nova shows it at microversion 2.80 (nova/api/openstack/compute/migrations.py, `_output`)."""
    source, dest = chance.sample(range(HOSTS), 2)
    path = f"servers/{server}/migrations/{number}"
    return {
        "id": number,
        "uuid": uuid,
        "instance_uuid": server,
        "status": status,
        "migration_type": kind,
        "created_at": at,
        "updated_at": None,
        "source_compute": f"compute-{source}",
        "source_node": f"compute-{source}.example.com",
        "dest_compute": f"compute-{dest}",
        "dest_node": f"compute-{dest}.example.com",
        "dest_host": f"192.0.2.{dest}",
        "old_instance_type_id": 3,
        "new_instance_type_id": 4 if kind == MigrationType.RESIZE else 3,
        "user_id": "78c7ea8a1be64d4fb4b2a14a1b0c15d6",
        "project_id": "2f4a1c9d5cfb4f0b8fd3f1ed9a1a5b3e",
        "links": [{"rel": "self", "href": f"{URL}/{path}"}, {"rel": "bookmark", "href": f"{URL}/{path}"}],
    }


def _server(row: Row) -> Row:
    status, vm_state, task_state = _SHOWN.get(row["status"], _SHOWN_BY_TYPE[row["migration_type"]])
    return {
        "id": row["instance_uuid"],
        "name": f"server-{row['id']}",
        "status": status,
        "tenant_id": row["project_id"],
        "OS-EXT-STS:vm_state": vm_state,
        "OS-EXT-STS:task_state": task_state,
        "OS-EXT-STS:power_state": 1,
        "OS-EXT-SRV-ATTR:host": row["source_compute"],
        "created": "2026-01-01T00:00:00Z",
    }
