"""The main alerts on a real Nova: what goes wrong there is told, the advice is carried out, and that it is over is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.test_moves import several
from tests.acceptance.test_scenarios import do
from tests.alerts.delivery import Alertmanager, Mailbox, Target, Told, alertmanager, alertmanager_config, prometheus
from tests.alerts.expected import PREFIX
from tests.alerts.story import JOB, POLL
from tests.realcloud.cloud import RealCloud
from tests.running import Exporter, eventually

pytestmark = [pytest.mark.realcloud, pytest.mark.system, pytest.mark.long]

#: Seconds that an alert may take to arrive or to resolve, on a slow machine.
PATIENCE = 180.0

COPY = "migrate_disk_and_power_off"
INSTANCE = "exporter-1:19180"


@dataclass
class Watch:
    """An exporter over the real cloud, and the mailbox of whoever is told."""

    cloud: RealCloud
    exporter: Exporter
    alertmanager: Alertmanager
    mailbox: Mailbox

    def await_told(self, name: str, server: str) -> Told:
        """Wait until an alert on a server has arrived; it must have arrived once."""
        found = eventually(lambda: self.mailbox.of(PREFIX + name, server_id=server), PATIENCE)
        assert self.mailbox.news()[0][found[0].labels] == 1
        return found[0]

    def await_silenced(self, name: str, server: str) -> None:
        """Wait until an alert on a server is there, but silenced by another one."""
        wanted = {"alertname": PREFIX + name, "server_id": server}.items()
        eventually(lambda: any(wanted <= each.items() for each in self.alertmanager.silenced()), PATIENCE)
        assert self.mailbox.of(PREFIX + name, server_id=server) == []

    def await_over(self, *alerts: Told) -> None:
        """Wait until it was told that alerts are over."""
        labels = {each.labels for each in alerts}
        eventually(lambda: labels <= set(self.mailbox.news()[1]), PATIENCE)

    def obey(self, server: str, reason: str) -> None:
        """Carry out what the exporter's own page advises, once it shows this reason for a server's record."""

        def shown() -> list[dict[str, Any]]:
            return [each for each in self._stuck(server) if each["stuck"]["reason"] == reason]

        (record,) = eventually(shown, PATIENCE)
        assert record["stuck"]["commands"]
        for command in record["stuck"]["commands"]:
            do(self.cloud, command)

    def await_unstuck(self) -> None:
        """Wait until no record is stuck."""
        eventually(lambda: not self.exporter.get("/api/v1/migrations?stuck=true").json()["migrations"], PATIENCE)

    def _stuck(self, server: str) -> list[dict[str, Any]]:
        return list(self.exporter.get(f"/api/v1/migrations?stuck=true&server_id={server}").json()["migrations"])


@contextmanager
def watching(cloud: RealCloud, path: Path) -> Iterator[Watch]:
    """Let an exporter watch the cloud, and all that follows run."""
    clouds = [{"cloud": "admin", "name": "real", "thresholds": {"evacuation": {"accepted": "2s"}}}]
    (path / "exporter.yaml").write_text(yaml.safe_dump({"clouds": clouds, "poll": POLL}))
    environ = {"OS_CLIENT_CONFIG_FILE": str(cloud.clouds_yaml(path / "clouds.yaml"))}
    arguments = [f"--config.file={path}/exporter.yaml", f"--state.path={path}/state.db"]
    with (
        Mailbox() as mailbox,
        alertmanager(alertmanager_config(mailbox.url), path) as told,
        Exporter(*arguments, environ=environ) as exporter,
        prometheus(path, told.url, [Target(JOB, INSTANCE, exporter.url.removeprefix("http://"))]),
    ):
        eventually(lambda: exporter.total("openstack_migration_up") == 1, PATIENCE)
        yield Watch(cloud, exporter, told, mailbox)


def assert_says(alert: Told, server: str, hosts: str, reason: str) -> None:
    """Check what whoever is called first reads."""
    text = alert.annotations["description"]
    assert "In cloud real the " in text and f" of server {server} {hosts} is " in text
    assert f", reason {reason}." in text
    assert f"openstack server show {server}" in text
    assert "<no value>" not in text and "<error" not in text


def test_what_goes_wrong_is_told_and_is_over_when_the_advice_was_followed(
    real_cloud: RealCloud, tmp_path: Path
) -> None:
    copied, broken = several(real_cloud, 2)
    (evacuated,) = several(real_cloud, 1, "host3")
    with watching(real_cloud, tmp_path) as watch:
        for server in (copied, broken):
            real_cloud.hang(COPY, server)
            real_cloud.migrate(server, "host2")
            real_cloud.wait_status("migrating", server)
        real_cloud.fail_host("host3")
        real_cloud.lose("select_destinations", evacuated)
        real_cloud.evacuate(evacuated)
        real_cloud.wait_status("accepted", evacuated)
        real_cloud.act(broken, "os-resetState", {"state": "error"})
        real_cloud.fail_host("host1")

        down = watch.await_told("HostDown", copied)
        error = watch.await_told("ServerInError", broken)
        hung = watch.await_told("EvacuationNotFinished", evacuated)
        assert_says(down, copied, "from host1 to host2", "source_down")
        assert_says(error, broken, "from host1 to host2", "server_error")
        assert_says(hung, evacuated, "from host3 to a host not yet chosen", "overdue")

        watch.obey(evacuated, "overdue")
        watch.obey(copied, "source_down")
        real_cloud.force_down("host1", False)
        real_cloud.start_host("host1")
        watch.obey(broken, "server_error")
        # While somebody is paged for a server, the ticket for what remains of its record waits.
        watch.await_silenced("Orphaned", copied)
        watch.await_over(down, error, hung)

        stale = [watch.await_told("Orphaned", server) for server in (copied, broken, evacuated)]
        for server in (copied, broken, evacuated):
            watch.obey(server, "orphaned")
        watch.await_unstuck()
        watch.await_over(*stale)
        assert set(watch.mailbox.news()[0]) == {each.labels for each in (down, error, hung, *stale)}
        assert watch.mailbox.repeated() == []
