"""What is said to the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exporter.domain.state import UNKNOWN, CloudState
from exporter.store.database import transaction
from exporter.store.rows import COLUMNS, TIMES, Row, state_of, times_row


@dataclass(frozen=True, slots=True)
class Changes:
    """What one transaction writes: rows to be put into each table, and records to be removed from three of them."""

    live: dict[str, Row]
    lookups: dict[str, Row]
    ended: list[Row]
    counts: frozenset[Row]
    not_live: list[str]
    not_ended: list[str]
    not_looked_up: list[str]


def read(connection: sqlite3.Connection, cloud: str) -> CloudState:
    """Return what is on disk of a cloud; raise ValueError, TypeError or KeyError where it makes no sense."""
    found = connection.execute(f"SELECT id, {', '.join(TIMES)} FROM cloud WHERE name = ?", [cloud]).fetchone()  # noqa: S608  # our own
    if found is None:
        return UNKNOWN
    key, *times = found
    tables = {
        table: connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE cloud = ?", [key]).fetchall()  # noqa: S608
        for table, columns in COLUMNS.items()
    }
    return state_of(tuple(times), tables)


def mark_left(connection: sqlite3.Connection, names: Sequence[str], now: float, forget_before: float) -> None:
    """Note which clouds are watched and since when others are not; remove those that were not for too long."""
    marks = ",".join("?" * len(names))
    with transaction(connection):
        connection.execute(f"UPDATE cloud SET left_at = NULL WHERE name IN ({marks})", names)  # noqa: S608  # question marks
        left = f"UPDATE cloud SET left_at = ? WHERE left_at IS NULL AND name NOT IN ({marks})"  # noqa: S608  # question marks
        connection.execute(left, [now, *names])
        connection.execute("DELETE FROM cloud WHERE left_at < ?", [forget_before])


def write(connection: sqlite3.Connection, cloud: str, state: CloudState, changes: Changes, whole: bool) -> None:
    """Write changes in one transaction; `whole` removes first whatever is there of the cloud."""
    with transaction(connection):
        key = _cloud_key(connection, cloud, state)
        for table in COLUMNS if whole else ():
            connection.execute(f"DELETE FROM {table} WHERE cloud = ?", [key])  # noqa: S608  # our own names
        _apply(connection, key, changes)


def _cloud_key(connection: sqlite3.Connection, cloud: str, state: CloudState) -> int:
    """Write the row of a cloud and return its key."""
    updates = ", ".join(f"{column} = excluded.{column}" for column in TIMES)
    statement = (
        f"INSERT INTO cloud (name, {', '.join(TIMES)}) VALUES (?{', ?' * len(TIMES)}) "  # noqa: S608  # our own names
        f"ON CONFLICT (name) DO UPDATE SET {updates}, left_at = NULL"
    )
    connection.execute(statement, [cloud, *times_row(state)])
    return int(connection.execute("SELECT id FROM cloud WHERE name = ?", [cloud]).fetchone()[0])


def _apply(connection: sqlite3.Connection, key: int, changes: Changes) -> None:
    gone = {"live": changes.not_live, "ended": changes.not_ended, "lookup": changes.not_looked_up}
    for table, uuids in gone.items():
        statement = f"DELETE FROM {table} WHERE cloud = ? AND migration_id = ?"  # noqa: S608  # our own names
        connection.executemany(statement, [(key, each) for each in uuids])
    _put(connection, key, "live", changes.live.values())
    _put(connection, key, "lookup", changes.lookups.values())
    _put(connection, key, "ended", changes.ended)
    for table in ("counter", "distribution", "unknown_status"):
        _put(connection, key, table, [row for name, *row in changes.counts if name == table])


def _put(connection: sqlite3.Connection, key: int, table: str, rows: Iterable[Iterable[object]]) -> None:
    marks = ", ".join("?" * (len(COLUMNS[table]) + 1))
    statement = f"INSERT OR REPLACE INTO {table} (cloud, {', '.join(COLUMNS[table])}) VALUES ({marks})"  # noqa: S608  # ours
    connection.executemany(statement, [(key, *row) for row in rows])
