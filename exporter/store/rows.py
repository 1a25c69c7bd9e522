"""The rows of the state file: its schema, and the way between them and the values of the domain."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple
from typing import Any

from exporter.domain.diagnosis import Stuck
from exporter.domain.ledger import Distribution, Totals
from exporter.domain.lifecycle import MigrationType, Outcome, Reason
from exporter.domain.lookups import Lookup
from exporter.domain.migration import Migration
from exporter.domain.server import Server
from exporter.domain.state import CloudState
from exporter.domain.stranded import Stranded
from exporter.domain.tracked import NO_VERDICT, Doubt, Stay, Tracked, Verdict
from exporter.domain.tracker import End, Times

Row = tuple[Any, ...]

#: One entry for each version of the schema: the statements that lead to it from the version before. Never change an entry
#: that was released; add one.
MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE cloud (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
        baseline REAL, newest_update REAL, last_poll_begun REAL, last_sweep REAL, last_success REAL,
        left_at REAL
    );
    CREATE TABLE live (
        cloud INTEGER NOT NULL REFERENCES cloud ON DELETE CASCADE, migration_id TEXT NOT NULL,
        migration_type TEXT NOT NULL, status TEXT NOT NULL, server_id TEXT NOT NULL, created_at REAL NOT NULL, updated_at REAL,
        source_host TEXT, dest_host TEXT, initiator_project_id TEXT, old_flavor_id INTEGER, new_flavor_id INTEGER,
        since REAL NOT NULL, slack REAL NOT NULL, seen REAL, first_seen REAL NOT NULL, counted INTEGER NOT NULL,
        history TEXT NOT NULL, move_over INTEGER NOT NULL, created_proven INTEGER NOT NULL, heartbeat REAL,
        stuck_in TEXT NOT NULL, unseen_since REAL, stuck_reason TEXT, stuck_since REAL,
        PRIMARY KEY (cloud, migration_id)
    ) WITHOUT ROWID;
    CREATE TABLE ended (
        cloud INTEGER NOT NULL REFERENCES cloud ON DELETE CASCADE, migration_id TEXT NOT NULL,
        status TEXT NOT NULL, stamp REAL NOT NULL, created_at REAL NOT NULL, counted INTEGER NOT NULL,
        PRIMARY KEY (cloud, migration_id)
    ) WITHOUT ROWID;
    CREATE TABLE counter (
        cloud INTEGER NOT NULL REFERENCES cloud ON DELETE CASCADE, family TEXT NOT NULL, labels TEXT NOT NULL,
        value INTEGER NOT NULL,
        PRIMARY KEY (cloud, family, labels)
    ) WITHOUT ROWID;
    CREATE TABLE distribution (
        cloud INTEGER NOT NULL REFERENCES cloud ON DELETE CASCADE, family TEXT NOT NULL, labels TEXT NOT NULL,
        counts TEXT NOT NULL, total REAL NOT NULL,
        PRIMARY KEY (cloud, family, labels)
    ) WITHOUT ROWID;
    CREATE TABLE unknown_status (
        cloud INTEGER NOT NULL REFERENCES cloud ON DELETE CASCADE, migration_type TEXT NOT NULL, name TEXT NOT NULL,
        PRIMARY KEY (cloud, migration_type, name)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE cloud ADD COLUMN stranded TEXT;
    ALTER TABLE live ADD COLUMN verdict TEXT;
    ALTER TABLE live ADD COLUMN doubts TEXT;
    CREATE TABLE lookup (
        cloud INTEGER NOT NULL REFERENCES cloud ON DELETE CASCADE, migration_id TEXT NOT NULL,
        queued REAL NOT NULL, attempts INTEGER NOT NULL, record TEXT, status TEXT, ended REAL,
        PRIMARY KEY (cloud, migration_id)
    ) WITHOUT ROWID;
    """,
)

