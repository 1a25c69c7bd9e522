"""A real Prometheus scrapes the exporter."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from exporter.metrics.exposition import FAMILIES
from exporter.metrics.records import RECORD_FAMILIES
from tests.running import Exporter, eventually, free_port

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus: Debian's package `prometheus`"),
]


@contextmanager
def prometheus(target: str, path: Path, interval: str = "1s") -> Iterator[str]:
    """Run a Prometheus that scrapes a target all the time; yield its URL."""
    job = {"job_name": "migrations", "scrape_interval": interval, "static_configs": [{"targets": [target]}]}
    (path / "prometheus.yml").write_text(json.dumps({"scrape_configs": [job]}))
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={path}/prometheus.yml",
        f"--storage.tsdb.path={path}/data",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    with (path / "prometheus.log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield url
        finally:
            process.terminate()


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """Return the result of an instant query, nothing while Prometheus is starting."""
    try:
        answer = requests.get(f"{url}/api/v1/query", {"query": expression}, timeout=30).json()
    except requests.ConnectionError:
        return []
    return list(answer["data"]["result"])


def test_prometheus_scrapes_every_series_without_a_warning(tmp_path: Path) -> None:
    with Exporter("demo") as exporter, prometheus(exporter.url.removeprefix("http://"), tmp_path) as url:
        eventually(lambda: query(url, "sum(openstack_migrations_ended_total) > 2"), 60.0)
        assert [each["value"][1] for each in query(url, "up")] == ["1"]
        known = set(requests.get(f"{url}/api/v1/label/__name__/values", timeout=30).json()["data"])
        log = (tmp_path / "prometheus.log").read_text()
    always = {family.name for family in FAMILIES if not family.name.endswith("_duration_seconds")}
    only_on_request = {"openstack_migrations_per_host", "openstack_migrations_ended_per_host_total"}
    of_singles = {family.name for family in RECORD_FAMILIES} - {"openstack_migration_info"}
    assert always - known <= only_on_request | of_singles
    assert "level=warn" not in log and "level=error" not in log
