"""An exporter as it is written in an afternoon: each scrape lists all migrations with openstacksdk and counts them.

So do the many scripts and exporters that ask Nova while Prometheus waits; it is the shortest way that the SDK offers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from openstack.compute.v2.migration import Migration
from openstack.connection import Connection
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class MigrationsCollector(Collector):
    """The migrations of a cloud, counted anew at each scrape."""

    def __init__(self, connection: Connection) -> None:
        """Take a connection that is used for every scrape."""
        self._connection = connection

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Ask Nova for every migration there is, and yield their numbers."""
        family = GaugeMetricFamily("nova_migrations", "Migrations by type and status", labels=["type", "status"])
        for labels, number in counted(self._connection.compute.migrations()).items():
            family.add_metric(labels, number)
        yield family


def counted(migrations: Iterable[Migration]) -> Counter[tuple[str, str]]:
    """Return how many migrations there are of each type and status."""
    return Counter((each.migration_type, each.status) for each in migrations)
