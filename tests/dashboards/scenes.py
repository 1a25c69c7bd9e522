"""What the dashboards are shown: a Prometheus with the shipped rules, and exporters of clouds that move, rest or are empty."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests

from exporter.demo.cloud import SimulatedCloud
from exporter.demo.settings import Trouble
from exporter.domain.lifecycle import LIVE_ROWS
from tests.dashboards.reading import put
from tests.running import Exporter, free_port
from tests.test_many_clouds import Site

RULES = Path(__file__).parent.parent.parent / "deploy/prometheus/openstack-migration-exporter.rules.yml"

#: What Grafana puts in where everything is chosen, five minutes are shown, and the scrape interval is a second.
EVERYTHING: Mapping[str, str] = {
    **dict.fromkeys(("job", "instance", "cloud", "migration_type", "migration_id"), ".+"),
    "host": ".*",
    "__rate_interval": "1m",
    "__range": "5m",
}

#: The jobs: two clouds that move, one of which is the demo's; one cloud that rests, scraped as two replicas; and an empty one.
MOVING, RESTING, EMPTY = "openstack-migration-moving", "openstack-migration-resting", "openstack-migration-empty"
REPLICAS = ("one", "other")


@dataclass(frozen=True)
class Scene:
    """A Prometheus, what is chosen of what it knows, and the clouds, for a test to move something more in them."""

    url: str
    moving: SimulatedCloud
    resting: SimulatedCloud
    chosen: Mapping[str, str] = field(default_factory=dict)

    def ask(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the series that an expression of a dashboard has now, or at a time."""
        asked = {"query": put(expression, {**EVERYTHING, **self.chosen}), "time": str(at or time.time())}
        answer = requests.post(f"{self.url}/api/v1/query", asked, timeout=60).json()
        assert answer["status"] == "success", f"{answer}\n{asked['query']}"
        return list(answer["data"]["result"])

    def values(self, expression: str, at: float | None = None) -> list[float]:
        """Return the values of the series."""
        return [float(each["value"][1]) for each in self.ask(expression, at)]

    def of(self, **chosen: str) -> Scene:
        """Return the same, narrowed."""
        return replace(self, chosen={**self.chosen, **chosen})


@contextmanager
def prometheus(path: Path) -> Iterator[Scene]:
    """Run a Prometheus with the shipped rules over exporters of every kind of cloud; stop them all in the end."""
    with ExitStack() as stack:
        demo = stack.enter_context(Exporter("demo"))
        clouds = _disturbed(SimulatedCloud(story_seed=2)), _rested(SimulatedCloud())
        moving = stack.enter_context(_exporter(path / "moving", "moving", clouds[0]))
        resting = stack.enter_context(_exporter(path / "resting", "resting", clouds[1]))
        empty = stack.enter_context(_exporter(path / "empty", "empty", SimulatedCloud()))
        jobs = [
            _job(MOVING, [(demo, "demo"), (moving, "moving")]),
            _job(RESTING, [(resting, each) for each in REPLICAS]),
            _job(EMPTY, [(empty, "empty")]),
        ]
        yield Scene(stack.enter_context(_running(path, jobs)), *clouds)


def _job(name: str, targets: list[tuple[Exporter, str]]) -> dict[str, Any]:
    """Return a scrape job; the same exporter may be in it under several names."""
    configs = [
        {"targets": [exporter.url.removeprefix("http://")], "labels": {"instance": instance}}
        for exporter, instance in targets
    ]
    return {"job_name": name, "scrape_interval": "1s", "static_configs": configs}


@contextmanager
def _running(path: Path, jobs: list[dict[str, Any]]) -> Iterator[str]:
    settings = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(RULES)], "scrape_configs": jobs}
    (path / "prometheus.yml").write_text(json.dumps(settings))
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={path}/prometheus.yml",
        f"--storage.tsdb.path={path}/data",
        f"--web.listen-address={url.removeprefix('http://')}",
    ]
    with (path / "prometheus.log").open("w") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            _await(url, process)
            yield url
        finally:
            process.terminate()


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        assert process.poll() is None, "prometheus ended: see prometheus.log"
        try:
            if requests.get(f"{url}/-/ready", timeout=10).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise AssertionError("prometheus is not ready within two minutes")


@contextmanager
def _exporter(path: Path, name: str, cloud: SimulatedCloud) -> Iterator[Exporter]:
    """Run an exporter of a simulated cloud, with all features, quick polls and short thresholds."""
    path.mkdir()
    thresholds: dict[str, dict[str, str]] = {}
    for row in LIVE_ROWS:
        thresholds.setdefault(str(row.migration_type), {})[row.status] = "20s"
    with cloud:
        site = Site(path, {name: cloud})
        site.watch(
            name,
            poll={"interval": "1s", "sweep_interval": "3s", "overlap": "10s"},
            thresholds=thresholds,
            live_migration={"no_progress": "20s"},
            features={"per_host": True},
        )
        with site.exporter(f"--state.path={path}/state.db") as exporter:
            yield exporter


def _disturbed(cloud: SimulatedCloud) -> SimulatedCloud:
    """Let a cloud show what its story has not: a status that nobody knows, and an answer that fails."""
    cloud.nova.insert(instance_uuid=cloud.nova.boot(host="h1").id, status="wandering", source_compute="h1")
    cloud.expect(Trouble(path="/os-migrations", status=503))
    return cloud


#: Moves that stay where they are: type, status before it, status, and the server's task.
_AT_REST = (
    ("resize", "pre-migrating", "finished", "resized", None),
    ("migration", "pre-migrating", "migrating", "active", "resize_migrating"),
    ("live-migration", "accepted", "queued", "active", "migrating"),
    ("live-migration", "accepted", "running", "active", "migrating"),
)


def _rested(cloud: SimulatedCloud) -> SimulatedCloud:
    """Fill a cloud with moves that stay where they are."""
    for place, (kind, before, status, vm_state, task_state) in enumerate(_AT_REST):
        server = cloud.nova.boot(host="h1", vm_state=vm_state, task_state=task_state)
        hosts = {"source_compute": "h1", "dest_compute": f"h{place + 2}"}
        row = cloud.nova.insert(instance_uuid=server.id, migration_type=kind, status=before, **hosts)
        cloud.nova.advance(row.uuid, status)
    return cloud
