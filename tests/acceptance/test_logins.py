"""Logins that do not work, on a real Keystone and Nova: a clear word, the right reason, and recovery without a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.realcloud.cloud import RealCloud
from tests.running import Exporter, eventually, run

pytestmark = pytest.mark.realcloud

CONFIGURATION = "poll: {interval: 500ms, sweep_interval: 2s, timeout: 10s, deadline: 20s}\n"
ERRORS = "openstack_migration_poll_errors_total"


class Login:
    """A clouds.yaml whose one cloud can be spoilt and mended while the exporter runs."""

    def __init__(self, cloud: RealCloud, directory: Path) -> None:
        self._cloud = cloud
        self._clouds = directory / "clouds.yaml"
        self.configuration = directory / "exporter.yaml"
        self.configuration.write_text(CONFIGURATION)
        self.environ = {"OS_CLIENT_CONFIG_FILE": str(self._clouds), "OS_CLOUD": "mine"}
        self.write()

    def write(self, user: str = "admin", region: str = "RegionOne", **auth: str) -> None:
        """Write the cloud, with these things changed."""
        entry = self._cloud.clouds()["clouds"][user]
        self._cloud.clouds_yaml(self._clouds, mine={**entry, "region_name": region, "auth": {**entry["auth"], **auth}})


@pytest.fixture
def login(real_cloud: RealCloud, tmp_path: Path) -> Login:
    return Login(real_cloud, tmp_path)


@pytest.fixture
def exporter(login: Login) -> Iterator[Exporter]:
    with Exporter(f"--config.file={login.configuration}", environ=login.environ) as running:
        yield running


def refused(exporter: Exporter, reason: str) -> bool:
    """Tell whether polls fail for a reason, and the last one did."""
    return exporter.total(ERRORS, reason=reason) > 0 and exporter.total("openstack_migration_up") == 0


def up(exporter: Exporter) -> bool:
    """Tell whether the last poll was complete."""
    return exporter.total("openstack_migration_up") == 1


def test_a_wrong_password_is_auth_until_it_is_mended(login: Login) -> None:
    login.write(password="not-the-password")
    with Exporter(f"--config.file={login.configuration}", environ=login.environ) as exporter:
        eventually(lambda: refused(exporter, "auth"), 30.0)
        assert "not-the-password" not in exporter.log
        assert "mine" in exporter.log and "401" in exporter.log
        login.write()
        eventually(lambda: up(exporter), 40.0)


def test_a_wrong_region_names_the_regions_there_are(login: Login) -> None:
    login.write(region="Atlantis")
    with Exporter(f"--config.file={login.configuration}", environ=login.environ) as exporter:
        eventually(lambda: refused(exporter, "connection"), 30.0)
        assert "Atlantis" in exporter.log and "RegionOne" in exporter.log
        login.write()
        eventually(lambda: up(exporter), 40.0)


def test_a_catalogue_without_compute_is_said_and_taken_up_when_it_has_one(real_cloud: RealCloud, login: Login) -> None:
    real_cloud.identity.ask("DELETE", f"/services/{real_cloud.compute_service}")
    try:
        with Exporter(f"--config.file={login.configuration}", environ=login.environ) as exporter:
            eventually(lambda: refused(exporter, "connection"), 30.0)
            assert "compute" in exporter.log
            real_cloud.compute_service = real_cloud.identity.create_service("compute", "nova", real_cloud.compute_url)
            eventually(lambda: up(exporter), 40.0)
    finally:
        real_cloud.reset()


def test_a_reader_is_forbidden_and_told_which_rule_is_missing(login: Login) -> None:
    login.write(user="reader")
    with Exporter(f"--config.file={login.configuration}", environ=login.environ) as exporter:
        eventually(lambda: refused(exporter, "forbidden"), 30.0)
        assert "os_compute_api:os-migrations:index" in exporter.log
        checked = run("check", f"--config.file={login.configuration}", environ=login.environ)
        assert checked.returncode == 1
        assert "os_compute_api:os-migrations:index" in checked.stdout
        login.write()
        eventually(lambda: up(exporter), 40.0)


def test_check_finds_nothing_missing_for_an_administrator(login: Login) -> None:
    checked = run("check", f"--config.file={login.configuration}", environ=login.environ)
    assert checked.returncode == 0, checked.stdout
    assert "2.80" in checked.stdout


def test_an_api_that_breaks_and_mends_needs_no_restart(real_cloud: RealCloud, exporter: Exporter) -> None:
    eventually(lambda: up(exporter), 30.0)
    real_cloud.fault("status", path="/os-migrations", status=503)
    eventually(lambda: refused(exporter, "http"), 40.0)
    real_cloud.clear_faults()
    eventually(lambda: up(exporter), 40.0)
