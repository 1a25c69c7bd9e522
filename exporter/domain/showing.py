"""From what is known of a cloud to what is shown of it."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Set

from exporter.domain.chronicle import Chronicle
from exporter.domain.diagnosis import Limits, deadline_of
from exporter.domain.ledger import Ledger, Totals
from exporter.domain.lifecycle import LIVE_ROWS, UNKNOWN_STATUS, MigrationType
from exporter.domain.names import StatusNames
from exporter.domain.stranded import is_stranded
from exporter.domain.tracked import Tracked
from exporter.domain.view import CloudView, Health, LiveMigrationRecord, StrandedServer

#: What orders a record: its precedence, of which the last is its uuid.
_Place = tuple[int, float, str]

#: From this share of records that changed on, all are put in order anew instead of each into its place.
_MANY = 0.1


class Lineup:
    """The live records of a cloud in the order in which they are shown; made anew are those that changed."""

    def __init__(self, chronicle: Chronicle, limits: Limits) -> None:
        self.chronicle = chronicle
        self.limits = limits
        self._places: dict[str, _Place] = {}
        self._order: list[_Place] = []
        self._records: list[LiveMigrationRecord] = []

    def records(self) -> tuple[LiveMigrationRecord, ...]:
        """Return the records as they are now."""
        changed = self.chronicle.unshown
        new = [self._record(uuid) for uuid in changed if self.chronicle.is_watched(uuid)]
        if len(changed) > _MANY * len(self._order):
            self._sort(changed, new)
        else:
            self._move(changed, new)
        self.chronicle.unshown = set()
        return tuple(self._records)

    def _record(self, uuid: str) -> LiveMigrationRecord:
        return _record(self.chronicle.tracker.live[uuid], self.chronicle, self.limits)

    def _sort(self, changed: Set[str], new: Iterable[LiveMigrationRecord]) -> None:
        """Put all in order: those that did not change are already, which costs next to nothing."""
        kept = zip(self._order, self._records, strict=True)
        placed = [(place, each) for place, each in kept if place[-1] not in changed]
        placed += [(each.precedence, each) for each in new]
        placed.sort()  # no two have the same place
        self._places = {place[-1]: place for place, _ in placed}
        self._order = [place for place, _ in placed]
        self._records = [each for _, each in placed]

    def _move(self, changed: Set[str], new: Iterable[LiveMigrationRecord]) -> None:
        """Take out what changed, and put what is there of it now into its place."""
        for place in [self._places.pop(uuid) for uuid in changed if uuid in self._places]:
            at = bisect_left(self._order, place)
            del self._order[at], self._records[at]
        for record in new:
            place = record.precedence
            at = bisect_left(self._order, place)
            self._order.insert(at, place)
            self._records.insert(at, record)
            self._places[place[-1]] = place


def cloud_view(
    cloud: str, lineup: Lineup, totals: Totals, health: Health, *, stale: bool, series_cap: int,
    per_host: bool,
) -> CloudView:  # fmt: skip
    """Return the view of a cloud; `totals` are the counters that may be shown, which may lag behind the chronicle's.

    Every pair that is possible is there, at zero where nothing was counted.
    """
    chronicle, limits = lineup.chronicle, lineup.limits
    return CloudView(
        cloud=cloud,
        health=health,
        totals=Ledger(totals=totals).totals(),
        expected=_expected(limits, chronicle.names),
        live=lineup.records(),
        ignored=chronicle.ignored,
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
