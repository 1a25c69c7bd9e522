"""Alerts on what is stuck: one for each reason, so that each has its own runbook and a record fires once.

They look five minutes back, so that a restart of the exporter does not begin the wait anew, and keep firing for ten minutes
more, so that a longer outage of the exporter, or one of Nova of half an hour, neither resolves them nor pages a second time.
"""

from __future__ import annotations

from functools import partial

from exporter.domain.lifecycle import MigrationType, Reason
from tools.rules.rows import Alert, Dashboard, Group, Severity, asked, promql

#: A value as a time, to the second.
_MOMENT = '{{ (. | first | value | toTime).UTC.Format "2006-01-02 15:04:05 UTC" }}'

#: A value as a time, to the second.
_MOMENT = '{{ (. | first | value | toTime).UTC.Format "2006-01-02 15:04:05 UTC" }}'

_EVACUATION = f'migration_type="{MigrationType.EVACUATION}"'
_NO_EVACUATION = f'migration_type!="{MigrationType.EVACUATION}"'

_HOSTS = asked(
    "last_over_time(openstack_migration_info{cloud=%q,migration_id=%q}[5m])",
    ("cloud", "migration_id"),
    ' from {{ or (. | first | label "source_host") "an unknown host" }}'
    ' to {{ or (. | first | label "dest_host") "a host not yet chosen" }}',
)

_SINCE = asked(
    "last_over_time(openstack_migration_status_timestamp_seconds{cloud=%q,migration_id=%q,status=%q}[5m])",
    ("cloud", "migration_id", "status"),
    f" since {_MOMENT}",
)

_STRANDED_SINCE = asked(
    "last_over_time(openstack_migration_stranded_since_timestamp_seconds{cloud=%q,server_id=%q}[5m])",
    ("cloud", "server_id"),
    f" since {_MOMENT}",
)

_NO_DATA_SINCE = asked(
    "last_over_time(openstack_migration_progress_timestamp_seconds{cloud=%q,migration_id=%q}[5m])",
    ("cloud", "migration_id"),
    f" No data has moved since {_MOMENT}.",
)

_DOWN = asked(
    "last_over_time(openstack_migration_info{cloud=%q,migration_id=%q}[5m])",
    ("cloud", "migration_id"),
    ' Its {{ if eq $labels.reason "source_down" }}source {{ . | first | label "source_host" }}'
    '{{ else }}destination {{ . | first | label "dest_host" }}{{ end }}, which must act next, is down: bring it back.'
    "{{ else }} The host that must act next is down: bring it back.",
)

_RECORD = (
    "In cloud {{ $labels.cloud }} the {{ $labels.migration_type }} {{ $labels.migration_id }} of server "
    "{{ $labels.server_id }}" + _HOSTS + " is {{ $labels.status }}" + _SINCE + ", reason {{ $labels.reason }}."
)

_LOOK = " Look with: openstack server show {{ $labels.server_id }}; openstack server event list --long {{ $labels.server_id }}"

_SERVICES = "; openstack compute service list --service nova-compute"

_single = partial(
    Alert,
    wait="10m",
    keep="10m",
    dashboard=Dashboard.ONE,
    variables=("cloud", "migration_id"),
)


def _stuck(*reasons: Reason, only: str = "") -> str:
    """Return the expression for the records that are stuck for one of the reasons; `only` narrows them further."""
    operator, names = ("=~", "|".join(reasons)) if len(reasons) > 1 else ("=", reasons[0])
    selector = ",".join(filter(None, [f'reason{operator}"{names}"', only]))
    return promql(f"""
        max by (cloud, migration_id, migration_type, status, reason, server_id) (
          last_over_time(openstack_migration_stuck_info{{{selector}}}[5m])
        )
    """)


