"""Every piece of YAML, and what else is no command, in the documents is what it is said to be, by whoever would read it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import openstack.config
import pytest
import yaml

from exporter.config import load
from exporter.config_schema import Document
from exporter.web.config import WebConfigError
from exporter.web.config import load as load_web
from tests.deploy_systemd.unit import UNIT, systemd_analyze
from tests.docs.blocks import ROOT, Block, blocks
from tests.programs import program

#: Languages that other tests look into, and those that nobody runs, with the reason.
ELSEWHERE = {
    "promql": "test_queries.py",
    "sh": "test_commands.py",
    "console": "test_commands.py",
    "bash": "test_commands.py",
    "sql": "tests/test_runbooks.py",
}
NOT_RUN = {"text": "what a command prints, shortened"}
HERE = {"yaml", "ini"}

YAML = blocks("yaml")


def kind_of(tree: Any) -> str:
    """Return what a piece of YAML is."""
    if isinstance(tree, list):
        return "playbook"
    keys = set(tree)
    if isinstance(tree.get("clouds"), dict) and "extraEnvFrom" not in keys and "existingSecret" not in tree["clouds"]:
        return "clouds.yaml"
    for kind, some in KEYS.items():
        if keys & some:
            return kind
    return "exporter" if keys <= set(Document.model_fields) else "values of the chart"


KEYS = {
    "prometheus": {"scrape_configs"},
    "relabeling": {"relabel_configs"},
    "web configuration": {"tls_server_config", "basic_auth_users", "http_server_config"},
    "policy": {"nova_policy_overrides"},
    "of Kubernetes": {"apiVersion"},
}


def of_kind(kind: str) -> list[Block]:
    return [block for block in YAML if kind_of(yaml.safe_load(block.text)) == kind]


def each(kind: str) -> pytest.MarkDecorator:
    found = of_kind(kind)
    assert found, f"there is no {kind} in the documents any more"
    return pytest.mark.parametrize("block", found, ids=str)


@pytest.mark.parametrize("block", blocks(), ids=str)
def test_a_block_is_accounted_for(block: Block) -> None:
    assert block.language in {*ELSEWHERE, *NOT_RUN, *HERE}, "a fence says its language; say here who looks into it"


@each("exporter")
def test_a_configuration_of_the_exporter_is_valid(block: Block, tmp_path: Path) -> None:
    (tmp_path / "exporter.yaml").write_text(block.text)
    assert load(str(tmp_path / "exporter.yaml"), {"OS_CLOUD": "mycloud"}).clouds


@each("clouds.yaml")
def test_a_clouds_yaml_names_a_cloud_that_openstacksdk_knows_how_to_log_in_to(block: Block, tmp_path: Path) -> None:
    (tmp_path / "clouds.yaml").write_text(block.text)
    config = openstack.config.OpenStackConfig(config_files=[str(tmp_path / "clouds.yaml")], load_envvars=False)
    for name in yaml.safe_load(block.text)["clouds"]:
        assert config.get_one(cloud=name).get_auth() is not None


@pytest.mark.system
@each("prometheus")
def test_prometheus_takes_its_part(block: Block, tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(block.text)
    _promtool_takes(tmp_path / "prometheus.yml")


@each("prometheus")
def test_the_rules_know_the_exporter_by_its_job(block: Block) -> None:
    jobs = [job["job_name"] for job in yaml.safe_load(block.text)["scrape_configs"]]
    assert all("openstack-migration" in job for job in jobs)


@pytest.mark.system
@each("relabeling")
def test_prometheus_takes_a_relabeling(block: Block, tmp_path: Path) -> None:
    job = {"job_name": "migrations", **yaml.safe_load(block.text)}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
    _promtool_takes(tmp_path / "prometheus.yml")


@each("web configuration")
def test_a_web_configuration_lacks_nothing_but_its_files(block: Block, tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(block.text)
    with pytest.raises(WebConfigError) as refused:
        load_web(str(tmp_path / "web.yml"))
    assert all("is not a file" in fault or "cannot be read" in fault for fault in refused.value.faults)


@each("policy")
def test_the_policy_for_openstack_ansible_is_the_shipped_one(block: Block) -> None:
    shipped = yaml.safe_load((ROOT / "deploy/nova-policy.yaml").read_text())
    assert yaml.safe_load(block.text)["nova_policy_overrides"] == shipped


@each("values of the chart")
def test_the_chart_knows_its_values(block: Block) -> None:
    values = yaml.safe_load((ROOT / "deploy/helm/openstack-migration-exporter/values.yaml").read_text())
    assert list(_unknown(yaml.safe_load(block.text), values)) == []


@each("of Kubernetes")
def test_a_resource_says_what_it_is(block: Block) -> None:
    """tests/deploy_kubernetes validates what is shipped; a piece of it is only for reading."""
    assert {"apiVersion", "kind"} <= set(yaml.safe_load(block.text))


@each("playbook")
def test_a_playbook_lays_out_files_that_there_are(block: Block) -> None:
    """Nobody runs it, for that takes a cloud of the deployer's."""
    (play,) = yaml.safe_load(block.text)
    assert {"hosts", "tasks"} <= set(play)
    assert all(any(key.startswith("ansible.builtin.") for key in task) for task in play["tasks"])
    shipped = re.findall(r"/opt/src/openstack-migration-exporter/(\S+)", block.text)
    assert shipped and all((ROOT / path).is_file() for path in shipped)


@pytest.mark.system
@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_systemd_takes_a_drop_in(block: Block, tmp_path: Path) -> None:
    (tmp_path / f"{UNIT.name}.d").mkdir()
    program_path = re.compile(r"/opt/openstack-migration-exporter/bin/openstack-migration-exporter")
    (tmp_path / UNIT.name).write_text(program_path.sub(sys.executable, UNIT.read_text()))
    (tmp_path / f"{UNIT.name}.d/override.conf").write_text(program_path.sub(sys.executable, block.text))
    done = systemd_analyze("verify", "--man=no", str(tmp_path / UNIT.name))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _unknown(tree: Any, known: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of a tree that another one lacks; an empty mapping there takes any key."""
    if isinstance(tree, Mapping) and isinstance(known, Mapping) and known:
        for key, below in tree.items():
            if key not in known:
                yield f"{path}.{key}"
            else:
                yield from _unknown(below, known[key], f"{path}.{key}")


def _promtool_takes(path: Path) -> None:
    done = subprocess.run(
        [program("promtool"), "check", "config", "--syntax-only", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
