"""The same faults before the real Keystone and Nova: in the end the page equals what the database saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.acceptance.watching import Truth, assert_ends_are_true, truth_of
from tests.faults import Clock, Exchange, Fault, FaultProxy, faults
from tests.hostile.stage import Page, Watching
from tests.realcloud.cloud import RealCloud
from tests.running import run

pytestmark = pytest.mark.realcloud

#: Nova's functional environment is one process on a machine that is shared.
PATIENT = {"interval": "300ms", "sweep_interval": "1s", "timeout": "10s", "deadline": "20s"}

MIGRATIONS = "/os-migrations"
UNSEEN = "openstack_migration_records_unseen"
COPY = "migrate_disk_and_power_off"

#: What lets a role list everything, but look for no deleted server (nova/policies).
LISTING = (
    "os_compute_api:os-migrations:index",
    "os_compute_api:os-migrations:index:all_projects",
    "os_compute_api:os-migrations:index:host",
    "os_compute_api:servers:detail",
    "os_compute_api:servers:detail:get_all_tenants",
)

#: Seconds for which keystonemiddleware remembers that a token was good (tests/realcloud/novacloud/frontdoor.py).
TOKEN_CACHE = 2.0


class RealStage(Watching):
    """The real cloud, the fault proxy before both its APIs, and the exporter."""

    def __init__(self, cloud: RealCloud, directory: Path) -> None:
        super().__init__(directory, PATIENT)
        self.cloud = cloud
        self.proxy = self._ends.enter_context(FaultProxy(cloud.auth_url, cloud.compute_url))

    def open(self, user: str = "admin") -> None:
        """Start the exporter as a user, and wait until it has looked once."""
        entry = self.cloud.clouds()["clouds"][user]
        entry["auth"]["auth_url"] = self.proxy.through(self.cloud.auth_url)
        path = self.cloud.clouds_yaml(self._directory / "clouds.yaml", mine=entry)
        self.environ = {"OS_CLIENT_CONFIG_FILE": str(path), "OS_CLOUD": "mine"}
        self.watch(self.environ)

    def tells_the_truth(self, page: Page) -> bool:
        """Tell whether a page says what the database says."""
        told, truth = page.told, self.truth()
        try:
            assert_ends_are_true(told.ended, truth)
        except AssertionError:
            return False
        return told.live == truth.live and told.started == truth.started

    def truth(self) -> Truth:
        """Return what the database says."""
        return truth_of(self.cloud.truth())

    def forwarded(self) -> set[str]:
        """Return the ends of the paths that went through the proxy."""
        return {asked.path.rstrip("/").rpartition("/")[2] for asked in self.proxy.seen}


@pytest.fixture
def stage(real_cloud: RealCloud, tmp_path: Path) -> Iterator[RealStage]:
    with RealStage(real_cloud, tmp_path) as stage:
        yield stage


class RealActs:
    """Moves of which some end while a fault lasts."""

    def __init__(self, cloud: RealCloud) -> None:
        self._cloud = cloud
        self._copied, self._confirmed, self._reverted, self._deleted = (cloud.create_server() for _ in range(4))

    def before(self) -> None:
        """Let two hang while they are copied, and two wait for their user."""
        hanging, waiting = (self._copied, self._deleted), (self._confirmed, self._reverted)
        for server in hanging:
            self._cloud.hang(COPY, server)
        for server in (*hanging, *waiting):
            self._cloud.resize(server)
        for server in hanging:
            self._cloud.wait_status("migrating", server)
        for server in waiting:
            self._cloud.wait_server(server, "VERIFY_RESIZE")

    def during(self) -> None:
        """End three, let the copied one go on; a live migration comes and goes."""
        self._cloud.remove(method=COPY, server=self._copied)
        self._cloud.confirm(self._confirmed)
        self._cloud.revert(self._reverted)
        self._cloud.delete_server(self._deleted)
        self._cloud.wait_server(self._copied, "VERIFY_RESIZE")
        self._cloud.wait_server(self._reverted, "ACTIVE")
        self._cloud.wait_server(self._confirmed, "ACTIVE")
        self._cloud.live_migrate(self._confirmed)
        self._cloud.wait_status("completed", self._confirmed)

    def after(self) -> None:
        """End the one that went on."""
        self._cloud.confirm(self._copied)
        self._cloud.wait_status("confirmed", self._copied)


FAILING: dict[str, tuple[str, Callable[[], Fault]]] = {
    "reset": ("connection", faults.resets),
    "502 with HTML": ("http", lambda: faults.answers(502, faults.BAD_GATEWAY)),
    "503 for an hour": ("http", lambda: faults.answers(503, b"", Retry_After="3600")),
    "a page cut short": ("connection", faults.cut),
    "401 to every token": ("auth", lambda: faults.refuses(faults.EXPIRED)),
}


@pytest.mark.parametrize(("reason", "fault"), FAILING.values(), ids=FAILING.keys())
def test_failed_polls_change_nothing_and_the_truth_comes_after_them(
    stage: RealStage, reason: str, fault: Callable[[], Fault]
) -> None:
    stage.open()
    acts = RealActs(stage.cloud)
    acts.before()
    known = stage.settle()
    with stage.fault():
        rule = stage.proxy.spoil(fault(), path=MIGRATIONS)
        stage.wait(lambda page: rule.met)
        acts.during()
        begun = stage.page().errors[reason]
        failed = stage.wait(lambda page: page.errors[reason] > begun)
        assert (failed.told, failed.up, set(failed.errors - known.errors)) == (known.told, False, {reason})
    acts.after()
    assert set(stage.settle().errors - known.errors) == {reason}
    assert {"tokens", "os-migrations", "v2.1", "detail"} <= stage.forwarded()


def test_503_for_a_second_costs_no_poll(stage: RealStage) -> None:
    stage.open()
    acts = RealActs(stage.cloud)
    acts.before()
    stage.settle()
    rule = stage.proxy.spoil(faults.answers(503, b"", Retry_After="1"), path=MIGRATIONS, times=1)
    acts.during()
    stage.wait(lambda page: rule.met)
    acts.after()
    assert not stage.settle().errors


def test_a_token_that_is_revoked_in_mid_paging_is_renewed(stage: RealStage) -> None:
    """Really: Keystone revokes the exporter's own token between two pages."""
    stage.open()
    acts = RealActs(stage.cloud)
    acts.before()
    stage.settle()
    stage.cloud.requests(reset=True)
    revoked: list[str] = []

    def revoke(exchange: Exchange) -> None:
        token = exchange.asked.headers["X-Auth-Token"]
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}
        requests.delete(f"{stage.cloud.auth_url}/auth/tokens", headers=headers, timeout=10).raise_for_status()
        revoked.append(token)
        exchange.hold(TOKEN_CACHE + 0.5)
        exchange.send(exchange.forward())

    with stage.fault():
        stage.cloud.set_config("api", "max_limit", 1)
        stage.proxy.spoil(revoke, path=MIGRATIONS, query="marker=", skip=1, times=1)
        acts.during()
        stage.wait(lambda page: revoked)
        acts.after()
        assert not stage.settle().errors
    assert [seen["status"] for seen in stage.cloud.requests()].count(401) == 1
    assert stage.proxy.seen[-1].headers["X-Auth-Token"] != revoked[0]


