"""A host dies during a cold migration: what Nova, the exporter and the alerts say of it, until it is mended.

Nova and Keystone are real, and Nova itself finds out that the host is dead: nobody forces it down. Only the exporter's and the
rules' times are shorter than the default, so that an hour's wait is a minute's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.acceptance.test_scenarios import do
from tests.alerts.delivery import (
    Mailbox,
    Prometheus,
    Target,
    Told,
    alertmanager,
    alertmanager_config,
    prometheus,
)
from tests.realcloud.cloud import RealCloud
from tests.running import Exporter, eventually

#: After how many seconds without a sign of life Nova counts a service as down: its default of service_down_time.
SERVICE_DOWN_TIME = 60.0

#: Seconds between two sweeps; the default is 300.
SWEEP = 5.0

#: Seconds that one thing may take to be seen by the next; a machine that does much else is slow.
PATIENCE = 180.0

#: Where the server is, where it shall go, and a host that has no part in it.
SOURCE, DEST, OTHER = "host1", "host2", "host3"

CONFIGURATION = {
    "clouds": [{"cloud": "admin", "name": "prod"}],
    "poll": {"interval": "2s", "sweep_interval": f"{SWEEP:g}s", "timeout": "20s", "deadline": "60s"},
}


@dataclass
class Tale:
    """What happened: the server and its migration, and how many seconds after the host's death each thing was seen."""

    server: str = ""
    migration: str = ""
    seen: dict[str, float] = field(default_factory=dict)
    alerts: list[Told] = field(default_factory=list)
    done: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that plays a part."""

    cloud: RealCloud
    exporter: Exporter
    prometheus: Prometheus
    mailbox: Mailbox

    def record(self, server: str) -> Mapping[str, Any] | None:
        """Return what the exporter's JSON says of a server's live migration."""
        found = self.exporter.get(f"/api/v1/migrations?server_id={server}").json()["migrations"]
        return dict(found[0]) if found else None

    def reason(self, server: str) -> str | None:
        """Return why a server's migration is stuck, if it is."""
        record = self.record(server)
        return record["stuck"]["reason"] if record and record["stuck"] else None


@contextmanager
def stage(cloud: RealCloud, directory: Path) -> Iterator[Scene]:
    """Start the exporter, Prometheus and Alertmanager over a real cloud."""
    configuration = directory / "exporter.yaml"
    configuration.write_text(yaml.safe_dump(CONFIGURATION))
    environ = {"OS_CLIENT_CONFIG_FILE": str(cloud.clouds_yaml(directory / "clouds.yaml"))}
    arguments = [f"--config.file={configuration}", f"--state.path={directory}/state.db"]
    with Exporter(*arguments, environ=environ) as exporter, Mailbox() as mailbox:
        target = Target("openstack-migration-exporter", "exporter-1:19180", exporter.url.removeprefix("http://"))
        with (
            alertmanager(alertmanager_config(mailbox.url), directory) as manager,
            prometheus(directory, manager.url, [target]) as scraping,
        ):
            yield Scene(cloud, exporter, scraping, mailbox)


def tell(scene: Scene, show: Callable[[str, Tale], None] = lambda _name, _tale: None) -> Tale:
    """Play the whole story; `show` is called when there is something to look at, with its name."""
    tale = Tale()
    _move(scene, tale)
    show("moving", tale)
    died = time.monotonic()

    def saw(what: str, ask: Callable[[], object]) -> None:
        eventually(ask, PATIENCE)
        tale.seen[what] = time.monotonic() - died

    scene.cloud.stop_host(SOURCE)
    saw("Nova says down", lambda: _state(scene.cloud, SOURCE) == "down")
    saw("source_down", lambda: scene.reason(tale.server) == "source_down")
    saw("HostDown fires", lambda: _told(scene, tale, "OpenStackMigrationHostDown", firing=True))
    show("stuck", tale)
    scene.cloud.start_host(SOURCE)
    saw("orphaned", lambda: scene.reason(tale.server) == "orphaned")
    saw("HostDown resolves", lambda: _told(scene, tale, "OpenStackMigrationHostDown", firing=False))
    saw("Orphaned fires", lambda: _told(scene, tale, "OpenStackMigrationOrphaned", firing=True))
    show("orphaned", tale)
    _obey(scene, tale)
    saw("nothing is stuck", lambda: scene.record(tale.server) is None)
    saw("Orphaned resolves", lambda: _told(scene, tale, "OpenStackMigrationOrphaned", firing=False))
    show("mended", tale)
    return tale


def _move(scene: Scene, tale: Tale) -> None:
    """Let some moves go well, then one begin that copies its disk."""
    cloud = scene.cloud
    tale.server = cloud.create_server("shop-db", SOURCE)
    for name in ("web-1", "web-2"):
        server = cloud.create_server(name, OTHER)
        cloud.migrate(server)
        cloud.wait_server(server, "VERIFY_RESIZE", timeout=PATIENCE)
        cloud.confirm(server)
        cloud.wait_server(server, "ACTIVE", timeout=PATIENCE)
        cloud.live_migrate(server)
        cloud.wait_status("completed", server, timeout=PATIENCE)
    cloud.hang("migrate_disk_and_power_off", tale.server)
    cloud.migrate(tale.server, DEST)
    tale.migration = cloud.wait_status("migrating", tale.server, timeout=PATIENCE)["uuid"]
    watched = f'openstack_migration_info{{migration_id="{tale.migration}",dest_host="{DEST}"}}'
    eventually(lambda: scene.prometheus.query(watched), PATIENCE)


def _state(cloud: RealCloud, host: str) -> str:
    """Return what Nova says of a host's compute service."""
    (service,) = cloud.request("GET", f"/os-services?host={host}&binary=nova-compute")["body"]["services"]
    return str(service["state"])


def _told(scene: Scene, tale: Tale, name: str, *, firing: bool) -> bool:
    """Tell whether somebody was told of an alert about the migration, and keep what was told."""
    labels = {("alertname", name), ("migration_id", tale.migration)}
    found = [
        each
        for message in list(scene.mailbox.messages)
        for each in message.alerts
        if each.firing is firing and labels <= each.labels
    ]
    tale.alerts += found[:1]
    return bool(found)


def _obey(scene: Scene, tale: Tale) -> None:
    """Do what the exporter advises."""
    record = scene.record(tale.server)
    assert record is not None
    for command in record["stuck"]["commands"]:
        do(scene.cloud, command)
        tale.done.append(command)
