"""What a process of the exporter weighs: at rest, and for each record that lives."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.figures import Figure, count, ratio
from benchmarks.processes import resident
from exporter.demo.cloud import SimulatedCloud

TITLE = "Memory"
ABOUT = """\
`openstack-migration-exporter serve` in a process of its own, with a state file and everything else at its default but the
intervals (a poll each second, a sweep every two), watches a simulated cloud over HTTP: Keystone, Nova, pages of 1,000
records. What is told is VmRSS of that process, so that whatever the allocator keeps counts too.

At idle the cloud has 200 records that have ended and none that lives; some ten polls have taken place and ten pages were
asked for. Beside it stands the least that a Python exporter for OpenStack can be: a process that has imported openstacksdk
and prometheus_client, logged in to the same cloud, listed its migrations once and made one page.

What a live record takes is what a process that watches 10,000 of them has beyond one that watches 1,000, by the number of
records between: in the tracker, the state file's books, the diagnosis and the view, with the servers of all of them, after
three sweeps, none of whose garbage is given back by hand. Nobody asked for a page until then. What it **holds** of that is
what Python's tracemalloc counts in two further processes after a full collection; the rest is room that a sweep needs for a
moment, and that the allocator keeps for the next one. The last figure is what six pages of metrics, three of them compressed,
add to the process with 10,000."""

FEW, MANY = 1_000, 10_000
ENDED = 200

#: Where the live records are, of twenty: type, status, and the states of the server.
_PLACES = (
    *[("resize", "finished", "resized", None)] * 6,
    *[("migration", "finished", "resized", None)] * 4,
    *[("resize", "migrating", "active", "resize_migrating")] * 2,
    *[("live-migration", "queued", "active", "migrating")] * 5,
    *[("live-migration", "running", "active", "migrating")] * 2,
    *[("evacuation", "pre-migrating", "error", "rebuilding")] * 1,
)

_TRACED = """
import gc, sys, threading, tracemalloc
tracemalloc.start()
from exporter import cli

def tell():
    for _ in sys.stdin:
        gc.collect()
        print(tracemalloc.get_traced_memory()[0], flush=True)

