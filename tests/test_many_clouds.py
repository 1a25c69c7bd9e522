"""Many clouds in one process: none waits for another, and the configuration changes without losing what is known."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
import yaml
from prometheus_client.samples import Sample

from exporter.demo.cloud import SimulatedCloud
from exporter.domain.cloud import Answer
from exporter.domain.view import Process
from exporter.poller import Poller
from exporter.questions import Settings
from exporter.store import StateError
from exporter.vitals import Vitals
from exporter.watch import Board, Plan, Watch
from tests.running import Exporter, eventually
from tests.test_poller import LIMITS, FakeCloud, Time

FAST = {"interval": "200ms", "sweep_interval": "1s", "timeout": "2s", "deadline": "4s"}


class Site:
    """A directory with the clouds.yaml and the configuration of one exporter; every cloud is a simulated one."""

    def __init__(self, path: Path, clouds: Mapping[str, SimulatedCloud | str]) -> None:
        self.path = path
        self.environ = {"OS_CLIENT_CONFIG_FILE": str(path / "clouds.yaml")}
        self.know(clouds)

    def know(self, clouds: Mapping[str, SimulatedCloud | str]) -> None:
        """Write the clouds.yaml; a text stands for the auth_url of something that is no cloud."""
        entries = {}
        for name, cloud in clouds.items():
            if isinstance(cloud, SimulatedCloud):
                auth, region = {"auth_url": cloud.auth_url, **asdict(cloud.credentials)}, cloud.keystone.region
                auth.pop("region_name")
            else:
                auth, region = {"auth_url": cloud, "username": "u", "password": "p", "project_name": "p"}, "RegionOne"
            entries[name] = {"auth": auth, "regions": [region, "RegionTwo"], "identity_api_version": "3"}
        (self.path / "clouds.yaml").write_text(yaml.safe_dump({"clouds": entries}))

    def watch(self, *clouds: str | dict[str, object], **more: object) -> None:
        """Write the configuration."""
        entries = [{"cloud": each} if isinstance(each, str) else each for each in clouds]
        self.configure(yaml.safe_dump({"clouds": entries, "poll": FAST, **more}))

    def configure(self, text: str) -> None:
        """Write any text as configuration."""
        (self.path / "exporter.yaml").write_text(text)

    def exporter(self, *arguments: str) -> Exporter:
        """Start an exporter."""
        return Exporter(f"--config.file={self.path}/exporter.yaml", *arguments, environ=self.environ)


@pytest.fixture
def clouds() -> Iterator[dict[str, SimulatedCloud]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(SimulatedCloud()) for name in ("a", "b", "c")}


@pytest.fixture
def silent() -> Iterator[str]:
    """Listen, accept and say nothing: a cloud that hangs."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v3"


def value(exporter: Exporter, name: str, **labels: str) -> float | None:
    """Return the sum of the samples of a name that have these labels, None where there are none."""
    found = [each.value for each in exporter.samples() if each.name == name and labels.items() <= each.labels.items()]
    return sum(found) if found else None


def move(cloud: SimulatedCloud, times: int = 1) -> None:
    """Let cold migrations begin and fail."""
    for _ in range(times):
        server = cloud.nova.boot()
        row = cloud.nova.insert(instance_uuid=server.id, migration_type="migration", status="pre-migrating")
        cloud.nova.advance(row.uuid, "error")


def counted(exporter: Exporter, cloud: str) -> tuple[float | None, float | None]:
    """Return how many moves of a cloud began and ended."""
    return value(exporter, "openstack_migrations_started_total", cloud=cloud), value(
        exporter, "openstack_migrations_ended_total", cloud=cloud
    )


def all_up(exporter: Exporter, *names: str) -> bool:
    return all(value(exporter, "openstack_migration_up", cloud=name) == 1 for name in names)


def reload(exporter: Exporter) -> None:
    """Send SIGHUP and wait until the configuration was looked at."""
    told = len(re.findall("configuration (loaded|refused)", exporter.log))
    os.kill(exporter.process.pid, signal.SIGHUP)
    eventually(lambda: len(re.findall("configuration (loaded|refused)", exporter.log)) > told, 20.0)


# --- the configuration changes ---


