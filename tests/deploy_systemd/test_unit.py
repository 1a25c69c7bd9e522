"""The systemd unit: hardened, understood by systemd, and enough for the exporter to run."""

from __future__ import annotations

import ctypes
import dataclasses
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter import flags
from exporter.demo.cloud import SimulatedCloud
from exporter.flags import parse
from tests.deploy_systemd.unit import (
    COMMAND,
    ENVIRONMENT,
    SETTINGS,
    UNIT,
    arguments,
    examples,
    systemd_analyze,
    variables,
)
from tests.running import Exporter, environment, eventually, write_clouds

WRITE_AND_EXECUTE = (
    "import ctypes, os, sys; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0; os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.fixture
def cloud() -> Iterator[SimulatedCloud]:
    with SimulatedCloud() as simulated:
        yield simulated


def laid_out(path: Path, cloud: SimulatedCloud) -> dict[str, str]:
    """Lay out what systemd would for the service below a path, and return its environment."""
    for name in ("state", "credentials"):
        (path / name).mkdir(mode=0o700)
    write_clouds(path / "clouds.yaml", cloud.auth_url, **dataclasses.asdict(cloud.credentials))
    for credential in SETTINGS["LoadCredential"]:
        name = credential.split(":")[0]
        shutil.copy(path / name, path / "credentials" / name)
        (path / "credentials" / name).chmod(0o400)
    own = dict(each.replace("%d", str(path / "credentials")).split("=", 1) for each in SETTINGS["Environment"])
    given = {"STATE_DIRECTORY": str(path / "state"), "CREDENTIALS_DIRECTORY": str(path / "credentials")}
    return {**given, **own, **variables(ENVIRONMENT.read_text())}


@pytest.mark.parametrize("text", examples(ENVIRONMENT.read_text()))
def test_every_flag_of_the_unit_is_one(text: str) -> None:
    options = parse(arguments(COMMAND, variables(text)))
    assert options.command == "serve"
    assert options.listen.endswith(flags.LISTEN.split(":")[1])


def test_the_comment_offers_flags_and_a_proxy() -> None:
    offered = {name for text in examples(ENVIRONMENT.read_text())[1:] for name in variables(text)}
    assert {"OS_CLOUD", "EXPORTER_FLAGS", "HTTPS_PROXY", "NO_PROXY"} == offered


def test_what_the_unit_starts_is_what_the_readme_installs() -> None:
    program = COMMAND.split()[0]
    assert program.endswith("/bin/openstack-migration-exporter")
    assert f"python3 -m venv {Path(program).parents[1]}" in (UNIT.parents[2] / "README.md").read_text()
    assert f"/etc/openstack-migration-exporter/{ENVIRONMENT.name}" in SETTINGS["EnvironmentFile"]


def test_it_starts_reloads_and_stops_as_the_unit_has_it(tmp_path: Path, cloud: SimulatedCloud) -> None:
    environ = laid_out(tmp_path, cloud)
    with Exporter(*arguments(COMMAND, environ), environ=environ) as exporter:
        eventually(lambda: exporter.total("openstack_migration_up", cloud="mycloud") == 1, 60.0)
        eventually(lambda: exporter.total("openstack_migration_exporter_state_durable") == 1, 60.0)
        state = tmp_path / "state/state.db"
        assert stat.S_IMODE(state.stat().st_mode) == 0o600
        (reload,) = SETTINGS["ExecReload"]
        name = re.fullmatch(r"/bin/kill -(\w+) \$MAINPID", reload)
        assert name is not None
        exporter.process.send_signal(signal.Signals[f"SIG{name[1]}"])
        eventually(lambda: "configuration loaded" in exporter.log, 60.0)
        assert exporter.stop() == 0
    assert "level=error" not in exporter.log and "level=warn" not in exporter.log


def test_a_configuration_that_no_restart_mends_is_not_started_again(tmp_path: Path, cloud: SimulatedCloud) -> None:
    environ = {**laid_out(tmp_path, cloud), "OS_CLOUD": "nosuchcloud"}
    command = [sys.executable, "-m", "exporter", *arguments(COMMAND, environ)]
    done = subprocess.run(command, env=environment(environ), capture_output=True, text=True, timeout=120, check=False)
    assert [str(done.returncode)] == SETTINGS["RestartPreventExitStatus"], done.stderr


def test_it_needs_no_memory_that_is_written_and_executed(tmp_path: Path, cloud: SimulatedCloud) -> None:
    """MemoryDenyWriteExecute=, by the kernel's own prctl (PR_SET_MDWE, Linux 6.3) instead of systemd's filter."""
    if ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) < 0:
        pytest.skip("needs Linux 6.3, whose kernel can deny memory that is written and executed")
    assert SETTINGS["MemoryDenyWriteExecute"] == ["yes"]
    command = [sys.executable, "-c", WRITE_AND_EXECUTE, sys.executable, "-m", "exporter", "once"]
    environ = environment(laid_out(tmp_path, cloud))
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert 'openstack_migration_up{cloud="mycloud"} 1.0' in done.stdout


@pytest.mark.system
def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    there = tmp_path / UNIT.name
    there.write_text(UNIT.read_text().replace(COMMAND.split()[0], sys.executable))  # that one is there, ours may not be
    done = systemd_analyze("verify", "--man=no", str(there))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.system
def test_systemd_calls_it_well_protected() -> None:
    done = systemd_analyze("security", "--no-pager", "--offline=true", "--threshold=20", str(UNIT))
    assert done.returncode == 0, done.stdout + done.stderr
    level = re.search(r"exposure level for [\w.-]+: ([0-9.]+)", done.stdout)
    assert level is not None and float(level[1]) < 2.0
