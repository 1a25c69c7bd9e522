"""Read and write the migration records where they live: SQL below Nova, with triggers that keep every status change."""

from __future__ import annotations

import time
import uuid as uuids
from datetime import UTC, datetime
from typing import Any

import eventlet

EPOCH = "(julianday('now') - 2440587.5) * 86400.0"
CHUNK = 10_000  # rows between two breaths of the green threads
RECORD = (
    "id, uuid, instance_uuid, migration_type, status, source_compute, dest_compute, created_at, updated_at, deleted, hidden, "
    "cross_cell_move, user_id, project_id, old_instance_type_id, new_instance_type_id, memory_total, memory_processed, "
    "memory_remaining"
)
STAMPED = {
    "migrations": ("created_at", "updated_at", "deleted_at"),
    "instances": ("created_at", "updated_at", "launched_at", "terminated_at"),
    "instance_actions": ("created_at", "updated_at", "start_time", "finish_time"),
    "instance_actions_events": ("created_at", "updated_at", "start_time", "finish_time"),
    "services": ("created_at", "updated_at", "last_seen_up"),
}
INSERT_TRIGGER = f"""
CREATE TRIGGER IF NOT EXISTS realcloud_insert AFTER INSERT ON migrations BEGIN
  INSERT INTO realcloud_truth(uuid, type, status, event, at)
  VALUES (NEW.uuid, NEW.migration_type, NEW.status, 'created', {EPOCH}); END"""
TRIGGERS = (
    """CREATE TABLE IF NOT EXISTS realcloud_truth
       (seq INTEGER PRIMARY KEY AUTOINCREMENT, uuid TEXT, type TEXT, status TEXT, event TEXT, at REAL)""",
    "CREATE INDEX IF NOT EXISTS realcloud_uuid ON realcloud_truth(uuid)",
    INSERT_TRIGGER,
    f"""CREATE TRIGGER IF NOT EXISTS realcloud_status AFTER UPDATE OF status ON migrations
        WHEN OLD.status IS NOT NEW.status BEGIN
          INSERT INTO realcloud_truth(uuid, type, status, event, at)
          VALUES (NEW.uuid, NEW.migration_type, NEW.status, 'status', {EPOCH}); END""",
    f"""CREATE TRIGGER IF NOT EXISTS realcloud_deleted AFTER UPDATE OF deleted ON migrations
        WHEN OLD.deleted IS NOT NEW.deleted BEGIN
          INSERT INTO realcloud_truth(uuid, type, status, event, at)
          VALUES (NEW.uuid, NEW.migration_type, NEW.status, 'deleted', {EPOCH}); END""",
    f"""CREATE TRIGGER IF NOT EXISTS realcloud_purged AFTER DELETE ON migrations BEGIN
          INSERT INTO realcloud_truth(uuid, type, status, event, at)
          VALUES (OLD.uuid, OLD.migration_type, OLD.status, 'purged', {EPOCH}); END""",
)
RANDOM_UUID = (
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a' || "
    "substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
)


def sql_time(stamp: float | str | None) -> str | None:
    """Return a time (epoch seconds, or any text as it is) the way SQLAlchemy stores one in SQLite."""
    if stamp is None or isinstance(stamp, str):
        return stamp
    return datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