@pytest.mark.parametrize("state", [True, False], ids=["state file", "memory"])
def test_clouds_come_go_and_change_without_losing_what_is_known(
    clouds: dict[str, SimulatedCloud], tmp_path: Path, state: bool
) -> None:
    site = Site(tmp_path, clouds)
    site.watch("a", "b")
    with site.exporter(*(["--state.path", str(tmp_path / "state.db")] if state else [])) as exporter:
        eventually(lambda: all_up(exporter, "a", "b"), 30.0)
        for name in ("a", "b"):
            move(clouds[name], 2)
            eventually(lambda name=name: counted(exporter, name) == (2, 2), 20.0)
        polls = {name: value(exporter, "openstack_migration_polls_total", cloud=name) or 0 for name in ("a", "b")}

        site.watch("c", {"cloud": "b", "thresholds": {"resize": {"migrating": "7h"}}})
        reload(exporter)
        eventually(lambda: all_up(exporter, "b", "c"), 30.0)
        assert value(exporter, "openstack_migration_up", cloud="a") is None
        assert [each.labels["cloud"] for each in exporter.samples() if each.name == "openstack_migration_up"] == [
            "c",
            "b",
        ]
        threshold = {"migration_type": "resize", "status": "migrating"}
        assert value(exporter, "openstack_migration_expected_seconds", cloud="b", **threshold) == 7 * 3600
        assert value(exporter, "openstack_migration_expected_seconds", cloud="c", **threshold) != 7 * 3600
        assert counted(exporter, "b") == (2, 2)
        assert (value(exporter, "openstack_migration_polls_total", cloud="b") or 0) > polls["b"]

        move(clouds["a"], 3)  # while nobody looks
        move(clouds["b"])
        eventually(lambda: counted(exporter, "b") == (3, 3), 20.0)
        site.watch("a", "b", "c")
        reload(exporter)
        eventually(lambda: counted(exporter, "a") == (5, 5), 20.0)
        assert counted(exporter, "b") == (3, 3)
        assert value(exporter, "openstack_migration_exporter_config_last_reload_successful") == 1


def test_a_bad_configuration_is_refused_and_the_old_one_goes_on(
    clouds: dict[str, SimulatedCloud], tmp_path: Path
) -> None:
    site = Site(tmp_path, clouds)
    site.watch("a", "b")
    with site.exporter() as exporter:
        eventually(lambda: all_up(exporter, "a", "b"), 30.0)
        for text, said in (("poll: {interval: soon}", "poll.interval"), ("clouds: [{cloud: nowhere}]", "nowhere")):
            site.configure(text)
            reload(exporter)
            assert value(exporter, "openstack_migration_exporter_config_last_reload_successful") == 0
            assert said in exporter.log
        move(clouds["a"])
        eventually(lambda: counted(exporter, "a") == (1, 1), 20.0)
        site.watch("a")
        reload(exporter)
        assert value(exporter, "openstack_migration_exporter_config_last_reload_successful") == 1
        assert value(exporter, "openstack_migration_up", cloud="b") is None


def test_new_credentials_are_taken_up_at_a_reload(clouds: dict[str, SimulatedCloud], tmp_path: Path) -> None:
    site = Site(tmp_path, {"a": clouds["a"]})
    site.watch("a")
    with site.exporter() as exporter:
        eventually(lambda: all_up(exporter, "a"), 30.0)
        site.know({"a": clouds["b"]})  # as if the cloud had moved to another place
        move(clouds["b"])
        reload(exporter)
        eventually(lambda: counted(exporter, "a") == (1, 1), 20.0)


def test_a_cloud_that_hangs_is_changed_at_once(clouds: dict[str, SimulatedCloud], silent: str, tmp_path: Path) -> None:
    site = Site(tmp_path, {"a": silent})
    site.configure("clouds: [{cloud: a}]\npoll: {timeout: 10m, deadline: 1h}\n")
    with site.exporter() as exporter:
        time.sleep(1.0)
        site.know({"a": clouds["a"]})
        site.watch("a")
        reload(exporter)
        eventually(lambda: all_up(exporter, "a"), 20.0)


def test_a_change_of_which_a_part_fails_changes_nothing() -> None:
    board = Board(lambda: Process("1", "2", "3"))

    def fail(_: Vitals | None) -> Poller:
        raise StateError("cannot be read")

    old = plan("old", FakeCloud(Time()), board)
    watch = Watch([old])
    with pytest.raises(StateError):
        watch.change([plan("new", FakeCloud(Time()), board), Plan("unreadable", "", fail)])
    board.arrange(watch.clouds)
    assert watch.clouds == ("old",)
    assert [view.cloud for view in board.view().clouds] == ["old"]
    assert watch.poll_once(), "the old one goes on"


# --- none waits for another ---


