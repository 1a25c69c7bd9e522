"""What is stuck and why, what is stranded, and what waits for a person."""

from __future__ import annotations

from exporter.domain.lifecycle import Reason
from tools.dashboards import colours
from tools.dashboards.choices import to_host
from tools.dashboards.colours import REASONS, STATUSES, WAITING_STATUSES
from tools.dashboards.columns import (
    CLOUD,
    DEST,
    MIGRATION,
    PROJECT,
    REASON,
    SERVER,
    SOURCE,
    STATUS,
    TYPE,
    deadline,
    since,
)
from tools.dashboards.queries import age, latest, one_of, pace, per_hour, series, total
from tools.dashboards.rows import Column, Kind, Mark, Panel, Query, Section, Unit, now

_INFO = "openstack_migration_info"
_STUCK = "openstack_migration_stuck_info"
_ENTERED = "openstack_migration_status_timestamp_seconds"
_DEADLINE = "openstack_migration_deadline_timestamp_seconds"
_BEGINNINGS = "openstack_migrations_became_stuck_total"
_STRANDED = "openstack_migration_stranded_since_timestamp_seconds"

_ONE = "on (cloud, migration_id)"
_WAITS = one_of("status", WAITING_STATUSES)


def _waiting() -> str:
    """Return the twenty moves that wait longest for a person, with their hosts."""
    hosts = latest(_INFO)
    joined = f"({age(_ENTERED, _WAITS)}) * {_ONE} group_left (server_id, source_host, dest_host, initiator_project_id) {hosts}"
    return f"topk(20, {joined})"


STUCK = Section(
    200,
    "Stuck",
    (
        Panel(
            id=201,
            kind=Kind.TABLE,
            title="Stuck migrations",
            description="Every record that is stuck, and why. Click on a migration for its details, or on a host for its other "
            "moves; the runbooks say what to do for each reason. Stale records (orphaned) harm nobody: their server is well.",
            queries=now(
                latest(_STUCK),
                f"{latest(_INFO)} and {_ONE} {series(_STUCK)}",
                f"({age(_ENTERED)}) and on (cloud, migration_id, status) {series(_STUCK)}",
                f"1000 * {latest(_DEADLINE)} and {_ONE} {series(_STUCK)}",
            ),
            none="Nothing is stuck",
            width=24,
            height=9,
            sort="-Value #C",
            columns=(
                CLOUD,
                TYPE,
                STATUS,
                REASON,
                since("Value #C"),
                deadline("Value #D"),
                SOURCE,
                DEST,
                SERVER,
                MIGRATION,
            ),
            runbooks=("HostDown", "ServerInError", "Overdue", "NoProgress", "EvacuationNotFinished", "Orphaned"),
        ),
        Panel(
            id=204,
            kind=Kind.TIMESERIES,
            title="Stuck by reason",
            description="How many records are stuck, and why. Red ones mean that a host is down or a server in error and page; "
            "orange and yellow ones can wait for the morning; purple ones are stale records only.",
            queries=tuple(
                Query(total(latest("openstack_migrations_stuck", one_of("reason", [reason])), "reason"), "{{reason}}")
                for reason in Reason
            ),
            none="No exporter answers",
            zero=True,
            stacked=True,
            colours=REASONS,
        ),
        Panel(
            id=205,
            kind=Kind.TIMESERIES,
            title="Became stuck, per hour",
            description="How often records become stuck, by the status in which they did: once for each record and status. A "
            "burst in one status points at one cause, mostly a host or a service.",
            queries=(Query(per_hour(total(pace(_BEGINNINGS), "status")), "{{status}}"),),
            none="No exporter answers",
            unit=Unit.PER_HOUR,
            zero=True,
            colours=STATUSES,
        ),
        Panel(
            id=202,
            kind=Kind.TABLE,
            title="Stranded servers",
            description="Servers in the middle of a move although no live migration is left that would end it. Look at the "
            "server's events, then bring it out of this status by hand as the runbook says.",
            queries=now(
                f"({age(_STRANDED)}) * on (cloud, server_id) group_left (server_status, host) "
                + latest("openstack_migration_stranded_info")
            ),
            none="No server is stranded",
            width=24,
            height=6,
            sort="-Value",
            columns=(
                CLOUD,
                Column("server_status", "Status", Unit.TEXT, width=130),
                since(),
                Column("host", "Host", Unit.TEXT, link=to_host()),
                SERVER,
            ),
            runbooks=("ServerStranded",),
        ),
        Panel(
            id=203,
            kind=Kind.TABLE,
            title="Longest unconfirmed",
            description="The twenty moves that have waited longest for somebody to confirm or to revert them. Each holds the "
            "space of two hosts: ask the project that owns the server.",
            queries=now(_waiting()),
            none="Nothing waits for a confirmation",
            width=24,
            height=7,
            sort="-Value",
            columns=(
                CLOUD,
                TYPE,
                since(),
                SOURCE,
                DEST,
                PROJECT,
                SERVER,
                MIGRATION,
            ),
            runbooks=("ResizeUnconfirmed", "ResizeForgotten"),
        ),
    ),
)

#: A record that is stuck and was not a minute ago; ten minutes without data make no beginning.
BECAME_STUCK = Mark(
    "Became stuck",
    f"{latest(_STUCK)} unless on (cloud, migration_id, status) last_over_time({series(_STUCK)}[10m] offset 1m)",
    "{{migration_type}} stuck in {{status}}",
    "{{reason}}: server {{server_id}}, migration {{migration_id}} in {{cloud}}",
    ("cloud", "migration_type", "reason"),
    colours.STUCK,
)
