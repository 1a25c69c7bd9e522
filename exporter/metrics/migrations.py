"""The families that tell of migrations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from exporter.domain.ledger import BUCKETS, Distribution
from exporter.domain.lifecycle import Reason, reasons_of, row_of
from exporter.domain.view import CloudView, LiveMigrationRecord
from exporter.metrics.catalogue import Family, Histogram, Kind, Sample, per_cloud

_PAIR = ("migration_type", "status")
_RECORD = ("migration_id",)


def _live(cloud: CloudView) -> Iterator[Sample]:
    counts = Counter((record.migration.migration_type, record.status) for record in cloud.live)
    for kind, status in cloud.expected:
        yield (kind, status), counts[kind, status]


def _oldest(cloud: CloudView) -> Iterator[Sample]:
    oldest: dict[tuple[str, str], float] = {}
    for record in cloud.live:
        if record.stuck is None or record.stuck.reason is not Reason.ORPHANED:
            pair = (record.migration.migration_type, record.status)
            oldest[pair] = min(record.since, oldest.get(pair, record.since))
    yield from sorted(oldest.items())


def _stuck(cloud: CloudView) -> Iterator[Sample]:
    counts = Counter(
        (record.migration.migration_type, record.status, record.stuck.reason)
        for record in cloud.live
        if record.stuck is not None
    )
    for kind, status in cloud.expected:
        for reason in reasons_of(row_of(kind, status)):
            yield (kind, status, reason), counts[kind, status, reason]


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


def _per_host(cloud: CloudView) -> Iterator[Sample]:
    if not cloud.per_host:
        return
    counts: Counter[tuple[str, str, str]] = Counter()
    for record in cloud.live:
        migration = record.migration
        for role, host in (("source", migration.source_host), ("dest", migration.dest_host)):
            if host is not None:
                counts[host, role, migration.migration_type] += 1
    yield from sorted(counts.items())


def _durations(items: Iterable[tuple[tuple[str, ...], Distribution]]) -> Iterator[Sample]:
    for labels, distribution in items:
        yield labels, Histogram(BUCKETS, distribution.counts, distribution.total)


def single(value: Callable[[CloudView], float | None], cloud: CloudView) -> Iterator[Sample]:
    """Yield the one sample of a cloud, none where its value is not known."""
    number = value(cloud)
    if number is not None:
        yield (), number


gauge = partial(per_cloud, kind=Kind.GAUGE)
counter = partial(per_cloud, kind=Kind.COUNTER)
histogram = partial(per_cloud, kind=Kind.HISTOGRAM)

MIGRATION_FAMILIES: tuple[Family, ...] = (
    gauge(
        "openstack_migrations",
        labels=_PAIR,
        help_text="Migration records that have not ended.",
        samples=_live,
    ),
    counter(
        "openstack_migrations_started_total",
        labels=("migration_type",),
        help_text="Migration records that began; never those already there at a first look without state.",
        samples=lambda cloud: (((kind,), count) for kind, count in cloud.totals.started.items()),
    ),
    counter(
        "openstack_migrations_ended_total",
        labels=_PAIR,
        help_text="Migration records that reached an end; status deleted where the server was deleted first.",
        samples=lambda cloud: cloud.totals.ended.items(),
    ),
    counter(
        "openstack_migration_end_corrections_total",
        labels=("migration_type", "from_status", "to_status"),
        help_text="Ends that Nova later replaced by another end.",
        samples=lambda cloud: cloud.totals.corrections.items(),
    ),
    histogram(
        "openstack_migration_status_duration_seconds",
        labels=_PAIR,
        help_text="Time that migrations spent in a live status, observed when it is left.",
        samples=lambda cloud: _durations(cloud.totals.status_durations.items()),
    ),
    histogram(
        "openstack_migration_duration_seconds",
        labels=("migration_type", "outcome"),
        help_text="Time from the creation of a migration to the end of the move itself, without any confirmation.",
        samples=lambda cloud: _durations(cloud.totals.move_durations.items()),
    ),
    counter(
        "openstack_migration_statuses_unobserved_total",
        labels=_PAIR,
        help_text="Statuses that were passed but whose length nothing proves.",
        samples=lambda cloud: cloud.totals.unobserved.items(),
    ),
    gauge(
        "openstack_migration_oldest_timestamp_seconds",
        labels=_PAIR,
        help_text="When the record longest in this status entered it, orphaned ones apart; absent where there is none.",
        samples=_oldest,
    ),
    gauge(
        "openstack_migration_expected_seconds",
        labels=_PAIR,
        help_text="Time after which a record in this status counts as stuck; +Inf is never.",
        samples=lambda cloud: cloud.expected.items(),
    ),
    gauge(
        "openstack_migrations_stuck",
        labels=("migration_type", "status", "reason"),
        help_text="Migrations that are stuck now, by reason.",
        samples=_stuck,
    ),
    counter(
        "openstack_migrations_became_stuck_total",
        labels=_PAIR,
        help_text="Times that a migration became stuck in a status: once per migration and status.",
        samples=lambda cloud: cloud.totals.became_stuck.items(),
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
    gauge(
        "openstack_migrations_per_host",
        labels=("host", "role", "migration_type"),
        help_text="Live migrations by source and destination host; only with features.per_host.",
        samples=_per_host,
    ),
    counter(
        "openstack_migrations_ended_per_host_total",
        labels=("host", "role", "migration_type", "outcome"),
        help_text="Ended migrations by source and destination host; only with features.per_host.",
        samples=lambda cloud: cloud.totals.ended_per_host.items(),
    ),
    gauge(
        "openstack_migrations_ignored",
        labels=(),
        help_text="Live records left out because the configuration says to ignore them.",
        samples=partial(single, lambda cloud: cloud.ignored),
    ),
    gauge(
        "openstack_migration_records_unseen",
        labels=(),
        help_text="Live records that a complete sweep did not return and nothing explains: most often a cell is down.",
        samples=partial(single, lambda cloud: sum(record.unseen for record in cloud.live)),
    ),
    gauge(
        "openstack_migration_series_omitted",
        labels=(),
        help_text="Live records beyond limits.per_migration_series, which have no series of their own.",
        samples=partial(single, lambda cloud: max(0, len(cloud.live) - cloud.series_cap)),
    ),
)
