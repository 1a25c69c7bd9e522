"""The simulated Nova: its database, what its computes write to it, and what is seen of it."""

import math
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from exporter.demo.actions import Actions
from exporter.demo.records import LINKED_STATUSES, LIVE_MIGRATION, MigrationRow, ServerRow, ServiceRow
from exporter.demo.stamps import Precision
from exporter.demo.table import MigrationTable, Selection


class MarkerNotFoundError(LookupError):
    """A page was asked for after a record that is not there."""


class Nova:
    """Hold migrations, servers and services, and change them as Nova does; safe to use from several threads.

    What was done with the servers is in `actions`.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.time, precision: Precision = Precision.MICROSECONDS
    ) -> None:
        self.clock = clock
        self.precision = precision
        self.actions = Actions(clock=clock, precision=precision)
        self._lock = threading.RLock()
        self._turn = threading.RLock()
        self._ids = count(1)
        self._migrations = MigrationTable()
        self._by_uuid: dict[str, MigrationRow] = {}
        self._stale_twins: dict[str, MigrationRow] = {}
        self._soft_deleted: dict[str, MigrationRow] = {}
        self._servers: dict[str, ServerRow] = {}
        self._services: dict[str, ServiceRow] = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the story still; requests are answered all the while."""
        with self._turn:
            yield

    turn = held  # The story takes its turns under the same lock.

    # Migrations

    def insert(self, **columns: Any) -> MigrationRow:
        """Insert a migration with any column values; a uuid already there makes a cross-cell twin, the new one on top.

        Missing are filled: id, uuid, instance_uuid, migration_type, status (accepted), created_at (now).
        """
        row = self._row(columns)
        with self._lock:
            former = self._by_uuid.get(row.uuid)
            if former is not None:
                self._stale_twins[row.uuid] = former
            self._by_uuid[row.uuid] = row
            self._migrations.add(row)
        return row

    def insert_many(self, rows: Iterable[dict[str, Any]]) -> None:
        """Insert many migrations, given as for `insert`, none of them a twin."""
        made = [self._row(columns) for columns in rows]
        with self._lock:
            self._by_uuid.update((row.uuid, row) for row in made)
            self._migrations.extend(made)

    def _row(self, columns: dict[str, Any]) -> MigrationRow:
        filled: dict[str, Any] = {"migration_type": "migration", "status": "accepted", **columns}
        filled["created_at"] = self.precision.keep(columns.get("created_at") or self.clock())
        if columns.get("updated_at") is not None:
            filled["updated_at"] = self.precision.keep(columns["updated_at"])
        for name in ("uuid", "instance_uuid"):
            if name not in columns:
                filled[name] = str(uuid.uuid4())
        if "id" not in columns:
            filled["id"] = next(self._ids)
        return MigrationRow(**filled)

    def advance(
        self, migration: str, status: str | None = None, *, at: float | None = None, **changes: Any
    ) -> MigrationRow | None:
        """Write a status and other columns to a migration; stamps updated_at unless nothing differs.

        A row that was soft-deleted with its server takes the write unseen, and None comes back.
        """
        if status is not None:
            changes["status"] = status
        stamp = self.precision.keep(self.clock() if at is None else at)
        with self._lock:
            if migration in self._soft_deleted:
                self._soft_deleted[migration] = replace(self._soft_deleted[migration], updated_at=stamp, **changes)
                return None
            former = self._by_uuid[migration]
            row = replace(former, **changes)
            if row != former:  # SQLAlchemy emits no UPDATE for equal values
                row = self._swap(former, replace(row, updated_at=stamp))
            return row

    def _swap(self, former: MigrationRow, row: MigrationRow) -> MigrationRow:
        self._migrations.remove(former)
        self._migrations.add(row)
        self._by_uuid[row.uuid] = row
        return row

    def remove(self, migration: str) -> None:
        """Take a migration, its twin too, out of the database for good."""
        with self._lock:
            for rows in (self._by_uuid, self._stale_twins):
                row = rows.pop(migration, None)
                if row is not None:
                    self._migrations.remove(row)
            self._soft_deleted.pop(migration, None)

    def migration(self, migration: str) -> MigrationRow | None:
        """Give a visible migration."""
        with self._lock:
            return self._by_uuid.get(migration)

    def migrations(self) -> list[MigrationRow]:
        """Give all visible migrations by creation."""
        with self._lock:
            return list(self._migrations)

    def in_progress(self, server_id: str) -> list[MigrationRow]:
        """Give the live migrations of a server that Nova shows there (migration_get_in_progress_by_instance)."""
        with self._lock:
            rows = self._migrations.of_server(server_id)
        return [row for row in rows if row.migration_type == LIVE_MIGRATION and row.status in LINKED_STATUSES]

    def count(self) -> int:
        """Count all visible migrations."""
        return len(self._migrations)

    def page(self, selection: Selection, *, limit: int, marker: str | None) -> list[MigrationRow]:
        """Answer one page as Nova 2.59 and later: newest first, twins reduced to one after the limit was applied."""
        with self._lock:
            after = None
            if marker is not None:
                # nova/db/main/api.py migration_get_by_uuid reads deleted rows: a marker outlives its server.
                found = self._by_uuid.get(marker) or self._soft_deleted.get(marker)
                if found is None:
                    raise MarkerNotFoundError(marker)
                after = found.place
            return _without_twins(self._migrations.page(selection, limit=limit, after=after))

    def unsorted(self, selection: Selection) -> list[MigrationRow]:
        """Answer all rows as Nova before 2.59: no order is promised there, here it is by id."""
        with self._lock:
            rows = self._migrations.page(selection, limit=len(self._migrations), after=None)
        return sorted(rows, key=lambda row: row.id)

    # Servers

    def boot(self, **columns: Any) -> ServerRow:
        """Add a server with any column values; missing are filled: id, name, created_at, updated_at, launched_at."""
        now = self.precision.keep(self.clock())
        identity = columns.get("id") or str(uuid.uuid4())
        filled: dict[str, Any] = {
            "id": identity, "name": f"server-{identity[:8]}", "created_at": now, "updated_at": now, "launched_at": now
        }  # fmt: skip
        server = ServerRow(**{**filled, **columns})
        with self._lock:
            self._servers[server.id] = server
        return server

    def change_server(self, server_id: str, *, at: float | None = None, **changes: Any) -> None:
        """Write columns of a server, such as task_state; a server that is deleted or unknown stays as it is."""
        stamp = self.precision.keep(self.clock() if at is None else at)
        with self._lock:
            server = self._servers.get(server_id)
            if server is not None and not server.deleted:
                self._servers[server_id] = replace(server, **{"updated_at": stamp, **changes})

    def delete_server(self, server_id: str, *, at: float | None = None) -> None:
        """Delete a server: its migrations vanish at once, in whatever status (nova/db/main/api.py instance_destroy)."""
        stamp = self.precision.keep(self.clock() if at is None else at)
        with self._lock:
            for row in self._migrations.of_server(server_id):
                self._migrations.remove(row)
                self._by_uuid.pop(row.uuid, None)
                self._stale_twins.pop(row.uuid, None)
                self._soft_deleted[row.uuid] = row
            self.change_server(
                server_id, at=stamp, deleted=True, vm_state="deleted", task_state=None, power_state=0,
                terminated_at=stamp,
            )  # fmt: skip

    def purge_server(self, server_id: str) -> None:
        """Forget a server, its migrations and actions, as an archived and purged database does."""
        with self._lock:
            rows = [*self._migrations.of_server(server_id), *self._soft_deleted.values()]
            for row in rows:
                if row.instance_uuid == server_id:
                    self.remove(row.uuid)
            self._servers.pop(server_id, None)
        self.actions.forget(server_id)

    def server(self, server_id: str) -> ServerRow | None:
        """Give a server, a deleted one too."""
        return self._servers.get(server_id)

    def servers(self) -> list[ServerRow]:
        """Give all servers, deleted ones too, the newest first, those of one second by their ids.

        A server is sent from service to service before it is written, and its time of creation loses its fraction on
        the way, whatever the database keeps. Ties are broken in nova/compute/instance_list.py.
        """
        with self._lock:
            return sorted(self._servers.values(), key=lambda server: (-math.floor(server.created_at), server.id))

    # Services

    def set_service(self, host: str, *, at: float | None = None, **changes: Any) -> None:
        """Add the nova-compute service of a host, or write its columns, such as up or forced_down."""
        stamp = self.precision.keep(self.clock() if at is None else at)
        with self._lock:
            service = self._services.get(host) or ServiceRow(id=str(uuid.uuid4()), host=host, updated_at=stamp)
            self._services[host] = replace(service, **{"updated_at": stamp, **changes})

    def services(self) -> list[ServiceRow]:
        """Give all services in the order they were added."""
        with self._lock:
            now = self.precision.keep(self.clock())
            # A service that is up reports every few seconds; one that is down last did so when it was set.
            return [replace(row, updated_at=now) if row.up else row for row in self._services.values()]


def _without_twins(rows: list[MigrationRow]) -> list[MigrationRow]:
    """Reduce the two rows of a cross-cell resize to the newer (nova/compute/api.py get_migrations_sorted)."""
    kept: dict[str, MigrationRow] = {}
    for row in rows:
        former = kept.get(row.uuid)
        kept[row.uuid] = row if former is None or _age(row) >= _age(former) else former
    return list(kept.values())


def _age(row: MigrationRow) -> float:
    return row.created_at if row.updated_at is None else row.updated_at
