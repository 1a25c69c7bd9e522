"""Why a record is stuck, and since when: pure, from the records, what sweeps saw of their servers, and the cloud's time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from exporter.domain.lifecycle import MINUTE, UNKNOWN_STATUS, Actor, MigrationType, Phase, Reason
from exporter.domain.migration import Migration
from exporter.domain.server import MOVING_STATUSES, Progress, Server, Sighting
from exporter.domain.stranded import STRANDED_AFTER
from exporter.domain.tracked import Tracked, Verdict

#: What is wrong whatever the time: a record for which two sweeps agreed on one of these is stuck at once.
FAULTS = frozenset({Reason.SERVER_DELETING, Reason.SERVER_ERROR, Reason.ORPHANED, Reason.SOURCE_DOWN, Reason.DEST_DOWN})

#: Seconds beyond Nova's completion timeout: its clock starts with the monitor, after the status; an abort is rolled back
#: before the record ends (nova/virt/libvirt/driver.py, `_live_migration_monitor`; nova/compute/manager.py,
#: `_rollback_live_migration`).
COMPLETION_GRACE = 5 * MINUTE

#: Nova reckons memory, and the disks where they are copied, as at least so many GiB
#: (nova/virt/libvirt/driver.py, `_live_migration_data_gb`; it does so for each disk, but does not tell how many there are).
LEAST_GIB = 2.0

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Stuck:
    """A record that is stuck: why, and since when it counts as such (seconds since the epoch)."""

    reason: Reason
    since: float


@dataclass(frozen=True, slots=True)
class Limits:
    """When a record counts as stuck.

    `expected` holds seconds by type and status, infinity for never; the status `unknown` stands for all that the lifecycle
    table does not know. `no_progress` is how long a running live migration may stand still, in seconds;
    `completion_timeout_per_gib` how many seconds Nova gives it for each GiB of memory and disk, 0 for as many as it takes.
    `stranded_after` is how many seconds a server must be in a move without a record.
    """

    expected: Mapping[tuple[MigrationType, str], float]
    no_progress: float
    completion_timeout_per_gib: float = 0.0
    stranded_after: float = STRANDED_AFTER

    def of(self, tracked: Tracked) -> float:
        """Return the seconds that a record may stay in its status."""
        migration = tracked.migration
        known = migration.row.phase is not Phase.UNKNOWN
        return self.expected[migration.migration_type, migration.status if known else UNKNOWN_STATUS]


def judge(live: Mapping[str, Tracked], sighting: Sighting, at: float) -> dict[str, Verdict]:
    """Return the verdict on each live record of which a sweep at this time (the cloud's) tells anything, by uuid.

    `live` holds every live record, for of several of one server only the newest can be under way. A cross-cell resize is one
    record here: its two rows have the same uuid, and the tracker keeps the one further along.
    """
    newest = _newest_of_servers(live)
    verdicts: dict[str, Verdict] = {}
    for uuid, tracked in live.items():
        told = opinion(tracked, sighting, _age(tracked.migration) >= newest.get(tracked.migration.server_id, _NO_AGE))
        if told is not None:
            verdicts[uuid] = _weighed(tracked.verdict, told, at)
    return verdicts


def opinion(tracked: Tracked, sighting: Sighting, is_newest: bool) -> Reason | None:
    """Return what one sweep says of a record: a fault, OVERDUE where its server agrees with it, None where nothing can be told.

    UNDIAGNOSED takes back what was said before, where no more can be said: of a status that the lifecycle table does not
    know, or of a host that is up again while the server was not seen.
    """
    migration, verdict = tracked.migration, tracked.verdict
    server = sighting.server(migration.server_id)
    fault = None if server is None else _fault_of(server)
    if fault is not None:
        return fault
    agrees = None if server is None else _agrees(migration, server)
    if migration.row.phase is not Phase.UNKNOWN and (agrees is False or not is_newest):
        return Reason.ORPHANED
    down, is_up = _acting_host(tracked, sighting)
    if is_up is False:
        return down
    if agrees is None:
        return Reason.UNDIAGNOSED if is_up and down in (verdict.reason, verdict.proposed) else None
    return Reason.OVERDUE if agrees else Reason.UNDIAGNOSED


#: Task states and states of a server that is going or gone (nova/compute/task_states.py, vm_states.py).
_DELETING = frozenset({"deleting", "soft-deleting", "deleted", "soft-delete"})


def _fault_of(server: Server) -> Reason | None:
    """Return what is wrong with a server itself; one in ERROR that is built again is a REBUILD."""
    if server.task_state in _DELETING or server.vm_state in _DELETING:
        return Reason.SERVER_DELETING
    return Reason.SERVER_ERROR if server.status == "ERROR" else None


def _agrees(migration: Migration, server: Server) -> bool | None:
    """Tell whether a server is in a move of this kind and status; None where Nova does not show enough of it.

    A server without a vm_state is one whose task_state was not shown either. Waiting for a confirmation, and being confirmed,
    have no task, but a vm_state. The end of a live migration clears the task before it closes the record, on the destination
    or in a roll-back on the source (nova/compute/manager.py, `_post_live_migration`, `_rollback_live_migration`), so that
    the host tells no more than the task: one sweep may see that of a sound move, two do not.
    """
    if server.status == "UNKNOWN" or server.vm_state is None:
        return None
    row = migration.row
    if row.phase is Phase.UNKNOWN:
        return server.status in MOVING_STATUSES
    if server.task_state is None:
        return not row.heartbeat and None in row.task_states and server.vm_state == "resized"
    return server.task_state in row.task_states


_DOWN: Mapping[Actor, Reason] = {Actor.SOURCE: Reason.SOURCE_DOWN, Actor.DEST: Reason.DEST_DOWN}


def _acting_host(tracked: Tracked, sighting: Sighting) -> tuple[Reason | None, bool | None]:
    """Return the fault there is if the host that must act next is down, and whether it is up; None for not known.

    The host that an evacuation leaves is down by its nature, and is never the one to act. A dead record that Nova used again
    keeps the source of its first move (nova/conductor/tasks/migrate.py, `_preallocate_migration`).
    """
    host, actor = tracked.migration.acting_host, tracked.migration.row.actor
    if host is None or (actor is Actor.SOURCE and not tracked.created_proven):
        return _DOWN.get(actor), None
    return _DOWN.get(actor), sighting.hosts_up.get(host)


_NO_AGE = (-math.inf, -math.inf)


def _age(migration: Migration) -> tuple[float, float]:
    return (migration.stamp, migration.created_at)


def _newest_of_servers(live: Mapping[str, Tracked]) -> dict[str, tuple[float, float]]:
    """Return the age of the newest live record of each server; a status that may be an end does not count."""
    newest: dict[str, tuple[float, float]] = {}
    for tracked in live.values():
        migration = tracked.migration
        if migration.row.phase is not Phase.UNKNOWN:
            newest[migration.server_id] = max(newest.get(migration.server_id, _NO_AGE), _age(migration))
    return newest


def _weighed(verdict: Verdict, told: Reason, at: float) -> Verdict:
    """Return a verdict after one more sweep: it changes when two sweeps say the same.

    A first one that finds nothing wrong is taken at its word.
    """
    if told is verdict.reason:
        return replace(verdict, proposed=None, proposed_since=0.0)
    if told is verdict.proposed:
        return Verdict(told, verdict.proposed_since)
    if verdict.reason is None and told not in FAULTS:
        return Verdict(told, at)
    return replace(verdict, proposed=told, proposed_since=at)


def deadline_of(tracked: Tracked, limits: Limits, progress: Progress | None = None) -> float:
    """Return when a record will count as stuck if it stays in its status; infinity for never.

    A running live migration whose size is known has the time that Nova itself gives it; a threshold that the operator set
    holds too, where it is earlier.
    """
    since, expected = tracked.stay.since, limits.of(tracked)
    timeout = _completion_timeout(tracked.migration, limits, progress)
    if timeout is None:
        return since + expected
    own = math.inf if expected == tracked.migration.row.expected else expected
    return since + min(own, timeout + COMPLETION_GRACE)


def _completion_timeout(migration: Migration, limits: Limits, progress: Progress | None) -> float | None:
    """Return after how many seconds Nova aborts a live migration, or forces its end; None where that is not known.

    Post-copy has no such limit (nova/virt/libvirt/migration.py, `should_trigger_timeout_action`). A size of 0 is one that is
    not known yet.
    """
    if (migration.migration_type, migration.status) != (MigrationType.LIVE_MIGRATION, "running"):
        return None
    if progress is None or not progress.memory_total or limits.completion_timeout_per_gib <= 0:
        return None
    sizes = [size / _GIB for size in (progress.memory_total, progress.disk_total) if size]
    return limits.completion_timeout_per_gib * sum(max(LEAST_GIB, size) for size in sizes)


def find_late(
    records: Mapping[str, Tracked], limits: Limits, at: float, progress: Mapping[str, Progress]
) -> dict[str, Stuck]:
    """Return the records of which sweeps found something wrong, or that take too long, some of which may wait their turn.

    `progress` is what running live migrations have moved, by uuid.
    """
    found = {uuid: _stuck(each, limits, at, progress.get(uuid)) for uuid, each in records.items()}
    return {uuid: each for uuid, each in found.items() if each is not None}


def without_waiting(
    late: Mapping[str, Stuck], live: Mapping[str, Tracked], holders: Mapping[str, Tracked]
) -> dict[str, Stuck]:
    """Return the late records but those that wait their turn; `holders` are all that hold a queue.

    A queued live migration waits while another one that is not stuck itself runs from the same host
    (nova/conf/compute.py, `max_concurrent_live_migrations`).
    """
    queued = {
        uuid for uuid, each in late.items() if live[uuid].migration.status == "queued" and each.reason not in FAULTS
    }
    if not queued:
        return dict(late)
    busy = {each.migration.source_host for uuid, each in holders.items() if uuid not in late} - {None}
    waiting = {uuid for uuid in queued if live[uuid].migration.source_host in busy}
    return {uuid: each for uuid, each in late.items() if uuid not in waiting}


_HOLDS_THE_QUEUE = frozenset({"preparing", "running", "running (post-copy)"})


def holds_the_queue(tracked: Tracked) -> bool:
    """Tell whether other live migrations from the same host must wait for a record."""
    return tracked.migration.status in _HOLDS_THE_QUEUE


def next_moment(tracked: Tracked, limits: Limits, at: float, progress: Progress | None) -> float:
    """Return the time behind which what `find_late` says at another time may no longer hold; infinity for never."""
    moments = (_standstill_of(tracked, limits, progress), deadline_of(tracked, limits, progress))
    return min((each for each in moments if each >= at), default=math.inf)


def _stuck(tracked: Tracked, limits: Limits, at: float, progress: Progress | None) -> Stuck | None:
    """Return why and since when a record is stuck.

    One that the last sweep did not show takes no longer than when it was still shown: the cell that is down is at fault.
    """
    reason = tracked.verdict.reason
    if reason in FAULTS:
        return Stuck(reason, tracked.verdict.since)
    at = at if tracked.unseen_since is None else tracked.seen
    standstill = _standstill_of(tracked, limits, progress)
    if standstill < at:
        return Stuck(Reason.NO_PROGRESS, standstill)
    deadline = deadline_of(tracked, limits, progress)
    if at <= deadline:
        return None
    if tracked.migration.row.phase is Phase.WAITING:
        return Stuck(Reason.UNCONFIRMED, deadline)
    return Stuck(Reason.OVERDUE if reason is Reason.OVERDUE else Reason.UNDIAGNOSED, deadline)


def _standstill_of(tracked: Tracked, limits: Limits, progress: Progress | None) -> float:
    """Return when a record counts as standing still, for want of heartbeats while bytes remain.

    Only after a first heartbeat: drivers without statistics never write one (nova/virt/libvirt/driver.py,
    `_live_migration_monitor`, is the only writer).
    """
    if tracked.heartbeat is None or (progress is not None and progress.remaining == 0):
        return math.inf
    return tracked.heartbeat + limits.no_progress
