"""What the chart brings for Prometheus and Grafana is what the project ships, and fits what they look for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.deploy_kubernetes.programs import Resource, container_of, only, rendered
from tools.rules.__main__ import DASHBOARDS, RUNBOOKS

pytestmark = pytest.mark.system


@pytest.mark.parametrize("values", ["everything", "two_replicas", "web_tls"])
def test_the_job_is_one_that_the_rules_know(values: str) -> None:
    (endpoint,) = only("ServiceMonitor", rendered(values))["spec"]["endpoints"]
    assert "openstack-migration" in endpoint["relabelings"][0]["replacement"]
    assert endpoint["relabelings"][0]["targetLabel"] == "job"
    assert endpoint["port"] in [each["name"] for each in only("Service", rendered(values))["spec"]["ports"]]
    assert endpoint["scheme"] == ("https" if values == "web_tls" else "http")
    assert f"--web.telemetry-path={endpoint['path']}" in container_of(rendered(values))["args"]


def test_the_rules_are_those_that_are_shipped() -> None:
    shipped = yaml.safe_load(Path("deploy/prometheus/prometheusrule.yaml").read_text())
    found = only("PrometheusRule", rendered("default", "--set=prometheusRule.enabled=true"))
    assert found["spec"] == shipped["spec"]


def dashboards(found: list[Resource]) -> dict[str, str]:
    boards = [each for each in found if "grafana_dashboard" in each["metadata"]["labels"]]
    assert all(each["metadata"]["labels"]["grafana_dashboard"] == "1" for each in boards)
    return {name: text for each in boards for name, text in each["data"].items()}


def test_the_dashboards_are_those_that_are_shipped() -> None:
    shipped = {path.name: json.loads(path.read_text()) for path in Path("dashboards").glob("*.json")}
    found = dashboards(rendered("default", "--set=dashboards.enabled=true"))
    assert {name: json.loads(text) for name, text in found.items()} == shipped
    uids = {board["uid"] for board in shipped.values()}
    assert uids == {"openstack-migrations", "openstack-migration-one", "openstack-migration-exporter"}


def test_links_lead_where_the_values_say() -> None:
    found = rendered("everything")
    rules, boards = json.dumps(only("PrometheusRule", found)), dashboards(found)
    assert "https://wiki.example.org/runbooks/OpenStackMigrationOverdue.md" in rules
    assert "https://graphs.example.org/d/openstack-migrations?" in rules
    assert all("https://wiki.example.org/runbooks/OpenStackMigration" in text for text in boards.values())
    assert not any(old in text for text in (rules, *boards.values()) for old in (RUNBOOKS, DASHBOARDS))


def test_dashboards_go_where_the_sidecar_looks() -> None:
    boards = [each for each in rendered("everything") if "grafana_dashboard" in each["metadata"]["labels"]]
    assert len(boards) == 3
    assert {each["metadata"]["namespace"] for each in boards} == {"grafana"}
    assert {each["metadata"]["annotations"]["grafana_folder"] for each in boards} == {"OpenStack"}
    # kubectl keeps what it applied in an annotation of at most 256 KiB; a ConfigMap has at most 1 MiB.
    assert all(len(json.dumps(each)) < 1 << 20 for each in boards)