#: The columns of each table behind `cloud`, in the order of its rows; all but these of `live` are keyed as SQL says.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "live": (
        "migration_id", "migration_type", "status", "server_id", "created_at", "updated_at", "source_host", "dest_host",
        "initiator_project_id", "old_flavor_id", "new_flavor_id", "since", "slack", "seen", "first_seen", "counted", "history",
        "move_over", "created_proven", "heartbeat", "stuck_in", "unseen_since", "stuck_reason", "stuck_since",
        "verdict", "doubts",
    ),
    "lookup": ("migration_id", "queued", "attempts", "record", "status", "ended"),
    "ended": ("migration_id", "status", "stamp", "created_at", "counted"),
    "counter": ("family", "labels", "value"),
    "distribution": ("family", "labels", "counts", "total"),
    "unknown_status": ("migration_type", "name"),
}  # fmt: skip

_LABELS: Mapping[str, tuple[Callable[[str], Any], ...]] = {
    "started": (MigrationType,),
    "ended": (MigrationType, str),
    "corrections": (MigrationType, str, str),
    "unobserved": (MigrationType, str),
    "became_stuck": (MigrationType, str),
    "ended_per_host": (str, str, MigrationType, Outcome),
    "status_durations": (MigrationType, str),
    "move_durations": (MigrationType, Outcome),
}
_DISTRIBUTIONS = ("status_durations", "move_durations")


#: The columns of the table `cloud` between its name and `left_at`.
TIMES = ("baseline", "newest_update", "last_poll_begun", "last_sweep", "last_success", "stranded")


def times_row(state: CloudState) -> Row:
    """Return the columns TIMES."""
    times = state.times
    moments = (times.baseline, times.newest_update, times.last_poll_begun, times.last_sweep, state.last_success)
    return (*moments, _stranded_text(state.stranded))


def live_row(tracked: Tracked, stuck: Stuck | None, last_sweep: float | None) -> Row:
    """Return the row of a live record.

    `seen` is NULL where it is the time of the last sweep, which sees nearly all: else each sweep would write every row.
    """
    each = tracked.migration
    return (
        each.uuid,
        each.migration_type.value,
        each.status,
        each.server_id,
        each.created_at,
        each.updated_at,
        each.source_host,
        each.dest_host,
        each.initiator_project_id,
        each.old_flavor_id,
        each.new_flavor_id,
        tracked.stay.since,
        tracked.stay.slack,
        None if tracked.seen == last_sweep else tracked.seen,
        tracked.first_seen,
        int(tracked.counted),
        json.dumps([[stay.status, stay.since, stay.slack] for stay in tracked.history]) if tracked.history else "[]",
        int(tracked.move_over),
        int(tracked.created_proven),
        tracked.heartbeat,
        json.dumps(sorted(tracked.stuck_in)) if tracked.stuck_in else "[]",
        tracked.unseen_since,
        None if stuck is None else stuck.reason.value,
        None if stuck is None else stuck.since,
        None if tracked.verdict == NO_VERDICT else json.dumps(astuple(tracked.verdict)),
        json.dumps([astuple(doubt) for doubt in tracked.doubts]) if tracked.doubts else None,
    )


def live_of(row: Row, last_sweep: float | None) -> tuple[Tracked, Stuck | None]:
    """Return the live record in a row, and why it is stuck if it is."""
    named = dict(zip(COLUMNS["live"], row, strict=True))
    migration = Migration(
        uuid=named["migration_id"],
        migration_type=MigrationType(named["migration_type"]),
        **{name: named[name] for name in _OF_MIGRATION},
    )
    seen = last_sweep if named["seen"] is None else named["seen"]
    tracked = Tracked(
        migration,
        Stay(migration.status, named["since"], named["slack"]),
        seen=named["first_seen"] if seen is None else seen,
        first_seen=named["first_seen"],
        counted=bool(named["counted"]),
        history=tuple(Stay(*stay) for stay in json.loads(named["history"])),
        move_over=bool(named["move_over"]),
        created_proven=bool(named["created_proven"]),
        heartbeat=named["heartbeat"],
        stuck_in=frozenset(json.loads(named["stuck_in"])),
        unseen_since=named["unseen_since"],
        verdict=_verdict_of(named["verdict"]),
        doubts=tuple(Doubt(*doubt) for doubt in json.loads(named["doubts"] or "[]")),
    )
    reason = named["stuck_reason"]
    return tracked, None if reason is None else Stuck(Reason(reason), named["stuck_since"])


def _verdict_of(text: str | None) -> Verdict:
    if text is None:
        return NO_VERDICT
    reason, since, proposed, proposed_since = json.loads(text)
    return Verdict(reason and Reason(reason), since, proposed and Reason(proposed), proposed_since)