STUCK = Group(
    "openstack-migration-stuck",
    (
        _single(
            name="HostDown",
            severity=Severity.CRITICAL,
            expr=_stuck(Reason.SOURCE_DOWN, Reason.DEST_DOWN, only=_NO_EVACUATION),
            summary="A migration waits for a host whose nova-compute is down.",
            description=f"{_RECORD}{_DOWN}{_LOOK}{_SERVICES}",
        ),
        _single(
            name="ServerInError",
            severity=Severity.CRITICAL,
            expr=_stuck(Reason.SERVER_ERROR),
            summary="A migration has put its server into ERROR and never ended.",
            description=f"{_RECORD} Its server is in ERROR: read the fault, and see where its disk is, before you "
            f"mend it.{_LOOK}",
        ),
        Alert(
            name="ServerStranded",
            severity=Severity.CRITICAL,
            expr=promql("""
                max by (cloud, server_id, server_status, host) (
                  last_over_time(openstack_migration_stranded_info[5m])
                )
            """),
            wait="10m",
            keep="10m",
            summary="A server is in the middle of a move that no live migration explains.",
            description="In cloud {{ $labels.cloud }} server {{ $labels.server_id }} is in {{ $labels.server_status }} on host "
            '{{ or $labels.host "unknown" }}'
            + _STRANDED_SINCE
            + ", and no live migration is left that would bring it out of "
            "it." + _LOOK,
            dashboard=Dashboard.MIGRATIONS,
        ),
        _single(
            name="EvacuationNotFinished",
            severity=Severity.CRITICAL,
            expr=_stuck(Reason.OVERDUE, Reason.UNDIAGNOSED, Reason.DEST_DOWN, only=_EVACUATION),
            summary="An evacuation does not come to an end, and its server stays down.",
            description=f"{_RECORD} Its server is down until it is built on another host: ask for the evacuation again, or close "
            f"its record, before the old host comes back.{_LOOK}{_SERVICES}",
        ),
        _single(
            name="Overdue",
            severity=Severity.WARNING,
            expr=_stuck(Reason.OVERDUE, Reason.UNDIAGNOSED, only=_NO_EVACUATION),
            summary="A migration stays in a status for longer than it should.",
            description=f"{_RECORD} That is longer than openstack_migration_expected_seconds allows, or Nova's own limit for its "
            f"size: read the log of the service that must act next.{_LOOK}",
        ),
        _single(
            name="NoProgress",
            severity=Severity.WARNING,
            expr=_stuck(Reason.NO_PROGRESS),
            summary="A running live migration moves no data.",
            description=f"{_RECORD}{_NO_DATA_SINCE} See libvirt, and the network between the two hosts.{_LOOK}{_SERVICES}",
        ),
        _single(
            name="Orphaned",
            severity=Severity.WARNING,
            expr=_stuck(Reason.ORPHANED),
            summary="A migration record is stale, for its server is no longer in that move.",
            description=f"{_RECORD} Only the record is stale, and no user notices: check that, then close it.{_LOOK}",
        ),
        _single(
            name="ServerDeleting",
            severity=Severity.WARNING,
            expr=_stuck(Reason.SERVER_DELETING),
            summary="A server is being deleted while it moves, and neither comes to an end.",
            description=f"{_RECORD} The deletion seems to hang: look at nova-compute on the server's host.{_LOOK}",
        ),
        _single(
            name="ResizeUnconfirmed",
            severity=Severity.WARNING,
            expr=_stuck(Reason.UNCONFIRMED),
            summary="A move waits for its confirmation beyond the window that the cloud allows.",
            description=f"{_RECORD} It holds the space of two hosts until it is confirmed or reverted, and Nova should have "
            f"confirmed it by now: while the source is down, it cannot.{_LOOK}{_SERVICES}",
        ),
        Alert(
            name="ResizeForgotten",
            severity=Severity.INFO,
            expr=promql("""
                count by (cloud, migration_type, status) (
                  time() - max by (cloud, migration_id, migration_type, status) (
                    last_over_time(openstack_migration_status_timestamp_seconds{status="finished"}[5m])
                  ) > 7 * 86400
                  unless on (cloud, migration_id) last_over_time(openstack_migration_stuck_info[5m])
                )
                and
                max by (cloud, migration_type, status) (
                  last_over_time(openstack_migration_expected_seconds{status="finished"}[5m])
                ) == Inf
            """),
            wait="1h",
            keep="10m",
            summary="Moves have been left unconfirmed for more than seven days.",
            description="Records of type {{ $labels.migration_type }} that have been {{ $labels.status }} in cloud "
            "{{ $labels.cloud }} for more than seven days: {{ $value }}. Neither a window nor a threshold is set for them. Each "
            "holds the space of two hosts, and is often not billed: ask the owners of the servers to confirm or to revert.",
            dashboard=Dashboard.MIGRATIONS,
            variables=("cloud", "migration_type"),
        ),
    ),
)
