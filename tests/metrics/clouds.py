"""Views of one cloud, for the tests of single series."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from exporter.domain.cloud import ErrorKind, Feature, RejectReason
from exporter.domain.diagnosis import Stuck
from exporter.domain.events import BecameStuck, Began, Corrected, Ended, Left, MoveEnded
from exporter.domain.ledger import Ledger
from exporter.domain.lifecycle import LIVE_ROWS, MigrationType, Outcome, Reason
from exporter.domain.migration import Migration
from exporter.domain.server import Progress, Server
from exporter.domain.view import (
    REQUEST_BUCKETS,
    CloudView,
    Health,
    LiveMigrationRecord,
    Process,
    StrandedServer,
    Timing,
    View,
)
from exporter.metrics.exposition import Exposition
from tests.domain.records import LIVE, RESIZE

PROCESS = Process(version="1.2.3", revision="abcdef0", python="3.11.9", state_durable=True, state_errors=2)
EXPECTED: Mapping[tuple[MigrationType, str], float] = {
    (row.migration_type, row.status): row.expected for row in LIVE_ROWS
}


def page(*clouds: CloudView, accept: str = "") -> str:
    """Return the page of some clouds, without the metrics of the process."""
    exposition = Exposition(lambda: View(PROCESS, clouds), process_metrics=False)
    return exposition.page(accept)[0].decode()


def empty(name: str = "prod") -> CloudView:
    """Return the view of a cloud before its first poll."""
    return CloudView(name, Health(poll_interval=30.0), Ledger().totals(), EXPECTED)


def live(uuid: str, status: str = "migrating", **fields: object) -> LiveMigrationRecord:
    """Return a live record of a resize that entered its status at 1000."""
    migration = Migration(
        uuid, RESIZE, status, f"server of {uuid}", 900.0, 1000.0, "src", "dst", initiator_project_id="tenant"
    )
    plain = LiveMigrationRecord(migration, status, since=1000.0, deadline=8200.0, stuck=None)
    return replace(plain, **fields)  # type: ignore[arg-type]  # any of the fields


def stranded(server_id: str, status: str = "RESIZE", host: str | None = "src", since: float = 500.0) -> StrandedServer:
    """Return a server that no record explains."""
    return StrandedServer(Server(server_id, status, host=host), since)


def full() -> CloudView:
    """Return a view in which every family has something to say."""
    ledger = _ledger()
    odd = Migration("m4", LIVE, "odd", "server of m4", 900.0, 1000.0)
    return CloudView(
        cloud="prod",
        health=_health(),
        totals=ledger.totals(),
        expected={**EXPECTED, (LIVE, "odd"): 21600.0},
        live=(
            live("m1", stuck=Stuck(Reason.UNDIAGNOSED, 8200.0)),
            live("m2", "finished", deadline=None, progress=Progress(10, 9, 8, 7, 6, 5), progressed=1100.0),
            LiveMigrationRecord(odd, "odd", 1000.0, 22600.0, None, unseen=True),
            live("m3", stuck=Stuck(Reason.ORPHANED, 500.0), since=400.0),
        ),
        ignored=1,
        series_cap=3,
        per_host=True,
        stranded=(stranded("s1"), stranded("s2", "MIGRATING"), stranded("s3"), stranded("s4")),
        exemplars=ledger.exemplars(),
    )


def _ledger() -> Ledger:
    ledger = Ledger(per_host=True)
    move = Migration("m0", LIVE, "completed", "s", 100.0, 200.0, "src", "dst")
    ledger.enter(
        [
            Began(move),
            Left(move, "queued", 12.5),
            Left(move, "preparing", None),
            BecameStuck(move, "running"),
            Left(move, "running", 700000.0),
            MoveEnded(move, Outcome.SUCCESS, 100.0),
            Ended(move, "completed", Outcome.SUCCESS),
            Corrected(move, "completed", "error"),
        ],
        lambda kind, status: status,
    )
    return ledger


def _health() -> Health:
    counts = tuple(range(len(REQUEST_BUCKETS) + 1))
    return Health(
        up=True,
        last_success=1_700_000_000.5,
        poll_interval=30.0,
        step_seconds={"open": 0.1, "look": 0.25, "track": 0.0},
        polls=12,
        poll_errors={ErrorKind.TIMEOUT: 1},
        requests={("migrations", "200"): 36, ("login", "timeout"): 1},
        request_timings={"migrations": Timing(counts, 42.5)},
        rejected={RejectReason.BAD_TIME: 3},
        unknown_statuses=1,
        clock_skew=-1.5,
        microversion="2.80",
        features={Feature.DIAGNOSIS: True, Feature.LIVE_PROGRESS: False},
    )


def never_of(cloud: CloudView) -> CloudView:
    """Return a view in which no status is ever stuck."""
    return replace(cloud, expected=dict.fromkeys(cloud.expected, math.inf))