_OF_MIGRATION = COLUMNS["live"][2:11]


def lookup_row(uuid: str, lookup: Lookup) -> Row:
    """Return the row of a record to be read."""
    record = None if lookup.tracked is None else json.dumps(live_row(lookup.tracked, None, None))
    return (uuid, lookup.queued, lookup.attempts, record, lookup.status, lookup.ended)


def lookup_of(row: Row) -> tuple[str, Lookup]:
    """Return the record to be read that stands in a row, and its uuid."""
    uuid, queued, attempts, record, status, ended = row
    tracked = None if record is None else live_of(tuple(json.loads(record)), None)[0]
    return uuid, Lookup(queued, attempts, tracked, status, ended)


def _stranded_text(stranded: Mapping[str, Stranded]) -> str | None:
    rows = [[astuple(each.server), each.since, each.sweeps] for each in stranded.values()]
    return json.dumps(rows) if rows else None


def _stranded_of(text: str | None) -> dict[str, Stranded]:
    found = [Stranded(Server(*server), since, sweeps) for server, since, sweeps in json.loads(text or "[]")]
    return {each.server.id: each for each in found}


def end_row(uuid: str, end: End) -> Row:
    """Return the row of an end that was seen."""
    return (uuid, end.status, end.stamp, end.created_at, int(end.counted))


def counter_rows(totals: Totals) -> Iterator[Row]:
    """Yield the rows of all counters above zero."""
    for family in _LABELS.keys() - _DISTRIBUTIONS:
        counts: Mapping[Any, int] = getattr(totals, family)
        yield from ((family, _labels_text(labels), value) for labels, value in counts.items() if value)


def distribution_rows(totals: Totals) -> Iterator[Row]:
    """Yield the rows of all distributions that have observations."""
    for family in _DISTRIBUTIONS:
        found: Mapping[Any, Distribution] = getattr(totals, family)
        for labels, each in found.items():
            if each.count:
                yield (family, _labels_text(labels), json.dumps(each.counts), each.total)


def unknown_rows(state: CloudState) -> Iterator[Row]:
    """Yield the rows of the statuses that the lifecycle table does not know."""
    return ((kind.value, name) for kind, name in state.unknown_pairs)


def state_of(times: Row, tables: Mapping[str, list[Row]]) -> CloudState:
    """Return what all rows of one cloud say; raises ValueError, TypeError or KeyError where they make no sense."""
    *moments, last_success, stranded = times
    known = Times(*moments)
    records = [live_of(row, known.last_sweep) for row in tables["live"]]
    return CloudState(
        times=known,
        live={tracked.migration.uuid: tracked for tracked, _ in records},
        stuck={tracked.migration.uuid: stuck for tracked, stuck in records if stuck is not None},
        ended={
            uuid: End(status, stamp, created, bool(counted))
            for uuid, status, stamp, created, counted in tables["ended"]
        },
        totals=_totals_of(tables),
        unknown_pairs=frozenset((MigrationType(kind), name) for kind, name in tables["unknown_status"]),
        last_success=last_success,
        lookups=dict(lookup_of(row) for row in tables["lookup"]),
        stranded=_stranded_of(stranded),
    )


def _totals_of(tables: Mapping[str, list[Row]]) -> Totals:
    families: dict[str, dict[Any, Any]] = {family: {} for family in _LABELS}
    for family, labels, value in tables["counter"]:
        families[family][_labels_of(family, labels)] = value
    for family, labels, counts, total in tables["distribution"]:
        distribution = Distribution(tuple(json.loads(counts)), total)
        if len(distribution.counts) != len(Distribution().counts):
            raise ValueError(f"{family} {labels}: {len(distribution.counts)} buckets")
        families[family][_labels_of(family, labels)] = distribution
    return Totals(**families)


def _labels_text(labels: str | tuple[str, ...]) -> str:
    return json.dumps([labels] if isinstance(labels, str) else labels)


def _labels_of(family: str, text: str) -> Any:
    values = [convert(value) for convert, value in zip(_LABELS[family], json.loads(text), strict=True)]
    return values[0] if len(values) == 1 else tuple(values)
