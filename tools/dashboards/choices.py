"""What can be chosen at the top of every dashboard, and the links that hand it on."""

from __future__ import annotations

from tools.dashboards.queries import series
from tools.dashboards.rows import Variable
from tools.rules.rows import Dashboard

_BUILD = "openstack_migration_exporter_build_info"

COMMON = (
    Variable("job", "Job", f"label_values({_BUILD}, job)", "The scrape job of the exporter."),
    Variable(
        "instance",
        "Instance",
        f'label_values({_BUILD}{{job=~"$job"}}, instance)',
        "One exporter; two that watch the same cloud count once.",
    ),
    Variable(
        "cloud",
        "Cloud",
        'label_values(openstack_migration_up{job=~"$job",instance=~"$instance"}, cloud)',
        "The clouds that the exporter watches.",
    ),
    Variable(
        "migration_type",
        "Type",
        'label_values(openstack_migrations{job=~"$job",instance=~"$instance",cloud=~"$cloud"}, migration_type)',
        "How a server moves: resize, migration (cold), live-migration or evacuation.",
    ),
)

_INFO = series("openstack_migration_info")

MIGRATION = Variable(
    "migration_id",
    "Migration",
    f"label_values({_INFO}, migration_id)",
    "The migration's uuid; those that were live within the time shown are offered, and any other can be typed in.",
)

HOST = Variable(
    "host",
    "Host",
    "query_result(count by (host) ("
    f'label_replace(last_over_time({_INFO}[$__range]), "host", "$1", "source_host", "(.+)")'
    " or "
    f'label_replace(last_over_time({_INFO}[$__range]), "host", "$1", "dest_host", "(.+)")))',
    "A compute host, as source or destination.",
    every=".*",
    regex='/host="([^"]+)"/',
)

_KEPT = "${__url_time_range}&${datasource:queryparam}&${job:queryparam}&${instance:queryparam}"


def to_migration(cloud: str = "${__data.fields.Cloud}") -> str:
    """Return the link from a cell with a migration's uuid to its own dashboard."""
    return f"/d/{Dashboard.ONE}?{_KEPT}&var-cloud={cloud}&var-migration_id=${{__value.raw}}"


def to_host(cloud: str = "${__data.fields.Cloud}") -> str:
    """Return the link from a cell with a host to the moves of that host."""
    return f"/d/{Dashboard.ONE}?{_KEPT}&var-cloud={cloud}&var-host=${{__value.raw}}"
