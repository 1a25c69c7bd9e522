"""From what is known of a cloud to what is shown of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from exporter.domain.chronicle import Chronicle
from exporter.domain.diagnosis import Limits, deadline_of
from exporter.domain.ledger import Ledger, Totals
from exporter.domain.lifecycle import LIVE_ROWS, UNKNOWN_STATUS, MigrationType
from exporter.domain.names import StatusNames
from exporter.domain.stranded import is_stranded
from exporter.domain.tracked import Tracked
from exporter.domain.view import CloudView, Health, LiveMigrationRecord, StrandedServer


def cloud_view(
    cloud: str, chronicle: Chronicle, limits: Limits, totals: Totals, health: Health, *, stale: bool, series_cap: int,
    per_host: bool,
) -> CloudView:  # fmt: skip
    """Return the view of a cloud; `totals` are the counters that may be shown, which may lag behind the chronicle's.

    Every pair that is possible is there, at zero where nothing was counted.
    """
    watched = chronicle.watched()
    records = sorted(
        (_record(each, chronicle, limits) for each in watched.values()), key=lambda record: record.precedence
    )
    return CloudView(
        cloud=cloud,
        health=health,
        totals=Ledger(totals=totals).totals(),
        expected=_expected(limits, chronicle.names),
        live=tuple(records),
        ignored=len(chronicle.tracker.live) - len(watched),
        series_cap=series_cap,
        per_host=per_host,
        stale=stale,
        stranded=_stranded(chronicle, limits.stranded_after),
        recent=chronicle.recent.ends(),
        exemplars=chronicle.exemplars(),
    )


def _stranded(chronicle: Chronicle, after: float) -> tuple[StrandedServer, ...]:
    """Return the servers that were stranded at the last sweep, longest first."""
    at = chronicle.tracker.times.last_sweep
    found = [] if at is None else [each for each in chronicle.stranded.values() if is_stranded(each, at, after)]
    shown = [StrandedServer(each.server, each.since) for each in found]
    return tuple(sorted(shown, key=lambda each: (each.since, each.server.id)))


def _expected(limits: Limits, names: StatusNames) -> Mapping[tuple[MigrationType, str], float]:
    known = {(row.migration_type, row.status): limits.expected[row.migration_type, row.status] for row in LIVE_ROWS}
    unknown = {(kind, name): limits.expected[kind, UNKNOWN_STATUS] for kind, name in sorted(names.unknown_pairs)}
    return known | unknown


def _record(tracked: Tracked, chronicle: Chronicle, limits: Limits) -> LiveMigrationRecord:
    migration, progress = tracked.migration, chronicle.progress.get(tracked.migration.uuid)
    deadline = deadline_of(tracked, limits, progress)
    return LiveMigrationRecord(
        migration=migration,
        status=chronicle.names.of(migration.migration_type, migration.status),
        since=tracked.stay.since,
        deadline=None if math.isinf(deadline) else deadline,
        stuck=chronicle.stuck.get(migration.uuid),
        unseen=tracked.unseen_since is not None,
        server=chronicle.servers.get(migration.server_id),
        progress=progress,
        progressed=tracked.heartbeat if migration.row.heartbeat else None,
    )
