"""A view of three clouds in which everything has happened that the page for people and the JSON can tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from exporter.domain.cloud import Feature
from exporter.domain.diagnosis import Stuck
from exporter.domain.ledger import Totals
from exporter.domain.lifecycle import MigrationType, Outcome, Reason
from exporter.domain.migration import Migration
from exporter.domain.server import Progress, Server
from exporter.domain.view import CloudView, Health, LiveMigrationRecord, Process, RecentEnd, StrandedServer, View

#: When the page is made: 2026-11-18 11:33:20 UTC.
AT = 1_795_001_600.0
HOUR = 3600.0
GIB = 1024**3

RESIZE = MigrationType.RESIZE
COLD = MigrationType.MIGRATION
LIVE = MigrationType.LIVE_MIGRATION
EVACUATION = MigrationType.EVACUATION

FEATURES = dict.fromkeys(Feature, True)


def identity(kind: int, number: int) -> str:
    """Return a uuid that is the same every time: of a migration (1), a server (2), a project (3)."""
    return str(UUID(int=(kind << 120) + 0x5EED_1DEA * 7919**number % (1 << 100), version=4))


def moving(number: int, kind: MigrationType, status: str, age: float, **changes: object) -> Migration:
    """Return a record that Nova last wrote so many seconds ago; it was created a minute earlier."""
    made = Migration(
        uuid=identity(1, number),
        migration_type=kind,
        status=status,
        server_id=identity(2, number),
        created_at=AT - age - 60,
        updated_at=AT - age,
        source_host=f"compute-{number % 7 + 1}",
        dest_host=f"compute-{number % 5 + 8}",
        old_flavor_id=3,
        new_flavor_id=5 if kind is RESIZE else 3,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def server(number: int, name: str, status: str = "RESIZE", task: str | None = None, **changes: object) -> Server:
    """Return a server as a sweep saw it."""
    made = Server(
        identity(2, number), status, name, identity(3, 1), "active", task, "running", f"compute-{number % 7 + 1}"
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def live(
    migration: Migration, expected: float | None, reason: Reason | None = None, since: float = 0.0, **changes: object
) -> LiveMigrationRecord:
    """Return a live record; where a reason is given it has been stuck for `since` seconds."""
    entered = migration.stamp
    stuck = None if reason is None else Stuck(reason, AT - since)
    made = LiveMigrationRecord(
        migration, migration.status, entered, None if expected is None else entered + expected, stuck
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def ended(
    migration: Migration, outcome: Outcome, durations: Mapping[str, float | None], **changes: object
) -> RecentEnd:
    """Return an end, at the record's last stamp."""
    return replace(RecentEnd(migration, migration.status, outcome, migration.stamp, durations), **changes)  # type: ignore[arg-type]


def cloud(name: str, health: Health, *records: LiveMigrationRecord, **changes: object) -> CloudView:
    """Return the view of a cloud, its records in the order in which they are published."""
    made = CloudView(name, health, Totals(), {}, tuple(sorted(records, key=lambda record: record.precedence)))
    return replace(made, **changes)  # type: ignore[arg-type]


def view(*clouds: CloudView) -> View:
    return View(Process("1.2.3", "abcdef", "3.11.7"), clouds)


def crowd(quiet: int = 507, stuck: int = 503, stranded: int = 502) -> View:
    """Return a view of more than a page shows."""
    under_way = [live(moving(number, RESIZE, "migrating", 60.0 + number), HOUR) for number in range(quiet)]
    late = [
        live(moving(quiet + number, EVACUATION, "accepted", 60.0), HOUR, Reason.OVERDUE, 10.0)
        for number in range(stuck)
    ]
    lost = tuple(StrandedServer(server(quiet + stuck + n, f"lost-{n}"), AT - 10) for n in range(stranded))
    return view(cloud("prod", WELL, *under_way, *late, stranded=lost))


