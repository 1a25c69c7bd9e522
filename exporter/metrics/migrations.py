"""The families that tell of migrations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TypeVar

from exporter.domain.ledger import BUCKETS, BucketExemplars, Distribution
from exporter.domain.lifecycle import Reason, reasons_of, row_of
from exporter.domain.server import MOVING_STATUSES
from exporter.domain.view import CloudView
from exporter.metrics.catalogue import Family, Histogram, Sample, counter, gauge, histogram, single
from exporter.metrics.records import RECORD_FAMILIES

_PAIR = ("migration_type", "status")
K = TypeVar("K", bound=tuple[str, ...])


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


def _stranded(cloud: CloudView) -> Iterator[Sample]:
    counts = Counter(each.server.status for each in cloud.stranded)
    for status in MOVING_STATUSES:
        yield (status,), counts[status]


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


def _durations(
    distributions: Mapping[K, Distribution], exemplars: Mapping[K, BucketExemplars]
) -> Iterator[tuple[K, Histogram]]:
    for labels, distribution in distributions.items():
        yield labels, Histogram(BUCKETS, distribution.counts, distribution.total, exemplars.get(labels, ()))


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
        samples=lambda cloud: _durations(cloud.totals.status_durations, cloud.exemplars.status_durations),
    ),
    histogram(
        "openstack_migration_duration_seconds",
        labels=("migration_type", "outcome"),
        help_text="Time from the creation of a migration to the end of the move itself, without any confirmation.",
        samples=lambda cloud: _durations(cloud.totals.move_durations, cloud.exemplars.move_durations),
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
        "openstack_migration_servers_stranded",
        labels=("server_status",),
        help_text="Servers in the middle of a move that no live migration explains; 0 too without features.diagnosis.",
        samples=_stranded,
    ),
    *RECORD_FAMILIES,
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
