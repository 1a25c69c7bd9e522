"""Alerts on the exporter itself: whether it runs, sees its clouds, and tells all.

What belongs to a cloud fires once however many exporters watch it. What belongs to one process (down, state not durable)
keeps its instance, for each has to be mended by itself. They look five minutes back, so that a scrape that is missed, or a
restart, neither resolves them nor begins their wait anew.
"""

from __future__ import annotations

from functools import partial

from exporter.domain.cloud import ErrorKind
from tools.rules.rows import Alert, Dashboard, Group, Severity, asked, promql

#: The scrape jobs of the exporter, whatever stands before and behind.
_JOBS = 'job=~".*openstack-migration.*"'

_WHY = asked(
    "max by (reason) (increase(openstack_migration_poll_errors_total{cloud=%q}[30m])) > 0",
    ("cloud",),
    ', reason {{ range $i, $each := . | sortByLabel "reason" }}{{ if $i }}, {{ end }}{{ $each | label "reason" }}{{ end }}',
)

_of_exporter = partial(Alert, dashboard=Dashboard.EXPORTER)


def _failing(reason: ErrorKind) -> str:
    """Return the expression for clouds of which a process does not get any poll through, for a reason.

    Polls that fail are five minutes apart at most (exporter/poller.py, LONGEST_PAUSE).
    """
    return promql(f"""
        max by (cloud) (
          increase(openstack_migration_poll_errors_total{{reason="{reason}"}}[15m]) > 0
          and on (cloud, job, instance) last_over_time(openstack_migration_up[5m]) == 0
        )
    """)