def test_fifty_clouds_run_in_one_process_and_one_that_hangs_moves_none(
    clouds: dict[str, SimulatedCloud], silent: str, tmp_path: Path
) -> None:
    names = [f"cloud{number}" for number in range(50)]
    site = Site(tmp_path, {**{name: clouds["abc"[number % 3]] for number, name in enumerate(names)}, "hangs": silent})
    site.watch(*names, "hangs", poll={"interval": "5s", "sweep_interval": "20s", "timeout": "3s", "deadline": "20s"})
    with site.exporter("--state.path", str(tmp_path / "state.db")) as exporter:
        eventually(
            lambda: by_cloud(exporter, "openstack_migration_up") == {**dict.fromkeys(names, 1), "hangs": 0}, 90.0
        )
        for cloud in clouds.values():
            move(cloud, 2)
        ended = {**dict.fromkeys(names, 2), "hangs": 0}
        eventually(lambda: by_cloud(exporter, "openstack_migrations_ended_total") == ended, 90.0)
        assert by_cloud(exporter, "openstack_migration_poll_errors_total")["hangs"] > 0
        eventually(lambda: value(exporter, "openstack_migration_exporter_state_durable") == 1, 60.0)
        assert exporter.stop() == 0


def by_cloud(exporter: Exporter, name: str) -> dict[str, float]:
    """Return the sum of the samples of a name for each cloud; the page of fifty clouds is long, and read once."""
    sums: dict[str, float] = {}
    for line in exporter.get("/metrics").text.splitlines():
        found = re.match(rf'{name}{{cloud="([^"]+)".*}} (\S+)', line)
        if found:
            sums[found[1]] = sums.get(found[1], 0.0) + float(found[2])
    return sums


class _HangingCloud(FakeCloud):
    """A cloud that answers nothing until `released`."""

    released = threading.Event()

    def open(self, deadline: float) -> str:
        self.released.wait(60)
        return super().open(deadline)


def gaps(*others: Plan) -> float:
    """Return the median of the seconds between polls of a cloud beside others."""
    views: list[float] = []

    class Noting(FakeCloud):
        def changed_since(self, since: float, deadline: float) -> Answer:
            views.append(time.monotonic())
            return super().changed_since(since, deadline)

    watch = Watch([plan("watched", Noting(Time())), *others])
    watch.start()
    eventually(lambda: len(views) > 20, 60.0)
    watch.stop(within=1.0)
    return median(later - earlier for earlier, later in pairwise(views))


def plan(name: str, cloud: FakeCloud, board: Board | None = None) -> Plan:
    settings = Settings(name, LIMITS, interval=0.1, sweep_interval=1000.0)
    board = board or Board(lambda: Process("1", "2", "3"))

    def build(vitals: Vitals | None) -> Poller:
        return Poller(settings, cloud, board.publish, vitals=vitals, chance=lambda: 0.5)

    return Plan(name, settings, build)


def test_one_that_hangs_delays_no_other_by_more_than_a_tenth_of_a_second() -> None:
    alone = gaps()
    try:
        beside = gaps(*(plan(f"hangs{number}", _HangingCloud(Time())) for number in range(20)))
    finally:
        _HangingCloud.released.set()
    assert beside - alone < 0.1


def test_regions_of_one_cloud_are_clouds_of_their_own(clouds: dict[str, SimulatedCloud], tmp_path: Path) -> None:
    site = Site(tmp_path, clouds)
    site.watch({"cloud": "a", "region": "RegionOne"}, {"cloud": "a", "region": "RegionTwo"})
    with site.exporter() as exporter:
        eventually(lambda: all_up(exporter, "a/RegionOne"), 30.0)
        eventually(
            lambda: value(exporter, "openstack_migration_poll_errors_total", cloud="a/RegionTwo", reason="connection"),
            30.0,
        )


# --- two replicas ---


def series(exporter: Exporter) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every counter of what happened to migrations."""
    names = ("started", "ended", "end_corrections", "became_stuck")
    samples: list[Sample] = [each for each in exporter.samples() if each.name.endswith("_total")]
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for each in samples
        if any(f"_{name}_total" in each.name for name in names)
    }


def test_two_replicas_show_the_same_increase_whatever_happens_to_one(
    clouds: dict[str, SimulatedCloud], tmp_path: Path
) -> None:
    cloud = clouds["a"]
    site = Site(tmp_path, clouds)
    site.watch("a")
    paths = [f"--state.path={tmp_path}/one.db", f"--state.path={tmp_path}/two.db"]
    with site.exporter(paths[0]) as one:
        eventually(lambda: all_up(one, "a"), 30.0)
        move(cloud, 5)  # the second begins later: its counters differ, their increase does not
        eventually(lambda: counted(one, "a") == (5, 5), 20.0)
        with site.exporter(paths[1]) as two:
            eventually(lambda: all_up(two, "a"), 30.0)
            before = [series(one), series(two)]
            assert before[0] != before[1]
            move(cloud, 7)
            two.process.kill()
            move(cloud, 4)
        with site.exporter(paths[1]) as two:
            move(cloud, 3)
            eventually(lambda: counted(one, "a") == (19, 19) and counted(two, "a") == (14, 14), 30.0)
            after = [series(one), series(two)]
    increases = [{key: then[key] - now[key] for key in then} for now, then in zip(before, after, strict=True)]
    assert increases[0] == increases[1]
