"""The stack for Compose: valid by its schema, nothing in it that is not there, hardened, and its configurations good."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.containers import ROOT
from tests.test_docs import LINK
from tools.demostack import silent
from tools.demostack.configuration import ALERTMANAGER, RULES

HERE = ROOT / "deploy/compose"
DASHBOARDS = ROOT / "dashboards"
FILES = sorted(HERE.glob("compose*.yaml"))

COMPOSE: dict[str, Any] = yaml.safe_load((HERE / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
CLOUD: dict[str, Any] = yaml.safe_load((HERE / "compose.cloud.yaml").read_text())

every_service = pytest.mark.parametrize("service", SERVICES)


def needs(program: str, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"needs {program}: Debian's package `{package}`")


def mounts(service: str) -> Iterator[tuple[str, str, str]]:
    """Yield source, target and mode of what a service mounts."""
    for mount in SERVICES[service].get("volumes", ()):
        source, target, *mode = mount.split(":")
        yield source, target, mode[0] if mode else "rw"


def files(service: str) -> dict[str, Path]:
    """Return what of this repository a service sees, by the path where it sees it."""
    return {target: (HERE / source).resolve() for source, target, _ in mounts(service) if source.startswith(".")}


def inside(service: str, path: str) -> Path:
    """Return the file that a service finds at a path; there must be one."""
    return files(service)[path]


def flags(service: str) -> dict[str, str]:
    return dict(each.split("=", 1) for each in SERVICES[service]["command"] if "=" in each)


def target(service: str) -> str:
    """Return the address of a service for the others: its name, and the port inside that it publishes."""
    (published,) = SERVICES[service]["ports"]
    return f"{service}:{published.rpartition(':')[2]}"


# --- by the schema ---


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_is_valid_by_the_schema_of_compose(file: Path) -> None:
    checker = Path(sys.executable).parent / "check-jsonschema"
    command = [checker, "--builtin-schema", "vendor.compose-spec", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schema_finds_faults(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(json.dumps({**COMPOSE, "services": {"exporter": {"comand": ["demo"]}}}))
    with pytest.raises(AssertionError, match="comand"):
        test_it_is_valid_by_the_schema_of_compose(tmp_path / "compose.yaml")


# --- nothing that is not there ---


@every_service
def test_what_is_mounted_is_in_the_repository_and_read_only(service: str) -> None:
    assert [path for path in files(service).values() if not path.is_file() or ROOT not in path.parents] == []
    assert {mode for source, _, mode in mounts(service) if source.startswith(".")} <= {"ro"}


def test_what_is_kept_is_kept_in_volumes_that_are_declared() -> None:
    named = {source for service in SERVICES for source, _, _ in mounts(service) if not source.startswith(".")}
    assert named == set(COMPOSE["volumes"])


def test_what_each_program_writes_lies_in_its_volume() -> None:
    kept = {service: {at for source, at, mode in mounts(service) if mode == "rw"} for service in SERVICES}
    assert kept == {
        "exporter": {re.findall(r"(?m)^VOLUME (\S+)$", (ROOT / "Dockerfile").read_text())[0]},
        "prometheus": {flags("prometheus")["--storage.tsdb.path"]},
        "alertmanager": {flags("alertmanager")["--storage.path"]},
        "grafana": {"/var/lib/grafana"},
    }


def test_the_image_is_built_from_this_repository_and_its_health_asked_as_the_image_does() -> None:
    exporter, recipe = SERVICES["exporter"], (ROOT / "Dockerfile").read_text()
    assert (HERE / exporter["build"]["context"]).resolve() == ROOT
    (own,) = re.findall(r"HEALTHCHECK .*\\\n +CMD (\[.*\])", recipe)
    assert exporter["healthcheck"]["test"] == ["CMD", *json.loads(own)]
    assert f"EXPOSE {target('exporter').rpartition(':')[2]}\n" in recipe


def test_every_link_of_its_page_leads_somewhere() -> None:
    links = LINK.findall((HERE / "README.md").read_text())
    assert links
    assert [link for link in links if not (HERE / link).exists()] == []


# --- hardened ---


@every_service
def test_nothing_may_do_more_than_it_must(service: str) -> None:
    found = SERVICES[service]
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "userns_mode"} & found.keys() == set()
    assert found.get("user", "unset") not in ("0", "root", "0:0")


@every_service
def test_its_port_is_open_on_this_machine_only_and_its_health_is_asked_at_the_same(service: str) -> None:
    (published,) = SERVICES[service]["ports"]
    name, outside, within = re.fullmatch(r"127\.0\.0\.1:\$\{([A-Z]+_PORT):-(\d+)\}:(\d+)", published).groups()
    assert (name, outside) == (f"{service.upper()}_PORT", within)
    asked = SERVICES[service]["healthcheck"]["test"]
    assert service == "exporter" or asked[-1].startswith(f"http://127.0.0.1:{within}/")


@every_service
def test_its_image_is_one_release(service: str) -> None:
    assert re.fullmatch(r"[a-z/-]+:(v?\d+\.\d+\.\d+|local)", SERVICES[service]["image"])


def test_no_password_is_in_it_and_nobody_can_log_in_with_a_default_one() -> None:
    grafana = SERVICES["grafana"]["environment"]
    assert grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert (grafana["GF_AUTH_ANONYMOUS_ENABLED"], grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"]) == ("true", "Viewer")
    text = "".join(path.read_text() for path in HERE.iterdir() if path.suffix in (".yaml", ".yml"))
    assert re.findall(r"(?i)(?:password|secret_key|token)\w*\s*[:=]\s*\S+", text) == []


# --- a cloud in place of the simulated one ---


def test_what_differs_for_a_cloud_belongs_to_a_service_and_demands_what_it_needs() -> None:
    assert set(CLOUD["services"]) == {"exporter"}
    exporter = CLOUD["services"]["exporter"]
    assert exporter["command"] == ["serve"]
    assert exporter["environment"]["OS_CLOUD"].startswith("${OS_CLOUD:?")
    (secret,) = exporter["secrets"]
    assert exporter["environment"]["OS_CLIENT_CONFIG_FILE"] == f"/run/secrets/{secret['target']}"
    assert CLOUD["secrets"][secret["source"]]["file"].startswith("${CLOUDS_YAML:?")


# --- its configurations ---


def test_prometheus_scrapes_the_exporter_by_a_job_that_the_rules_know_and_tells_alertmanager() -> None:
    config = yaml.safe_load(inside("prometheus", flags("prometheus")["--config.file"]).read_text())
    (job,) = config["scrape_configs"]
    assert "openstack-migration" in job["job_name"]
    assert job["static_configs"] == [{"targets": [target("exporter")]}]
    assert config["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": [target("alertmanager")]}]}]
    (rules,) = config["rule_files"]
    assert inside("prometheus", f"/etc/prometheus/{rules}") == RULES


@pytest.mark.system
@needs("promtool", "prometheus")
def test_promtool_finds_prometheus_well_configured(tmp_path: Path) -> None:
    directory = "/etc/prometheus/"
    for path, source in files("prometheus").items():
        shutil.copy(source, tmp_path / path.removeprefix(directory))
    command = ["promtool", "check", "config", tmp_path / "prometheus.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"SUCCESS: \d+ rules found", done.stdout)


@pytest.mark.system
@needs("amtool", "prometheus-alertmanager")
def test_amtool_finds_alertmanager_well_configured() -> None:
    config = inside("alertmanager", flags("alertmanager")["--config.file"])
    done = subprocess.run(["amtool", "check-config", config], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alertmanager_goes_by_the_shipped_routes_and_sends_nothing() -> None:
    config = inside("alertmanager", flags("alertmanager")["--config.file"])
    assert config.read_text() == silent.text(), "write it anew: python -m tools.demostack.silent"
    made, shipped = yaml.safe_load(config.read_text()), yaml.safe_load(ALERTMANAGER.read_text())
    assert (made["route"], made["inhibit_rules"]) == (shipped["route"], shipped["inhibit_rules"])
    assert made["receivers"] == [{"name": each["name"]} for each in shipped["receivers"]]


def provisioned(kind: str) -> list[dict[str, Any]]:
    (file,) = [path for at, path in files("grafana").items() if at.startswith(f"/etc/grafana/provisioning/{kind}/")]
    content = yaml.safe_load(file.read_text())
    assert content["apiVersion"] == 1
    return list(content["providers" if kind == "dashboards" else kind])


def test_grafana_has_prometheus_as_its_source_of_numbers() -> None:
    (source,) = provisioned("datasources")
    assert (source["type"], source["url"]) == ("prometheus", f"http://{target('prometheus')}")
    assert source["isDefault"] is True
    interval = yaml.safe_load((HERE / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == interval


def test_grafana_finds_every_dashboard_and_nothing_else_where_it_looks() -> None:
    (provider,) = provisioned("dashboards")
    place = provider["options"]["path"]
    found = {at: path for at, path in files("grafana").items() if at.startswith(f"{place}/")}
    assert set(found.values()) == set(DASHBOARDS.glob("*.json"))
    assert all(at == f"{place}/{path.name}" for at, path in found.items())
    assert all({"title", "uid", "panels"} <= json.loads(path.read_text()).keys() for path in found.values())
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] in found
