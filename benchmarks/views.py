"""Views of clouds in which much goes on, to make pages from."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import cycle, islice

from exporter.domain.diagnosis import Stuck
from exporter.domain.events import Began, Ended, Event, Left, MoveEnded
from exporter.domain.ledger import Ledger
from exporter.domain.lifecycle import LIVE_ROWS, MigrationType, Outcome, Phase, Reason
from exporter.domain.migration import Migration
from exporter.domain.names import StatusNames
from exporter.domain.server import Progress
from exporter.domain.view import CloudView, Health, LiveMigrationRecord, Process, View

BEGUN = 1_780_000_000.0


def view(live: int, name: str = "prod-one", at: float = BEGUN) -> View:
    """Return the view of one cloud with so many live records, each with series of its own."""
    return View(Process("1.2.3", "abcdef", "3.11.7"), (cloud_view(live, name, at),))


def cloud_view(live: int, name: str = "prod-one", at: float = BEGUN) -> CloudView:
    """Return a cloud in which every live status of the lifecycle has its share of records; each tenth is stuck."""
    rows = [row for row in LIVE_ROWS if row.phase is Phase.TRANSITIONAL]
    made = [_record(number, row.migration_type, row.status, at) for number, row in enumerate(islice(cycle(rows), live))]
    ledger = Ledger()
    ledger.enter([event for each in made for event in _events(each.migration)], StatusNames().of)
    return CloudView(
        cloud=name,
        health=Health(up=True, last_success=at, poll_interval=30.0, polls=int(at - BEGUN), microversion="2.80"),
        totals=ledger.totals(),
        expected={(row.migration_type, row.status): row.expected for row in LIVE_ROWS},
        live=tuple(sorted(made, key=lambda record: record.precedence)),
        series_cap=live,
        exemplars=ledger.exemplars(),
    )


def _record(number: int, kind: MigrationType, status: str, at: float) -> LiveMigrationRecord:
    migration = Migration(
        uuid=f"7d2f00aa-5b1e-4c3d-9f00-{number:012x}",
        migration_type=kind,
        status=status,
        server_id=f"10b4c7de-22f1-4f7a-8d00-{number:012x}",
        created_at=at - number % 3600 - 60.5,
        updated_at=at - number % 3600,
        source_host=f"compute-{number % 997}.az1.example.org",
        dest_host=f"compute-{number % 991}.az2.example.org",
        initiator_project_id="9f1c3d5b7a904f0c8f7d6b5a49382716",
    )
    deadline = None if math.isinf(migration.row.expected) else migration.stamp + migration.row.expected
    stuck = Stuck(Reason.OVERDUE, migration.stamp + 600) if number % 10 == 0 else None
    record = LiveMigrationRecord(migration, status, migration.stamp, deadline, stuck)
    if not migration.row.heartbeat:
        return record
    moved = Progress(8 << 30, number << 20, 4 << 30, 0, 0, 0)
    return replace(record, progress=moved, progressed=migration.stamp)


def _events(migration: Migration) -> list[Event]:
    seconds = migration.stamp % 5000
    return [
        Began(migration),
        Left(migration, migration.status, seconds),
        MoveEnded(migration, Outcome.SUCCESS, seconds),
        Ended(
            migration,
            "completed" if migration.migration_type is MigrationType.LIVE_MIGRATION else "confirmed",
            Outcome.SUCCESS,
        ),
    ]
