"""Alerts on how moves end, and on those that wait for their turn.

Two exporters that watch one cloud count the same increases from different beginnings: so the increase comes first, and the
larger of them afterwards.
"""

from __future__ import annotations

from tools.rules.rows import Alert, Dashboard, Group, Record, Severity, asked, promql

_ENDS = "cloud_migration_type_outcome:openstack_migration_duration_seconds_count:increase1h"
_HOST_FAILURES = "cloud_host_role:openstack_migrations_ended_per_host_failure:increase1h"
_OF_HOSTS = 'openstack_migrations_ended_per_host_total{outcome="failure"}'

_WAITING = asked(
    "openstack_migrations{cloud=%q,migration_type=%q,status=%q}",
    ("cloud", "migration_type", "status"),
    " {{ . | first | value }} wait.",
)

OUTCOMES = Group(
    "openstack-migration-outcomes",
    (
        Record(
            _ENDS,
            promql("""
                max by (cloud, migration_type, outcome) (
                  increase(openstack_migration_duration_seconds_count[1h])
                )
            """),
        ),
        # A host has no series before its first end: where the exporter was scraped an hour ago, a series that was not there
        # then began at zero.
        Record(
            _HOST_FAILURES,
            promql(f"""
                max by (cloud, host, role) (
                  sum without (migration_type, outcome) (
                    (
                      last_over_time({_OF_HOSTS}[5m])
                      unless {_OF_HOSTS} offset 1h
                      and on (cloud, job, instance) openstack_migration_polls_total offset 1h
                    )
                    or increase({_OF_HOSTS}[1h])
                  )
                )
            """),
        ),
        Alert(
            name="FailureRatioHigh",
            severity=Severity.CRITICAL,
            expr=promql(f"""
                sum by (cloud, migration_type) ({_ENDS}{{outcome="failure"}})
                / sum by (cloud, migration_type) ({_ENDS})
                > 0.5
                and
                sum by (cloud, migration_type) ({_ENDS}{{outcome="failure"}}) >= 5
            """),
            wait="5m",
            summary="More than half of the moves of a type fail.",
            description="In cloud {{ $labels.cloud }} {{ $value | humanizePercentage }} of the moves of type "
            "{{ $labels.migration_type }} that came to an end within the last hour have failed, five of them at least.",
            dashboard=Dashboard.MIGRATIONS,
            variables=("cloud", "migration_type"),
        ),
        Alert(
            name="FailuresOnOneHost",
            severity=Severity.WARNING,
            expr=promql(f"""
                {_HOST_FAILURES} >= 5
                and
                {_HOST_FAILURES}
                / on (cloud, role) group_left () sum by (cloud, role) ({_HOST_FAILURES})
                > 0.5
            """),
            wait="5m",
            summary="Moves fail, and most of the failed ones have one host in common.",
            description="In cloud {{ $labels.cloud }} host {{ $labels.host }} was the {{ $labels.role }} of "
            '{{ $value | printf "%.0f" }} moves that failed within the last hour, more than half of all that failed.',
            dashboard=Dashboard.ONE,
            variables=("cloud", "host"),
        ),
        Alert(
            name="EndCorrectedToError",
            severity=Severity.WARNING,
            expr=promql("""
                max by (cloud, migration_type, from_status, to_status) (
                  increase(openstack_migration_end_corrections_total{to_status="error"}[1h])
                ) > 0
            """),
            wait="5m",
            summary="A migration was set to error after it had ended.",
            description="Records of type {{ $labels.migration_type }} that Nova has set from {{ $labels.from_status }} to "
            '{{ $labels.to_status }} in cloud {{ $labels.cloud }} within the last hour: {{ $value | printf "%.0f" }}. The move '
            "was counted under its first end, but its server may be in ERROR. See the last ends on the exporter's own page.",
            dashboard=Dashboard.MIGRATIONS,
            variables=("cloud", "migration_type"),
        ),
        Alert(
            name="Backlog",
            severity=Severity.INFO,
            expr=promql("""
                time() - min by (cloud, migration_type, status) (
                  last_over_time(openstack_migration_oldest_timestamp_seconds{status="queued"}[5m])
                )
                > 0.5 * max by (cloud, migration_type, status) (
                  last_over_time(openstack_migration_expected_seconds{status="queued"}[5m])
                )
            """),
            wait="15m",
            summary="Moves wait in the queue of their source host for more than half of the time allowed.",
            description="In cloud {{ $labels.cloud }} the oldest {{ $labels.migration_type }} that is {{ $labels.status }} has "
            "waited for {{ $value | humanizeDuration }}." + _WAITING + " Each source runs as many at a time as "
            "max_concurrent_live_migrations in its nova.conf says; beyond openstack_migration_expected_seconds they count as "
            "stuck.",
            dashboard=Dashboard.MIGRATIONS,
            variables=("cloud", "migration_type"),
        ),
    ),
)
