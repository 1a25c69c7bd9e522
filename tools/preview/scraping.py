"""A Prometheus with the shipped rules that scrapes an exporter each second."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tools.preview.programs import free_port, running

RULES = Path("deploy/prometheus/openstack-migration-exporter.rules.yml")

#: Seconds between scrapes; Grafana is told so as well.
SCRAPE = 1

#: Seconds within which the exporter and Prometheus must have begun.
_PATIENCE = 120.0


@contextmanager
def prometheus(target: str, directory: Path) -> Iterator[str]:
    """Run a Prometheus that scrapes one exporter; yield its URL once it has seen something."""
    file = directory / "prometheus.yml"
    file.write_text(json.dumps(_configuration(target)))
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    log = directory / "prometheus.log"
    with running(command, log) as process:
        _await_first_sample(url, process, log)
        yield url


def _configuration(target: str) -> dict[str, object]:
    job = {"job_name": "openstack-migration-exporter", "static_configs": [{"targets": [target]}]}
    pace = {"scrape_interval": f"{SCRAPE}s", "evaluation_interval": "5s"}
    return {"global": pace, "rule_files": [str(RULES.resolve())], "scrape_configs": [job]}


def _await_first_sample(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while not _has_samples(url):
        if process.poll() is not None:
            raise RuntimeError(f"Prometheus ended:\n{log.read_text()}")
        if time.monotonic() > end:
            raise RuntimeError(f"Prometheus saw nothing of the exporter within {_PATIENCE:.0f} s")
        time.sleep(0.5)


def _has_samples(url: str) -> bool:
    try:
        answer = requests.get(f"{url}/api/v1/query", {"query": "openstack_migration_up == 1"}, timeout=10).json()
    except (requests.RequestException, ValueError):
        return False
    return bool(answer.get("data", {}).get("result"))
