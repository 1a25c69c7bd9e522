"""What the web server shows, made from the newest views."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from exporter.domain.view import CloudView, LiveMigrationRecord, View
from exporter.landing import CloudStatus, MigrationStatus, StatusPage

Verdict = tuple[bool, str]


class ViewPages:
    """The pages of the exporter; asking for one never asks a cloud.

    `page_of_metrics` makes the page for an Accept header, `view` gives what is known now; `clock` is in epoch seconds.
    """

    def __init__(
        self,
        page_of_metrics: Callable[[str], tuple[bytes, str]],
        view: Callable[[], View],
        healthy: Callable[[], Verdict],
        ready: Callable[[], Verdict],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._page_of_metrics = page_of_metrics
        self._view = view
        self._healthy = healthy
        self._ready = ready
        self._clock = clock

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the page of metrics and its content type."""
        return self._page_of_metrics(accept)

    def status(self) -> StatusPage:
        """Return what the page for people shows."""
        view = self._view()
        return StatusPage(
            version=view.process.version,
            at=self._clock(),
            clouds=tuple(_cloud_status(cloud) for cloud in view.clouds),
            migrations=tuple(_migration_statuses(view.clouds)),
        )

    def healthy(self) -> Verdict:
        """Tell whether every poller runs."""
        return self._healthy()

    def ready(self) -> Verdict:
        """Tell whether every cloud was tried once."""
        return self._ready()


def _cloud_status(cloud: CloudView) -> CloudStatus:
    health = cloud.health
    return CloudStatus(cloud.cloud, health.up, health.last_success, health.error)


def _migration_statuses(clouds: Iterable[CloudView]) -> Iterable[MigrationStatus]:
    return (_migration_status(cloud.cloud, record) for cloud in clouds for record in cloud.live)


def _migration_status(cloud: str, record: LiveMigrationRecord) -> MigrationStatus:
    migration = record.migration
    return MigrationStatus(
        cloud=cloud,
        migration_id=migration.uuid,
        migration_type=migration.migration_type,
        status=record.status,
        since=record.since,
        server_id=migration.server_id,
        source_host=migration.source_host,
        dest_host=migration.dest_host,
        stuck=None if record.stuck is None else record.stuck.reason,
    )