OVERDUE = live(
    moving(1, RESIZE, "migrating", 3 * HOUR + 720), 2 * HOUR, Reason.OVERDUE, HOUR + 720,
    server=server(1, "billing-db-03", "RESIZE", "resize_migrating"),
)  # fmt: skip
STANDING = live(
    moving(2, LIVE, "running", 1500), 24 * HOUR, Reason.NO_PROGRESS, 700,
    server=server(2, "web-frontend-17", "MIGRATING", "migrating"),
    progress=Progress(16 * GIB, 30 * GIB, 9 * GIB, 0, 0, 0), progressed=AT - 1000,
)  # fmt: skip
HOST_DOWN = live(
    moving(3, COLD, "post-migrating", 2000), 1200, Reason.DEST_DOWN, 900,
    server=server(3, "build-runner-2", "RESIZE", "resize_migrated", host="compute-11"),
)  # fmt: skip
STALE = live(
    moving(4, LIVE, "preparing", 3 * 24 * HOUR), 2100, Reason.ORPHANED, 2.9 * 24 * HOUR,
    server=server(4, "mail-relay", "ACTIVE"),
)  # fmt: skip
UNEXPLAINED = live(moving(5, EVACUATION, "accepted", 5000, dest_host=None), 600, Reason.UNDIAGNOSED, 4400, unseen=True)

RUNNING = live(
    moving(11, LIVE, "running", 340), 3 * HOUR,
    server=server(11, "search-index-04", "MIGRATING", "migrating"),
    progress=Progress(64 * GIB, 41 * GIB, 17 * GIB, 120 * GIB, 70 * GIB, 50 * GIB), progressed=AT - 4,
)  # fmt: skip
NO_FIGURES = live(
    moving(12, LIVE, "running", 35), 24 * HOUR, server=server(12, "cache-1", "MIGRATING"), progress=Progress()
)
QUEUED = live(moving(13, LIVE, "queued", 95), 6 * HOUR, server=server(13, "cache-2", "MIGRATING", "migrating"))
WAITING = live(moving(14, RESIZE, "finished", 2 * 24 * HOUR), None, server=server(14, "wiki", "VERIFY_RESIZE"))
CHOOSING = live(moving(15, COLD, "pre-migrating", 8, dest_host=None), 900)
REBUILDING = live(moving(16, EVACUATION, "pre-migrating", 260), HOUR, server=server(16, "ldap-replica-b", "REBUILD"))

STRANDED = StrandedServer(
    server(21, "reporting-old", "REVERT_RESIZE", "resize_reverting", vm_state="resized", power_state="shutdown"),
    AT - 2.2 * HOUR,
)

ENDS = (
    ended(
        moving(31, LIVE, "completed", 65), Outcome.SUCCESS,
        {"accepted": 1.42, "queued": 38.0, "preparing": 3.91, "running": 64.3},
    ),
    ended(
        moving(32, RESIZE, "confirmed", 400), Outcome.SUCCESS,
        {"pre-migrating": 2.7, "migrating": 41.2, "post-migrating": 9.6, "finished": 930.0, "confirming": 1.1},
    ),
    ended(moving(33, LIVE, "failed", 780), Outcome.FAILURE, {"accepted": 0.8, "queued": 0.04, "preparing": 12.5}),
    ended(moving(34, EVACUATION, "done", 1900), Outcome.SUCCESS, {"accepted": 4.4, "pre-migrating": 61.0}),
    ended(
        moving(35, COLD, "migrating", 5000), Outcome.DELETED, {"pre-migrating": 3.0, "migrating": None},
        status="deleted", ended=None,
    ),
)  # fmt: skip

WELL = Health(up=True, last_success=AT - 12, poll_interval=30.0, microversion="2.80", features=FEATURES)
SILENT = Health(
    error="cannot connect to https://nova.west.example.com:8774/v2.1: connection refused; is the API up?",
    last_success=AT - 1200,
    microversion="2.80",
    features=FEATURES,
)
HALF = Health(
    up=True,
    last_success=AT - 31,
    microversion="2.93",
    features={Feature.EXACT_DURATIONS: False, Feature.DIAGNOSIS: True, Feature.LIVE_PROGRESS: False},
)

RICH = view(
    cloud(
        "prod-east", WELL, OVERDUE, STANDING, HOST_DOWN, RUNNING, NO_FIGURES, QUEUED, CHOOSING,
        stranded=(STRANDED,), recent=ENDS[:3], ignored=2,
    ),
    cloud("prod-west", SILENT, STALE, UNEXPLAINED, stale=True),
    cloud("lab", HALF, WAITING, REBUILDING, recent=ENDS[3:]),
)  # fmt: skip
