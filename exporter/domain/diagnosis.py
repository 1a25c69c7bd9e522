"""Which records are stuck, and why: pure, from the records and the cloud's time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from exporter.domain.lifecycle import UNKNOWN_STATUS, MigrationType, Phase, Reason
from exporter.domain.tracked import Tracked


@dataclass(frozen=True, slots=True)
class Stuck:
    """A record that is stuck: why, and since when it counts as such (seconds since the epoch)."""

    reason: Reason
    since: float


@dataclass(frozen=True, slots=True)
class Limits:
    """When a record counts as stuck.

    `expected` holds seconds by type and status, infinity for never; the status `unknown` stands for all that the lifecycle
    table does not know. `no_progress` is how long a running live migration may stand still, in seconds.
    """

    expected: Mapping[tuple[MigrationType, str], float]
    no_progress: float

    def of(self, tracked: Tracked) -> float:
        """Return the seconds that a record may stay in its status."""
        migration = tracked.migration
        known = migration.row.phase is not Phase.UNKNOWN
        return self.expected[migration.migration_type, migration.status if known else UNKNOWN_STATUS]


def deadline_of(tracked: Tracked, limits: Limits) -> float:
    """Return when a record will count as stuck if it stays in its status; infinity for never."""
    return tracked.stay.since + limits.of(tracked)


def find_stuck(live: Mapping[str, Tracked], limits: Limits, at: float) -> dict[str, Stuck]:
    """Return the live records that have been in their status for too long, by uuid.

    A queued live migration waits its turn while another one that is not stuck itself runs from the same host
    (nova/conf/compute.py, `max_concurrent_live_migrations`).
    """
    stuck = {uuid: found for uuid, each in live.items() if (found := _overdue(each, limits, at)) is not None}
    busy = {
        each.migration.source_host
        for uuid, each in live.items()
        if uuid not in stuck and each.migration.status in _HOLDS_THE_QUEUE
    }
    waiting = [uuid for uuid in stuck if _waits_its_turn(live[uuid], busy)]
    for uuid in waiting:
        del stuck[uuid]
    return stuck


_HOLDS_THE_QUEUE = frozenset({"preparing", "running", "running (post-copy)"})


def _waits_its_turn(tracked: Tracked, busy: set[str | None]) -> bool:
    migration = tracked.migration
    return migration.status == "queued" and migration.source_host is not None and migration.source_host in busy


def _overdue(tracked: Tracked, limits: Limits, at: float) -> Stuck | None:
    """Return why and since when a record is stuck by time alone."""
    since = min(deadline_of(tracked, limits), _standstill_of(tracked, limits))
    if at <= since:
        return None
    waiting = tracked.migration.row.phase is Phase.WAITING
    return Stuck(Reason.UNCONFIRMED if waiting else Reason.UNDIAGNOSED, since)


def _standstill_of(tracked: Tracked, limits: Limits) -> float:
    """Return when a record counts as standing still, for want of heartbeats.

    Only after a first heartbeat: drivers without statistics never write one (nova/virt/libvirt/driver.py,
    `_live_migration_monitor`, is the only writer).
    """
    if tracked.heartbeat is None:
        return math.inf
    return tracked.heartbeat + limits.no_progress
