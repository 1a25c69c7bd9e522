"""Promises of SECURITY.md that belong to the program as a whole."""

from __future__ import annotations

from pathlib import Path

from exporter.demo import SimulatedCloud
from tests.running import Exporter, eventually, run, write_clouds

PAGES = ("/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/migrations", "/nothing")


def environ_of(cloud: SimulatedCloud, directory: Path) -> dict[str, str]:
    who = cloud.credentials
    domains = {"user_domain_name": who.user_domain_name, "project_domain_name": who.project_domain_name}
    credentials = {"username": who.username, "password": who.password, "project_name": who.project_name, **domains}
    return write_clouds(directory / "clouds.yaml", cloud.auth_url, **credentials)


def test_the_exporter_only_reads(tmp_path: Path) -> None:
    (tmp_path / "exporter.yaml").write_text("poll: {interval: 500ms, sweep_interval: 1s, overlap: 1s}\n")
    with SimulatedCloud(story_seed=1) as cloud:
        arguments, environ = (f"--config.file={tmp_path}/exporter.yaml",), environ_of(cloud, tmp_path)
        with Exporter(*arguments, environ=environ) as exporter:
            eventually(lambda: exporter.total("openstack_migration_polls_total") >= 5, 60.0)
        assert run("check", *arguments, environ=environ).returncode == 0
        asked = {(each.method, each.path) for each in cloud.journal.requests}
    assert ("GET", "/os-migrations") in asked
    assert {each for each in asked if each[0] != "GET"} == {("POST", "/v3/auth/tokens")}


def test_no_request_of_a_client_reaches_openstack(tmp_path: Path) -> None:
    with SimulatedCloud() as cloud, Exporter(environ=environ_of(cloud, tmp_path)) as exporter:
        eventually(lambda: exporter.get("/-/ready").status_code == 200, 60.0)
        cloud.journal.forget()
        for path in PAGES:
            assert exporter.get(path).status_code in (200, 404)
        assert cloud.journal.requests == []


def test_the_exporter_listens_on_the_loopback_unless_told_otherwise() -> None:
    words = " ".join(run("--help").stdout.split())
    assert "--web.listen-address HOST:PORT default: 127.0.0.1:19180" in words
