"""What is chosen at the top of the dashboard: one migration, or those of a host."""

from __future__ import annotations

from tools.dashboards.queries import chosen, latest, series
from tools.dashboards.rows import Query

INFO = "openstack_migration_info"
ENTERED = "openstack_migration_status_timestamp_seconds"

ID = chosen("migration_id")
ON_ONE = "on (cloud, migration_id)"


def at(role: str) -> str:
    """Return the matcher for the chosen host as source_host or dest_host."""
    return f'{role}=~"$host"'


#: The chosen migrations, with the chosen host as source or as destination.
CHOSEN = f"({series(INFO, ID, at('source_host'))} or {series(INFO, ID, at('dest_host'))})"


def of_chosen(metric: str, *matchers: str) -> str:
    """Return what is said of the chosen migrations now."""
    return f"{latest(metric, ID, *matchers)} and {ON_ONE} {CHOSEN}"


def of_each(expr: str, name: str = "", *, now: bool = False) -> Query:
    """Return a query of single migrations, named by the first eight characters of their uuids: a legend has no room for all."""
    short = f'label_replace({expr}, "short", "$1", "migration_id", "(.{{8}}).*")'
    return Query(short, f"{name} {{{{short}}}}".lstrip(), now)
