"""The exporter as a program, against the simulated cloud."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest
import requests
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from exporter.demo.cloud import SimulatedCloud
from exporter.domain.lifecycle import LIVE_ROWS, MigrationType
from tests.running import Exporter, eventually, run, total, write_clouds

FAST = "poll: {interval: 200ms, sweep_interval: 1s, timeout: 5s, deadline: 10s}\n"


@pytest.fixture
def cloud() -> Iterator[SimulatedCloud]:
    with SimulatedCloud() as simulated:
        yield simulated


def login(cloud: SimulatedCloud, path: Path, **changes: str) -> dict[str, str]:
    """Return the environment that logs in to a simulated cloud."""
    return write_clouds(path / "clouds.yaml", cloud.auth_url, **{**dataclasses.asdict(cloud.credentials), **changes})


def test_demo_shows_live_stuck_and_ended_moves_of_all_types_within_a_minute() -> None:
    with Exporter("demo") as exporter:

        def told() -> bool:
            samples = exporter.samples()
            return all(
                total(samples, name, migration_type=kind) > 0
                for name in ("openstack_migrations", "openstack_migrations_ended_total", "openstack_migrations_stuck")
                for kind in MigrationType
            )

        eventually(told, 60.0)
        assert exporter.total("openstack_migration_up", cloud="demo") == 1
        page = exporter.get("/")
        assert page.status_code == 200 and "demo" in page.text
        families = list(
            openmetrics(exporter.get("/metrics", Accept="application/openmetrics-text; version=1.0.0").text)
        )
        assert {"openstack_migrations", "process_cpu_seconds"} <= {family.name for family in families}


def test_the_environment_alone_names_the_cloud(cloud: SimulatedCloud, tmp_path: Path) -> None:
    with Exporter("--log.format=json", environ=login(cloud, tmp_path)) as exporter:
        eventually(lambda: exporter.total("openstack_migration_up", cloud="mycloud") == 1, 20.0)
        pairs = {
            (each.labels["migration_type"], each.labels["status"])
            for each in exporter.samples()
            if each.name == "openstack_migrations"
        }
        assert pairs == {(row.migration_type, row.status) for row in LIVE_ROWS}


def test_the_os_variables_alone_are_a_cloud(cloud: SimulatedCloud) -> None:
    credentials = dataclasses.asdict(cloud.credentials)
    environ = {f"OS_{name.upper()}": value for name, value in credentials.items()}
    done = run("once", environ={**environ, "OS_AUTH_URL": cloud.auth_url})
    assert done.returncode == 0, done.stderr
    assert 'openstack_migration_up{cloud="envvars"} 1.0' in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly_within_five_seconds(cloud: SimulatedCloud, tmp_path: Path, number: int) -> None:
    with Exporter(environ=login(cloud, tmp_path)) as exporter:
        eventually(lambda: exporter.get("/-/ready").status_code == 200, 20.0)
        os.kill(exporter.process.pid, number)
        assert exporter.process.wait(5.0) == 0


@pytest.mark.parametrize("again", range(10))
def test_a_signal_right_behind_another_is_not_lost(cloud: SimulatedCloud, tmp_path: Path, again: int) -> None:
    with Exporter(environ=login(cloud, tmp_path)) as exporter:
        os.kill(exporter.process.pid, signal.SIGHUP)
        os.kill(exporter.process.pid, signal.SIGTERM)
        assert exporter.process.wait(5.0) == 0


def test_once_prints_the_page(cloud: SimulatedCloud, tmp_path: Path) -> None:
    done = run("once", environ=login(cloud, tmp_path))
    assert (done.returncode, 'openstack_migration_up{cloud="mycloud"} 1.0' in done.stdout) == (0, True)


def test_once_says_why_it_failed(cloud: SimulatedCloud, tmp_path: Path) -> None:
    done = run("once", environ=login(cloud, tmp_path, password="wrong"))
    assert done.returncode == 1
    assert 'openstack_migration_up{cloud="mycloud"} 0.0' in done.stdout
    assert 'openstack_migration_poll_errors_total{cloud="mycloud",reason="auth"} 1.0' in done.stdout
    assert "credentials" in done.stderr and "wrong" not in done.stderr


def test_check_passes_for_an_administrator(cloud: SimulatedCloud, tmp_path: Path) -> None:
    done = run("check", environ=login(cloud, tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2.80" in done.stdout


def test_an_unknown_cloud_is_wrong_configuration_and_says_which_there_are(
    cloud: SimulatedCloud, tmp_path: Path
) -> None:
    done = run("serve", environ={**login(cloud, tmp_path), "OS_CLOUD": "yourcloud"})
    assert done.returncode == 2
    assert "yourcloud" in done.stderr and "mycloud" in done.stderr


def test_no_cloud_at_all_is_wrong_configuration() -> None:
    done = run("once")
    assert done.returncode == 2
    assert "clouds.yaml" in done.stderr


def test_every_fault_of_a_configuration_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yaml"
    path.write_text("poll: {interval: soon}\nfeature: {}\n")
    done = run("serve", f"--config.file={path}")
    assert done.returncode == 2
    assert "poll.interval" in done.stderr and "feature" in done.stderr


def test_a_wrong_flag_is_wrong_usage() -> None:
    assert run("--no.such.flag").returncode == 2


def test_a_port_in_use_is_said(cloud: SimulatedCloud, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", f"--web.listen-address=127.0.0.1:{port}", environ=login(cloud, tmp_path))
    assert done.returncode == 1
    assert str(port) in done.stderr


def test_a_mended_password_is_taken_up_without_a_restart(cloud: SimulatedCloud, tmp_path: Path) -> None:
    (tmp_path / "exporter.yaml").write_text(FAST)
    environ = login(cloud, tmp_path, password="wrong")
    with Exporter(f"--config.file={tmp_path}/exporter.yaml", environ=environ) as exporter:
        eventually(lambda: exporter.total("openstack_migration_poll_errors_total", reason="auth") > 0, 20.0)
        assert exporter.total("openstack_migration_up") == 0
        login(cloud, tmp_path)
        eventually(lambda: exporter.total("openstack_migration_up") == 1, 30.0)


def test_an_api_that_is_down_at_the_start_is_taken_up_when_it_comes(tmp_path: Path) -> None:
    cloud = SimulatedCloud()
    cloud.start()
    (tmp_path / "exporter.yaml").write_text(FAST)
    environ = login(cloud, tmp_path)
    cloud.stop()
    with Exporter(f"--config.file={tmp_path}/exporter.yaml", environ=environ) as exporter:
        eventually(lambda: exporter.total("openstack_migration_poll_errors_total", reason="connection") > 0, 30.0)
        assert exporter.get("/-/ready").status_code == 200
        cloud.start()
        try:
            eventually(lambda: exporter.total("openstack_migration_up") == 1, 30.0)
        finally:
            cloud.stop()


def test_a_reload_can_be_asked_for_only_where_that_is_allowed(cloud: SimulatedCloud, tmp_path: Path) -> None:
    path = tmp_path / "exporter.yaml"
    path.write_text(FAST)
    for flags, status in ([], 404), (["--web.enable-lifecycle"], 200):
        with Exporter(f"--config.file={path}", *flags, environ=login(cloud, tmp_path)) as exporter:
            assert requests.post(f"{exporter.url}/-/reload", timeout=10).status_code == status
    with Exporter(f"--config.file={path}", "--web.enable-lifecycle", environ=login(cloud, tmp_path)) as exporter:
        path.write_text("poll: {interval: soon}\n")
        refused = requests.post(f"{exporter.url}/-/reload", timeout=10)
        assert refused.status_code == 500 and "poll.interval" in refused.text
        assert exporter.total("openstack_migration_exporter_config_last_reload_successful") == 0


def test_the_web_configuration_guards_the_page(cloud: SimulatedCloud, tmp_path: Path) -> None:
    path, secret = tmp_path / "web.yml", bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    path.write_text(f"basic_auth_users: {{prometheus: '{secret}'}}\n")
    with Exporter(f"--web.config.file={path}", environ=login(cloud, tmp_path)) as exporter:
        assert exporter.get("/metrics").status_code == 401
        page = requests.get(f"{exporter.url}/metrics", auth=("prometheus", "open sesame"), timeout=10)
        assert page.status_code == 200 and "openstack_migration_up" in page.text


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_wrong_web_configuration_is_wrong_configuration(cloud: SimulatedCloud, tmp_path: Path, command: str) -> None:
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: nowhere.crt}\nrate_limit: {burst: 1}\n")
    done = run(command, f"--web.config.file={tmp_path}/web.yml", environ=login(cloud, tmp_path))
    assert done.returncode == 2
    assert "tls_server_config" in done.stderr and "rate_limit" in done.stderr


def test_the_counters_of_once_go_on_with_a_state(cloud: SimulatedCloud, tmp_path: Path) -> None:
    flag, environ = f"--state.path={tmp_path}/state.db", login(cloud, tmp_path)
    assert run("once", flag, environ=environ).returncode == 0
    cloud.nova.advance(cloud.nova.insert(status="accepted", migration_type="live-migration").uuid, "error")
    done = run("once", environ={**environ, "STATE_DIRECTORY": str(tmp_path)})
    ended = 'openstack_migrations_ended_total{cloud="mycloud",migration_type="live-migration",status="error"} 1.0'
    assert ended in done.stdout and "openstack_migration_exporter_state_durable 1.0" in done.stdout


def test_a_state_in_a_directory_that_is_missing_is_said(cloud: SimulatedCloud, tmp_path: Path) -> None:
    done = run("serve", f"--state.path={tmp_path}/nowhere/state.db", environ=login(cloud, tmp_path))
    assert done.returncode == 1
    assert "nowhere of the state file does not exist: create it" in done.stderr