def test_a_cell_that_is_down_ends_nothing_and_tells_the_rest_when_it_is_back(stage: RealStage) -> None:
    cloud = stage.cloud
    stage.open()
    far = [cloud.create_server(host="host4") for _ in range(2)]
    near = cloud.create_server()
    for server in (*far, near):
        cloud.hang(COPY, server)
        cloud.resize(server)
        cloud.wait_status("migrating", server)
    known = stage.settle()
    cloud.break_cell("cell2")
    cloud.remove(method=COPY, server=near)
    cloud.wait_server(near, "VERIFY_RESIZE")
    stage.wait(lambda page: page.value(UNSEEN) == 2)
    down = stage.settle()
    cloud.remove(method=COPY, server=far[0])
    cloud.wait_server(far[0], "VERIFY_RESIZE")
    cloud.confirm(far[0])
    cloud.wait_status("confirmed", far[0])
    still = stage.next_polls()
    assert (still.told, still.up, still.value(UNSEEN)) == (down.told, True, 2)
    cloud.repair_cell("cell2")
    back = stage.settle()
    assert back.value(UNSEEN) == 0
    assert back.errors == known.errors
    cloud.delete_server(far[1])
    stage.settle()


def hiding(server: str) -> Fault:
    """Leave the records of a server out."""

    def change(body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "migrations": [row for row in body["migrations"] if row["instance_uuid"] != server]}

    return faults.changes(change)


def test_a_server_that_looks_deleted_to_a_user_who_is_no_admin_is_not_deleted(stage: RealStage) -> None:
    """A user who may list all projects, as whom Nova denies every single server of another project."""
    cloud = stage.cloud
    cloud.set_policy(dict.fromkeys(LISTING, "role:migration-reader or rule:admin_api"))
    stage.open("custom")
    server = cloud.create_server()
    cloud.hang(COPY, server)
    cloud.resize(server)
    cloud.wait_status("migrating", server)
    stage.settle()
    observer = cloud.connect("custom").compute
    assert observer.get(f"/servers/{server}", microversion="2.80", raise_exc=False).status_code == 404
    assert len(observer.get("/servers/detail?all_tenants=1", microversion="2.80").json()["servers"]) == 1
    with stage.fault():
        rule = stage.proxy.spoil(hiding(server), path=MIGRATIONS)
        stage.wait(lambda page: rule.met and page.value(UNSEEN) == 1)
        stage.next_polls(4)
        assert not stage.settle().errors
    cloud.remove(method=COPY, server=server)
    cloud.wait_server(server, "VERIFY_RESIZE")
    assert stage.settle().value(UNSEEN) == 0
    assert "deleted servers" in run("check", environ=stage.environ).stdout


@pytest.mark.parametrize(
    ("stamps", "clock"),
    [
        ("round", Clock()),
        ("truncate", Clock()),
        ("exact", Clock(ahead=3600.0)),
        ("exact", Clock(ahead=-3600.0)),
        ("round", Clock(ahead=-3600.0, whole_seconds=True)),
    ],
    ids=["rounded", "cut", "an hour ahead", "an hour behind", "an hour behind, rounded"],
)
def test_odd_clocks_cost_nothing(stage: RealStage, stamps: str, clock: Clock) -> None:
    stage.cloud.stamps(stamps)
    stage.proxy.clock = clock
    stage.open()
    acts = RealActs(stage.cloud)
    acts.before()
    stage.settle()
    acts.during()
    acts.after()
    page = stage.settle()
    assert not page.errors
    assert abs(page.value("openstack_migration_clock_skew_seconds") - clock.ahead) < 60
    assert [asked.method for asked in stage.proxy.seen].count("POST") == 1
