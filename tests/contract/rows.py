"""The rows that both clouds hold: one for each thing that a listing can get wrong."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

INITIATOR = "4f1e0d9c8b7a4f6e9d8c7b6a5f4e3d2c"
INITIATOR_PROJECT = "a1b2c3d4e5f64a7b8c9d0e1f2a3b4c5d"


def identity(name: str) -> str:
    """Give the uuid of the record, or of the server, of that name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def epoch(text: str) -> float:
    """Read a time in UTC as epoch seconds."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _row(name: str, server: str, created: str, updated: str | None, **columns: Any) -> dict[str, Any]:
    return {
        "uuid": identity(name),
        "instance_uuid": identity(server),
        "created_at": epoch(created),
        "updated_at": None if updated is None else epoch(updated),
        "source_node": columns.get("source_compute"),
        "dest_node": columns.get("dest_compute"),
        "dest_host": None,
        "source_compute": None,
        "dest_compute": None,
        "old_instance_type_id": 3,
        "new_instance_type_id": 3,
        "user_id": INITIATOR,
        "project_id": INITIATOR_PROJECT,
        "hidden": False,
        **columns,
    }


# In the order of their insertion, which is not that of their creation; the two twins were created at the same instant.
ROWS: dict[str, dict[str, Any]] = {
    "never-updated": _row(
        "never-updated", "server-a", "2026-03-01T10:00:05.000001", None,
        migration_type="live-migration", status="accepted", source_compute="host1", source_node=None,
    ),
    "running": _row(
        "running", "server-b", "2026-03-01T10:00:04.500000", "2026-03-01T10:05:00.250000",
        migration_type="live-migration", status="running", source_compute="host1", dest_compute="host2",
    ),
    "finished": _row(
        "finished", "server-a", "2026-03-01T10:00:03", "2026-03-01T10:04:00",
        migration_type="resize", status="finished", source_compute="host2", dest_compute="host1",
        dest_host="192.0.2.1", new_instance_type_id=5,
    ),
    "hidden": _row(
        "hidden", "server-c", "2026-03-01T10:00:02.500000", "2026-03-01T10:03:30",
        migration_type="migration", status="confirmed", source_compute="host2", dest_compute="host3", hidden=True,
    ),
    "twin-one": _row(
        "twin-one", "server-d", "2026-03-01T10:00:02", "2026-03-01T10:03:00",
        migration_type="migration", status="confirmed", source_compute="host3", dest_compute="host2",
    ),
    "twin-two": _row(
        "twin-two", "server-e", "2026-03-01T10:00:02", "2026-03-01T10:03:00.000001",
        migration_type="migration", status="error", source_compute="host3", dest_compute=None,
    ),
    "evacuated": _row(
        "evacuated", "server-f", "2026-03-01T10:00:01", "2026-03-01T10:02:00",
        migration_type="evacuation", status="done", source_compute="host3", dest_compute="host1",
        dest_host="192.0.2.3", old_instance_type_id=None, new_instance_type_id=None,
        user_id="another", project_id="another-project",
    ),
    "old": _row(
        "old", "server-a", "2025-12-31T23:59:59.999999", "2026-01-01T00:00:00",
        migration_type="resize", status="reverted", source_compute="host1", dest_compute="host1",
        user_id=None, project_id=None,
    ),
    "queued": _row(
        "queued", "server-g", "2026-03-01T10:00:06", "2026-03-01T10:00:07",
        migration_type="live-migration", status="queued", source_compute="host1", dest_compute="host3",
    ),
}  # fmt: skip

NAMES = {row["uuid"]: name for name, row in ROWS.items()}

# Newest first, the higher id first of two created at the same instant; the hidden one is never shown.
NEWEST_FIRST = [
    "queued", "never-updated", "running", "finished", "twin-two", "twin-one", "evacuated", "old",
]  # fmt: skip


def names(listed: list[dict[str, Any]]) -> list[str]:
    """Name the records of a listing, in its order."""
    return [NAMES[record["uuid"]] for record in listed]
