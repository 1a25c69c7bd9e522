"""The migrations as JSON, for programs: the same as the page for people, from the view alone."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from exporter.domain.advice import Advice, advice_on, advice_on_stranded
from exporter.domain.lifecycle import Phase
from exporter.domain.migration import Migration
from exporter.domain.server import Server
from exporter.domain.view import CloudView, LiveMigrationRecord, RecentEnd, StrandedServer, View
from exporter.filters import Filters

Json = dict[str, object]


def report(view: View, filters: Filters) -> tuple[bytes, str]:
    """Return what is asked for as JSON, and its content type.

    Times are RFC 3339 in UTC, to the second; what is not known is null, and every name is always there.
    """
    found = {
        "clouds": [_cloud(cloud) for cloud in view.clouds],
        "migrations": [
            _live(cloud.cloud, each)
            for cloud in view.clouds
            for each in cloud.live
            if filters.let_through(_traits_of_live(cloud.cloud, each))
        ],
        "stranded": [
            _stranded(cloud.cloud, each)
            for cloud in view.clouds
            for each in cloud.stranded
            if filters.let_through(_traits_of_stranded(cloud.cloud, each.server))
        ],
        "recent": [
            _recent(cloud.cloud, each)
            for cloud in view.clouds
            for each in cloud.recent
            if filters.let_through(_traits_of(cloud.cloud, each.migration, each.status))
        ],
    }
    return json.dumps(found, allow_nan=False).encode("ascii"), "application/json"


def _traits_of(
    cloud: str, migration: Migration, status: str, stuck: bool = False, host: str | None = None
) -> Mapping[str, Collection[str | None]]:
    return {
        "cloud": (cloud,),
        "migration_type": (migration.migration_type.value,),
        "status": (status,),
        "stuck": ("true" if stuck else "false",),
        "host": (migration.source_host, migration.dest_host, host),
        "server_id": (migration.server_id,),
    }


def _traits_of_live(cloud: str, record: LiveMigrationRecord) -> Mapping[str, Collection[str | None]]:
    host = None if record.server is None else record.server.host
    return _traits_of(cloud, record.migration, record.status, record.stuck is not None, host)


def _traits_of_stranded(cloud: str, server: Server) -> Mapping[str, Collection[str | None]]:
    """Return what a server can be asked for by: it has no migration, so neither a type nor a way of being stuck."""
    return {"cloud": (cloud,), "status": (server.status,), "host": (server.host,), "server_id": (server.id,)}


def _cloud(cloud: CloudView) -> Json:
    health = cloud.health
    return {
        "cloud": cloud.cloud,
        "up": health.up,
        "last_success": _time(health.last_success),
        "error": health.error,
        "microversion": health.microversion,
        "features": {feature.value: available for feature, available in health.features.items()},
    }


def _live(cloud: str, record: LiveMigrationRecord) -> Json:
    return {
        **_migration(cloud, record.migration, record.status, record.migration.row.phase),
        "since": _time(record.since),
        "deadline": _time(record.deadline),
        "server": _server(record.migration.server_id, record.server),
        "stuck": _stuck(record),
        "progress": _progress(record),
    }


def _recent(cloud: str, end: RecentEnd) -> Json:
    """Return a migration that ended: it has been in its last status since then, and its server is looked up no more."""
    return {
        **_migration(cloud, end.migration, end.status, Phase.ENDED),
        "since": _time(end.ended),
        "deadline": None,
        "server": _server(end.migration.server_id, None),
        "stuck": None,
        "progress": None,
        "ended": _time(end.ended),
        "outcome": end.outcome.value,
        "durations": {
            status: None if seconds is None else round(seconds, 3) for status, seconds in end.durations.items()
        },
    }


def _migration(cloud: str, migration: Migration, status: str, phase: Phase) -> Json:
    return {
        "cloud": cloud,
        "migration_id": migration.uuid,
        "migration_type": migration.migration_type.value,
        "status": status,
        "phase": phase.value,
        "created": _time(migration.created_at),
        "source_host": migration.source_host,
        "dest_host": migration.dest_host,
        "old_flavor": migration.old_flavor_id,
        "new_flavor": migration.new_flavor_id,
    }


def _server(server_id: str, seen: Server | None) -> Json:
    return {
        "id": server_id,
        "name": seen and seen.name,
        "project_id": seen and seen.project_id,
        "status": seen and seen.status,
        "vm_state": seen and seen.vm_state,
        "task_state": seen and seen.task_state,
        "power_state": seen and seen.power_state,
        "host": seen and seen.host,
    }


def _stuck(record: LiveMigrationRecord) -> Json | None:
    if record.stuck is None:
        return None
    return {"reason": record.stuck.reason.value, "since": _time(record.stuck.since), **_advice(advice_on(record))}


def _stranded(cloud: str, stranded: StrandedServer) -> Json:
    return {
        "cloud": cloud,
        "server": _server(stranded.server.id, stranded.server),
        "since": _time(stranded.since),
        **_advice(advice_on_stranded(stranded)),
    }


def _advice(advice: Advice | None) -> Json:
    return {"hint": advice and advice.hint, "commands": [] if advice is None else list(advice.commands)}


def _progress(record: LiveMigrationRecord) -> Json | None:
    """Return what a running live migration has moved, by Nova's own names of the counts."""
    moved = record.progress
    if moved is None:
        return None
    return {
        "memory_total_bytes": moved.memory_total,
        "memory_processed_bytes": moved.memory_processed,
        "memory_remaining_bytes": moved.memory_remaining,
        "disk_total_bytes": moved.disk_total,
        "disk_processed_bytes": moved.disk_processed,
        "disk_remaining_bytes": moved.disk_remaining,
        "updated": _time(record.progressed),
    }


def _time(at: float | None) -> str | None:
    """Return a time as RFC 3339; without fractions, which many a reader does not take. Null beyond the calendar, too."""
    if at is None:
        return None
    try:
        return f"{datetime.fromtimestamp(math.floor(at), UTC).replace(tzinfo=None).isoformat()}Z"
    except (ValueError, OverflowError, OSError):  # Nova's stamps reach to the ends of the calendar, a deadline beyond
        return None