threading.Thread(target=tell, daemon=True).start()
sys.exit(cli.main(sys.argv[1:]))
"""

_BARE = """
import json, sys, openstack, prometheus_client
cloud = openstack.connect(**json.loads(sys.argv[1]))
list(cloud.compute.migrations())
prometheus_client.generate_latest()
print("ready", flush=True)
sys.stdin.read()
"""


def measure() -> Iterable[Figure]:
    """Weigh each process by itself."""
    idle, bare = _idle()
    yield count("resident at idle", idle / 2**20, unit="MiB")
    yield count("resident of a process that has only the libraries", bare / 2**20, unit="MiB")
    yield ratio("the exporter at idle, over that", idle, bare)
    few, many = _watching(FEW), _watching(MANY)
    each = (many.resident - few.resident) / (MANY - FEW)
    yield count("resident for each live record", each / 1024, at_most=2, unit="KiB")
    held = (_held(MANY) - _held(FEW)) / (MANY - FEW)
    yield count("held for each live record", held / 1024, at_most=2, unit="KiB")
    yield count(f"resident with {MANY:,} live records", many.resident / 2**20, unit="MiB")
    yield count(f"what pages add with {MANY:,} live records", many.pages / 2**20, unit="MiB")


@dataclass(frozen=True, slots=True)
class _Weight:
    """Resident bytes before anybody asked for a page, and what pages added."""

    resident: int
    pages: int


def _idle() -> tuple[int, int]:
    """Return the resident bytes of an exporter at idle, and of a process that has only its libraries."""
    with SimulatedCloud() as cloud:
        _fill(cloud, 0)
        with _exporter(cloud) as (process, url):
            _eventually(lambda: _sweeps(cloud) >= 5)
            for _ in range(5):
                _page(url)
            weight = resident(process.pid)
        with _bare(cloud) as pid:
            return weight, resident(pid)


def _watching(live: int) -> _Weight:
    """Return what an exporter weighs that watches so many live records."""
    with SimulatedCloud() as cloud:
        _fill(cloud, live)
        with _exporter(cloud) as (process, url):
            _eventually(lambda: _sweeps(cloud) >= 4)  # three are over
            before = resident(process.pid)
            for _ in range(3):
                _page(url)
            weight = _Weight(before, resident(process.pid) - before)
    print(f"memory: {live} live: {weight}", file=sys.stderr)
    return weight


def _held(live: int) -> int:
    """Return the bytes that an exporter holds that watches so many live records."""
    with SimulatedCloud() as cloud:
        _fill(cloud, live)
        with _exporter(cloud, "-c", _TRACED) as (process, _):
            _eventually(lambda: _sweeps(cloud) >= 4)
            assert process.stdin is not None  # noqa: S101  # it was asked for
            assert process.stdout is not None  # noqa: S101
            print("how much?", file=process.stdin, flush=True)
            return int(process.stdout.readline())


def _fill(cloud: SimulatedCloud, live: int) -> None:
    """Put records into a cloud, a day old at most, each with a server and hosts of its own."""
    nova, now = cloud.nova, time.time()
    for host in range(200):
        nova.set_service(f"compute-{host:03}")
    for number in range(live + ENDED):
        over = number >= live
        kind, status, vm_state, task_state = _PLACES[number % len(_PLACES)]
        kind, status = ("live-migration", "completed") if over else (kind, status)
        source, dest = f"compute-{number % 200:03}", f"compute-{(number * 7 + 1) % 200:03}"
        states = {} if over else {"vm_state": vm_state, "task_state": task_state}
        server = nova.boot(name=f"web-{number}", host=source, **states)
        created = now - 600 - number % 3000
        hosts = {"source_compute": source, "dest_compute": dest, "source_node": source, "dest_node": dest}
        nova.insert(
            instance_uuid=server.id, migration_type=kind, status=status, created_at=created, updated_at=created + 60, **hosts,
            old_instance_type_id=3, new_instance_type_id=7,
        )  # fmt: skip


def _sweeps(cloud: SimulatedCloud) -> int:
    """Return how many sweeps have asked for their last status."""
    return sum("status=reverting" in each.query for each in cloud.journal.requests)


@contextmanager
def _exporter(cloud: SimulatedCloud, *program: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run an exporter that watches a cloud, as another program where one is given; yield its process and URL."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        configuration = {"clouds": [{"cloud": "simulated"}], "poll": {"interval": "1s", "sweep_interval": "2s"}}
        (directory / "exporter.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
        clouds = {"clouds": {"simulated": _access(cloud)}}
        (directory / "clouds.yaml").write_text(yaml.safe_dump(clouds), encoding="utf-8")
        flags = ["--config.file", f"{directory}/exporter.yaml", "--state.path", f"{directory}/state.db"]
        command = [sys.executable, *(program or ("-m", "exporter")), *flags, "--web.listen-address", "127.0.0.1:0"]
        with _running(command, {"OS_CLIENT_CONFIG_FILE": f"{directory}/clouds.yaml"}, subprocess.PIPE) as process:
            yield process, _url(process)


@contextmanager
def _bare(cloud: SimulatedCloud) -> Iterator[int]:
    """Run a process that has only the libraries; yield its process id when it has asked the cloud."""
    command = [sys.executable, "-c", _BARE, json.dumps(_access(cloud))]
    with _running(command, {}, None) as process:
        assert process.stdout is not None  # noqa: S101  # it was asked for
        process.stdout.readline()
        yield process.pid


@contextmanager
def _running(command: list[str], environ: Mapping[str, str], errors: int | None) -> Iterator[subprocess.Popen[str]]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    pipe = subprocess.PIPE
    process = subprocess.Popen(  # noqa: S603  # ourselves
        command, env={**own, **environ}, stdin=pipe, stdout=pipe, stderr=errors, text=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def _access(cloud: SimulatedCloud) -> dict[str, Any]:
    """Return an entry of clouds.yaml."""
    auth = asdict(cloud.credentials)
    region = auth.pop("region_name")
    return {"auth": {"auth_url": cloud.auth_url, **auth}, "region_name": region, "identity_api_version": "3"}


def _url(process: subprocess.Popen[str]) -> str:
    """Return where an exporter listens, as its log says."""
    assert process.stderr is not None  # noqa: S101  # it was asked for
    for line in process.stderr:
        found = re.search(r'url"?[=:]\s*"?(http://[^\s"]+)', line)
        if found:
            return found[1]
    raise RuntimeError("the exporter ended")


def _page(url: str) -> None:
    """Ask for the page of metrics as Prometheus does, and as curl does."""
    for headers in ({"Accept": "application/openmetrics-text;version=1.0.0", "Accept-Encoding": "gzip"}, {}):
        with urllib.request.urlopen(urllib.request.Request(f"{url}/metrics", headers=headers)) as answer:  # noqa: S310  # http
            answer.read()


def _eventually(happened: Callable[[], bool], within: float = 120.0) -> None:
    """Wait until something has happened."""
    until = time.monotonic() + within
    while not happened():
        if time.monotonic() > until:
            raise TimeoutError("it did not happen")
        time.sleep(0.05)
