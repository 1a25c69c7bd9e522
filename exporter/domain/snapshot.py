"""What one poll returned of a cloud, and what follows from that alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.domain.cloud import Deletion
from exporter.domain.migration import Migration
from exporter.domain.server import Action, Progress, Sighting

#: Nova's clocks agree to about so much, and some databases keep whole seconds: while the newest record is younger than
#: this at the first look, others may yet be created with its time.
SAME_MOMENT = 10.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The records that one poll returned.

    `begun` is the cloud's time when the poll began. A `complete` snapshot asked for all that is live. `newest` is the record
    created last, asked for before everything else at a first look. `deletions` are proofs, by server.

    `exact` tells that what is in doubt can be read from the actions of servers; `actions` are those read, by record, with
    their steps, None where Nova knows nothing (any more); `unread` are the records for which that failed. `sighting` is what
    was seen of servers and hosts, if anything; `progress` what running live migrations have moved, by record.
    """

    migrations: tuple[Migration, ...]
    begun: float
    complete: bool
    newest: Migration | None = None
    deletions: Mapping[str, Deletion] = field(default_factory=dict)
    exact: bool = False
    actions: Mapping[str, Sequence[Action] | None] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    sighting: Sighting | None = None
    progress: Mapping[str, Progress] = field(default_factory=dict)


def baseline_of(snapshot: Snapshot) -> float:
    """Return the time from which on created records are new: that of the newest record, or just after it.

    What was created in the same second as a newest record long past was there before the first look. A newest record from the
    future, written by a clock that ran ahead, must not hide what begins until then.
    """
    if snapshot.newest is None:
        return -math.inf
    created = snapshot.newest.created_at
    if snapshot.begun - created < SAME_MOMENT:
        return min(created, snapshot.begun)
    return math.nextafter(created, math.inf)


def furthest(migrations: Iterable[Migration]) -> dict[str, Migration]:
    """Return one answer for each uuid: the one further along, then the newer, then the one that tells more.

    A cross-cell resize leaves a stale twin in the other cell, and a record may move on between two questions.
    """
    chosen: dict[str, Migration] = {}
    for migration in migrations:
        rival = chosen.get(migration.uuid)
        if rival is None or _order(migration) > _order(rival):
            chosen[migration.uuid] = migration
    return chosen


def _order(migration: Migration) -> tuple[int, float, str, bool, str, str]:
    written = (migration.updated_at is not None, migration.dest_host or "", migration.source_host or "")
    return (migration.row.rank, migration.stamp, migration.status, *written)
