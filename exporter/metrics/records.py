"""The families of single records and servers: at most so many of each as the cap allows, none while the view is stale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from exporter.domain.server import Progress
from exporter.domain.view import CloudView, LiveMigrationRecord, StrandedServer
from exporter.metrics.catalogue import Family, Sample, gauge

_RECORD = ("migration_id",)
_PAIR = ("migration_type", "status")


def _singles(cloud: CloudView) -> tuple[LiveMigrationRecord, ...]:
    """Return the records that get series of their own."""
    return () if cloud.stale else cloud.live[: cloud.series_cap]


def _info(cloud: CloudView) -> Iterator[Sample]:
    for record in _singles(cloud):
        migration = record.migration
        yield (
            (
                migration.uuid,
                migration.migration_type,
                migration.server_id,
                migration.initiator_project_id or "",
                migration.source_host or "",
                migration.dest_host or "",
            ),
            1,
        )


def _entered(cloud: CloudView) -> Iterator[Sample]:
    for record in _singles(cloud):
        yield (record.migration.uuid, record.migration.migration_type, record.status), record.since


def _deadline(cloud: CloudView) -> Iterator[Sample]:
    for record in _singles(cloud):
        if record.deadline is not None:
            yield (record.migration.uuid,), record.deadline


def _stuck_info(cloud: CloudView) -> Iterator[Sample]:
    for record in _singles(cloud):
        if record.stuck is not None:
            migration = record.migration
            yield (
                (
                    migration.uuid,
                    migration.migration_type,
                    record.status,
                    record.stuck.reason,
                    migration.server_id,
                ),
                1,
            )


def _moved(amount: Callable[[Progress], int | None], cloud: CloudView) -> Iterator[Sample]:
    for record in _singles(cloud):
        if record.progress is not None and (number := amount(record.progress)) is not None:
            yield (record.migration.uuid,), number


def _progressed(cloud: CloudView) -> Iterator[Sample]:
    for record in _singles(cloud):
        if record.progressed is not None:
            yield (record.migration.uuid,), record.progressed


def _stranded_singles(cloud: CloudView) -> tuple[StrandedServer, ...]:
    """Return the stranded servers that get series of their own."""
    return () if cloud.stale else cloud.stranded[: cloud.series_cap]


def _stranded_info(cloud: CloudView) -> Iterator[Sample]:
    for each in _stranded_singles(cloud):
        yield (each.server.id, each.server.status, each.server.host or ""), 1


def _stranded_since(cloud: CloudView) -> Iterator[Sample]:
    for each in _stranded_singles(cloud):
        yield (each.server.id,), each.since


def _bytes(name: str, help_text: str, amount: Callable[[Progress], int | None]) -> Family:
    ending = (
        "a running live migration, up to the cap; absent where Nova does not tell, or features.live_progress is off."
    )
    return gauge(name, labels=_RECORD, help_text=f"{help_text} {ending}", samples=partial(_moved, amount))


RECORD_FAMILIES: tuple[Family, ...] = (
    gauge(
        "openstack_migration_stranded_info",
        labels=("server_id", "server_status", "host"),
        help_text="One per stranded server, up to the cap: its status, and the host that it is on.",
        samples=_stranded_info,
    ),
    gauge(
        "openstack_migration_stranded_since_timestamp_seconds",
        labels=("server_id",),
        help_text="Since when a stranded server is known to be so, up to the cap.",
        samples=_stranded_since,
    ),
    gauge(
        "openstack_migration_info",
        labels=(
            "migration_id",
            "migration_type",
            "server_id",
            "initiator_project_id",
            "source_host",
            "dest_host",
        ),
        help_text="One per live migration, up to the cap: what it moves and between which hosts.",
        samples=_info,
    ),
    gauge(
        "openstack_migration_status_timestamp_seconds",
        labels=(*_RECORD, *_PAIR),
        help_text="When a live migration entered its status, up to the cap.",
        samples=_entered,
    ),
    gauge(
        "openstack_migration_deadline_timestamp_seconds",
        labels=_RECORD,
        help_text="When a live migration will count as stuck, where that is finite, up to the cap.",
        samples=_deadline,
    ),
    gauge(
        "openstack_migration_stuck_info",
        labels=(*_RECORD, *_PAIR, "reason", "server_id"),
        help_text="One per stuck migration.",
        samples=_stuck_info,
    ),
    _bytes(
        "openstack_migration_memory_bytes",
        "Memory that is to be moved by",
        lambda progress: progress.memory_total,
    ),
    _bytes(
        "openstack_migration_memory_processed_bytes",
        "Memory that was moved so far, what changed meanwhile more than once, by",
        lambda progress: progress.memory_processed,
    ),
    _bytes(
        "openstack_migration_memory_remaining_bytes",
        "Memory that is still to be moved by",
        lambda progress: progress.memory_remaining,
    ),
    _bytes(
        "openstack_migration_disk_bytes",
        "Disk that is to be moved by",
        lambda progress: progress.disk_total,
    ),
    _bytes(
        "openstack_migration_disk_processed_bytes",
        "Disk that was moved so far by",
        lambda progress: progress.disk_processed,
    ),
    _bytes(
        "openstack_migration_disk_remaining_bytes",
        "Disk that is still to be moved by",
        lambda progress: progress.disk_remaining,
    ),
    gauge(
        "openstack_migration_progress_timestamp_seconds",
        labels=_RECORD,
        help_text="When a running live migration last moved data, up to the cap; absent where nothing tells.",
        samples=_progressed,
    ),
)