HEALTH = Group(
    "openstack-migration-exporter",
    (
        _of_exporter(
            name="ExporterAbsent",
            severity=Severity.CRITICAL,
            expr=promql(f"""
                max by (job) (up{{{_JOBS}}}) == 0
                or
                absent(up{{{_JOBS}}})
            """),
            wait="5m",
            summary="No migration exporter answers, so nothing is known of migrations.",
            description="No exporter{{ with $labels.job }} of job {{ . }}{{ end }} can be scraped, or none is configured: no "
            "alert on migrations can fire meanwhile. The job of the exporter must have openstack-migration in its name.",
            variables=("job",),
        ),
        _of_exporter(
            name="ExporterDown",
            severity=Severity.WARNING,
            expr=promql(f"max by (job, instance) (up{{{_JOBS}}}) == 0"),
            wait="5m",
            summary="A migration exporter cannot be scraped.",
            description="The exporter {{ $labels.instance }} of job {{ $labels.job }} does not answer Prometheus.",
            variables=("job", "instance"),
        ),
        _of_exporter(
            name="PollFailing",
            severity=Severity.WARNING,
            expr=promql("max by (cloud) (last_over_time(openstack_migration_up[5m])) == 0"),
            wait="10m",
            summary="The exporter cannot poll a cloud.",
            description="No poll of cloud {{ $labels.cloud }} was complete for ten minutes"
            + _WHY
            + ". What is shown of it is what was last seen. The exporter's log, and its own page, have the whole message.",
        ),
        # A cloud of which no poll was ever complete has been silent since the exporter began.
        _of_exporter(
            name="DataStale",
            severity=Severity.CRITICAL,
            expr=promql("""
                time() - (
                  max by (cloud) (last_over_time(openstack_migration_last_success_timestamp_seconds[5m]))
                  or
                  max by (cloud) (
                    0 * last_over_time(openstack_migration_up[5m])
                    + on (job, instance) group_left () last_over_time(process_start_time_seconds[5m])
                  )
                )
                > 10 * max by (cloud) (last_over_time(openstack_migration_poll_interval_seconds[5m]))
            """),
            wait="10m",
            summary="What is known of the migrations of a cloud is old.",
            description="For {{ $value | humanizeDuration }} no poll of cloud {{ $labels.cloud }} was complete"
            + _WHY
            + ". New stuck migrations are not seen meanwhile. The exporter's log, and its own page, have the whole message.",
        ),
        _of_exporter(
            name="LoginRefused",
            severity=Severity.WARNING,
            expr=_failing(ErrorKind.AUTH),
            wait="5m",
            summary="A cloud refuses the exporter's credentials.",
            description="Polls of cloud {{ $labels.cloud }} fail with reason auth: Keystone refuses the login, or Nova the "
            "token. Put right the credentials in clouds.yaml: the next poll takes them up. What was handed over at the start, by "
            "systemd or in the environment, needs a restart.",
        ),
        _of_exporter(
            name="RightsMissing",
            severity=Severity.WARNING,
            expr=_failing(ErrorKind.FORBIDDEN),
            wait="5m",
            summary="The exporter may not list the migrations of a cloud.",
            description="Polls of cloud {{ $labels.cloud }} fail with reason forbidden: the policy of Nova does not let this "
            "user list migrations. openstack-migration-exporter check names the rule that is missing.",
        ),
        _of_exporter(
            name="FeatureUnavailable",
            severity=Severity.INFO,
            expr=promql("min by (cloud, feature) (last_over_time(openstack_migration_feature_available[5m])) == 0"),
            wait="15m",
            summary="A feature of the exporter is switched on but cannot be had.",
            description="Cloud {{ $labels.cloud }} does not give what {{ $labels.feature }} needs: rights or API lack it. "
            "openstack-migration-exporter check names the rights; else switch it off in the configuration.",
        ),
        # Counted once a record and process: a process that meets such a record at its start begins with it.
        _of_exporter(
            name="UnknownStatus",
            severity=Severity.INFO,
            expr=promql("""
                max by (cloud) (
                  (
                    last_over_time(openstack_migration_unknown_status_total[5m])
                    unless openstack_migration_unknown_status_total offset 1d
                  )
                  or increase(openstack_migration_unknown_status_total[1d])
                ) > 0
            """),
            wait="5m",
            summary="Nova has shown a status of a migration that the exporter does not know.",
            description="In cloud {{ $labels.cloud }} records were seen within the last day in a status that the exporter does "
            "not know. They count as live under that status in openstack_migrations: see whether a newer exporter knows it.",
        ),
        _of_exporter(
            name="ClockSkew",
            severity=Severity.WARNING,
            expr=promql("""
                max by (cloud) (abs(last_over_time(openstack_migration_clock_skew_seconds[5m])))
                > max by (cloud) (last_over_time(openstack_migration_poll_interval_seconds[5m]))
            """),
            wait="15m",
            summary="The clocks of a cloud and of the exporter differ by more than the time between two polls.",
            description="The clock of the API of cloud {{ $labels.cloud }} and that of the exporter are "
            "{{ $value | humanizeDuration }} apart. Durations are not wrong for it, but migrations may count as stuck late, and "
            "ages on dashboards are off: see to the time synchronisation of both.",
        ),
        _of_exporter(
            name="StateNotDurable",
            severity=Severity.WARNING,
            expr=promql("""
                min by (job, instance) (last_over_time(openstack_migration_exporter_state_durable[5m])) == 0
            """),
            wait="15m",
            summary="The exporter's counters would not survive a restart.",
            description="The exporter {{ $labels.instance }} of job {{ $labels.job }} cannot write its state, or was started "
            "without --state.path. While it cannot be written, counters stand still.",
            variables=("job", "instance"),
        ),
        _of_exporter(
            name="SeriesOmitted",
            severity=Severity.INFO,
            expr=promql("max by (cloud) (last_over_time(openstack_migration_series_omitted[5m])) > 0"),
            wait="15m",
            summary="There are more live migrations than get series of their own.",
            description="In cloud {{ $labels.cloud }} {{ $value }} live migrations have no series of their own; the stuck ones "
            "come first, but beyond the cap alerts on single migrations miss them. Raise limits.per_migration_series.",
        ),
    ),
)
