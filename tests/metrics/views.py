"""Views to make pages from."""

from __future__ import annotations

import math
from dataclasses import replace

from exporter.domain.cloud import ErrorKind, Feature, RejectReason
from exporter.domain.diagnosis import Stuck
from exporter.domain.events import BecameStuck, Began, Corrected, Ended, Event, Left, MoveEnded
from exporter.domain.ledger import Ledger
from exporter.domain.lifecycle import LIVE_ROWS, MigrationType, Outcome, Reason
from exporter.domain.migration import Migration
from exporter.domain.names import StatusNames
from exporter.domain.server import Progress, Server
from exporter.domain.view import CloudView, Health, LiveMigrationRecord, Process, StrandedServer, Timing, View

BEGUN = 1_700_000_000.0
PROCESS = Process("1.2.3", "abcdef", "3.11.7")


def migration(number: int, kind: MigrationType, status: str, **changes: object) -> Migration:
    """Return a record whose ids tell its number."""
    made = Migration(
        uuid=f"00000000-0000-4000-8000-{number:012}",
        migration_type=kind,
        status=status,
        server_id=f"10000000-0000-4000-8000-{number:012}",
        created_at=BEGUN + number,
        updated_at=BEGUN + number + 5,
        source_host="host1",
        dest_host="host2",
        initiator_project_id="20000000000040008000000000000000",
    )
    return replace(made, **changes)  # type: ignore[arg-type]


RESIZE = migration(1, MigrationType.RESIZE, "migrating")
LIVE = migration(2, MigrationType.LIVE_MIGRATION, "running", dest_host=None)
WAITING = migration(3, MigrationType.RESIZE, "finished")
ODD = migration(4, MigrationType.EVACUATION, "wandering", initiator_project_id=None)

PROGRESS = Progress(2**33, 3 * 2**32, 2**20, 2**36, 2**35, 2**35)
STRANDED = StrandedServer(
    Server("10000000-0000-4000-8000-000000000009", "REVERT_RESIZE", task_state="resize_reverting", host="host1"), BEGUN
)


def records(*migrations: Migration, stuck: frozenset[Migration] = frozenset()) -> tuple[LiveMigrationRecord, ...]:
    """Return live records, in the order in which the poller puts them."""
    made = (
        LiveMigrationRecord(
            each,
            each.status,
            each.stamp,
            None if each.status == "finished" else each.stamp + 7200,
            Stuck(Reason.UNDIAGNOSED, each.stamp + 7200) if each in stuck else None,
            progress=PROGRESS if each.status == "running" else None,
            progressed=each.stamp if each.status == "running" else None,
        )
        for each in migrations
    )
    return tuple(sorted(made, key=lambda record: record.precedence))


def counted(*events: Event, per_host: bool = True) -> Ledger:
    """Return a ledger with events in it."""
    ledger = Ledger(per_host=per_host)
    ledger.enter(events, StatusNames().of)
    return ledger


EVENTS: tuple[Event, ...] = (
    Began(RESIZE),
    Began(LIVE),
    Left(RESIZE, "pre-migrating", 4.0),
    Left(LIVE, "preparing", None),
    MoveEnded(WAITING, Outcome.SUCCESS, 61.5),
    Ended(LIVE, "error", Outcome.FAILURE),
    Corrected(LIVE, "error", "failed"),
    BecameStuck(RESIZE, "migrating"),
)


def cloud_view(**changes: object) -> CloudView:
    """Return a view in which every family has something to say."""
    health = Health(
        up=True,
        last_success=BEGUN + 100,
        poll_interval=30.0,
        step_seconds={"look": 0.25},
        polls=3,
        poll_errors={ErrorKind.TIMEOUT: 1},
        requests={("list_migrations", "200"): 9},
        request_timings={"list_migrations": Timing((9, *[0] * 11), 0.5)},
        rejected={RejectReason.NO_UUID: 1},
        unknown_statuses=1,
        clock_skew=-0.5,
        microversion="2.80",
        features={Feature.EXACT_DURATIONS: False, Feature.DIAGNOSIS: True, Feature.LIVE_PROGRESS: True},
    )
    expected = {(row.migration_type, row.status): row.expected for row in LIVE_ROWS}
    ledger = counted(*EVENTS)
    view = CloudView(
        cloud="prod",
        health=health,
        totals=ledger.totals(),
        expected={**expected, (MigrationType.EVACUATION, "wandering"): math.inf},
        live=records(RESIZE, LIVE, WAITING, ODD, stuck=frozenset({RESIZE})),
        ignored=1,
        per_host=True,
        stranded=(STRANDED,),
        exemplars=ledger.exemplars(),
    )
    return replace(view, **changes)  # type: ignore[arg-type]


def view(*clouds: CloudView) -> View:
    """Return a view of these clouds."""
    return View(PROCESS, clouds or (cloud_view(),))