class Truth:
    """The migration records of all cells."""

    def __init__(self, connections: dict[str, Any]) -> None:
        """Watch every cell's database."""
        self.connections = connections
        for connection in connections.values():
            connection.create_function("UTC_TIMESTAMP", 0, lambda: time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()))
        self.watch()

    def records(
        self, uuid: str | None = None, server: str | None = None, cell: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the records, deleted ones included, in the order of their creation."""
        rows = []
        for name, connection in self._cells(cell):
            cursor = connection.execute(
                f"SELECT {RECORD} FROM migrations WHERE (?1 IS NULL OR uuid = ?1) AND (?2 IS NULL OR instance_uuid = ?2) "
                "ORDER BY id",
                (uuid, server),
            )
            columns = [column[0] for column in cursor.description]
            rows += [dict(zip(columns, row, strict=True), cell=name) for row in cursor]
        return rows

    def newest(self, uuid: str | None = None, server: str | None = None) -> dict[str, Any] | None:
        """Return the newest record; of the two that a move between cells leaves, the one written last."""
        rows = self.records(uuid, server)
        return max(rows, key=lambda row: (row["created_at"] or "", row["updated_at"] or "", row["id"]), default=None)

    def history(self, uuid: str | None = None) -> list[dict[str, Any]]:
        """Return every change of every record, or of one, oldest first."""
        rows = []
        for name, connection in self._cells(None):
            cursor = connection.execute(
                "SELECT seq, uuid, type, status, event, at FROM realcloud_truth WHERE ?1 IS NULL OR uuid = ?1", (uuid,)
            )
            columns = [column[0] for column in cursor.description]
            rows += [dict(zip(columns, row, strict=True), cell=name) for row in cursor]
        return sorted(rows, key=lambda row: (row["at"], row["seq"]))

    def changes(self) -> int:
        """Return how many changes there were, ever."""
        return sum(
            connection.execute("SELECT COALESCE(MAX(seq), 0) FROM realcloud_truth").fetchone()[0]
            for _, connection in self._cells(None)
        )

    def forget(self) -> None:
        """Forget the history."""
        for _, connection in self._cells(None):
            connection.execute("DELETE FROM realcloud_truth")
            connection.commit()

    def insert(self, cell: str = "cell1", **columns: Any) -> dict[str, Any]:
        """Insert one record with any values; what is not given is a plain cold migration just created."""
        row = {
            "uuid": str(uuids.uuid4()),
            "instance_uuid": str(uuids.uuid4()),
            "migration_type": "migration",
            "status": "migrating",
            "created_at": time.time(),
            "updated_at": None,
            "source_compute": "host1",
            "source_node": "host1",
            "dest_compute": "host2",
            "dest_node": "host2",
            "deleted": 0,
            "hidden": 0,
            "cross_cell_move": 0,
        } | columns
        for name in ("created_at", "updated_at", "deleted_at"):
            row[name] = sql_time(row.get(name))
        connection = self.connections[cell]
        marks = ", ".join("?" * len(row))
        cursor = connection.execute(f"INSERT INTO migrations ({', '.join(row)}) VALUES ({marks})", list(row.values()))
        connection.commit()
        return row | {"id": cursor.lastrowid, "cell": cell}

    def update(self, uuid: str, cell: str | None = None, **columns: Any) -> int:
        """Overwrite columns of one record, exactly these; return how many rows that were."""
        values = {key: sql_time(value) if key.endswith("_at") else value for key, value in columns.items()}
        assignments = ", ".join(f"{name} = ?" for name in values)
        return self._write(cell, f"UPDATE migrations SET {assignments} WHERE uuid = ?", [*values.values(), uuid])

    def delete(self, uuids: list[str], cell: str | None = None, soft: bool = False) -> int:
        """Delete records, or only mark them deleted as Nova does with a server's; return how many."""
        marks = ", ".join("?" * len(uuids))
        if soft:
            statement = (
                f"UPDATE migrations SET deleted = id, deleted_at = '{sql_time(time.time())}' WHERE uuid IN ({marks})"
            )
        else:
            statement = f"DELETE FROM migrations WHERE uuid IN ({marks})"
        return self._write(cell, statement, uuids)

    def run(self, statement: str, cell: str | None = None) -> int:
        """Run a statement that is written for MySQL in every cell's database; return how many rows it changed."""
        return self._write(cell, statement, [])

    def insert_many(
        self,
        count: int,
        cell: str = "cell1",
        migration_type: str = "migration",
        status: str = "confirmed",
        oldest: float | None = None,
        newest: float | None = None,
        duration: float = 60.0,
    ) -> dict[str, float]:
        """Insert many records spread evenly over a span of time, without history; return the seconds it took."""
        newest = time.time() - 3600 if newest is None else newest
        oldest = newest - 365 * 86400 if oldest is None else oldest
        begun = time.monotonic()
        for first in range(0, count, CHUNK):
            self._insert_chunk(
                self.connections[cell],
                (first, min(first + CHUNK, count), oldest, (newest - oldest) / max(count - 1, 1), duration),
                (migration_type, status),
            )
            eventlet.sleep(0)
        return {"seconds": time.monotonic() - begun}

    def _insert_chunk(self, connection: Any, span: tuple[int, int, float, float, float], kind: tuple[str, str]) -> None:
        """Insert one chunk; nothing else runs meanwhile, so the trigger may be away."""
        first, end, oldest, step, duration = span
        moment = "strftime('%Y-%m-%d %H:%M:%f', {}, 'unixepoch') || '000'"
        connection.execute("DROP TRIGGER realcloud_insert")
        connection.execute(
            f"""WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
            INSERT INTO migrations (uuid, instance_uuid, migration_type, status, created_at, updated_at, source_compute,
              source_node, dest_compute, dest_node, deleted, hidden, cross_cell_move)
            SELECT {RANDOM_UUID}, {RANDOM_UUID}, ?6, ?7, {moment.format("?3 + i * ?4")}, {moment.format("?3 + i * ?4 + ?5")},
              'host1', 'host1', 'host2', 'host2', 0, 0, 0 FROM n""",
            (first, end, oldest, step, duration, *kind),
        )
        connection.execute(INSERT_TRIGGER)
        connection.commit()

    def stop_watching(self) -> None:
        """Take the triggers away, so that emptying a large table is quick."""
        for _, connection in self._cells(None):
            for name in ("insert", "status", "deleted", "purged"):
                connection.execute(f"DROP TRIGGER IF EXISTS realcloud_{name}")
            connection.commit()

    def watch(self) -> None:
        """Put the triggers into every cell's database."""
        for _, connection in self._cells(None):
            for statement in TRIGGERS:
                connection.execute(statement)
            connection.commit()

    def stamps(self, kind: str) -> None:
        """Keep times as SQLite does (`exact`), or in whole seconds as MySQL does: `truncate` or `round`."""
        if kind not in ("exact", "truncate", "round"):
            raise ValueError("stamps are exact, truncate or round")
        for _, connection in self._cells(None):
            for table, columns in STAMPED.items():
                set_stamp_triggers(connection, table, columns, kind)
            connection.commit()

    def _write(self, cell: str | None, statement: str, values: list[Any]) -> int:
        """Run one statement in a cell or in all."""
        changed = 0
        for _, connection in self._cells(cell):
            changed += connection.execute(statement, values).rowcount
            connection.commit()
        return changed

    def _cells(self, cell: str | None) -> list[tuple[str, Any]]:
        """Return one cell or all."""
        return [(name, connection) for name, connection in self.connections.items() if cell in (None, name)]


def set_stamp_triggers(connection: Any, table: str, columns: tuple[str, ...], kind: str) -> None:
    """Replace the triggers that cut the times of a table."""
    present = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    half = ", '+0.5 seconds'" if kind == "round" else ""
    names = [name for name in columns if name in present]
    cuts = ", ".join(f"{name} = strftime('%Y-%m-%d %H:%M:%S', {name}{half}) || '.000000'" for name in names)
    for event in ("INSERT", "UPDATE"):
        trigger = f"realcloud_stamp_{table}_{event.lower()}"
        connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        if kind != "exact":
            connection.execute(
                f"CREATE TRIGGER {trigger} AFTER {event} ON {table} BEGIN "
                f"UPDATE {table} SET {cuts} WHERE rowid = NEW.rowid; END"
            )
