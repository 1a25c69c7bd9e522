"""Moves of all types and endings on the real Nova, compared with what its database saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.acceptance.watching import Watcher, assert_page_is_true
from tests.realcloud.cloud import RealCloud

pytestmark = pytest.mark.realcloud

#: How often, in seconds, the exporter polls between the instants.
POLL_EVERY = 0.5

COPY, FINISH = "migrate_disk_and_power_off", "finish_migration"


def several(cloud: RealCloud, count: int, host: str = "host1") -> list[str]:
    """Create servers, as many as it takes."""
    for resource in ("instances", "cores", "ram"):
        cloud.set_config("quota", resource, -1)
    return [cloud.create_server(f"server{number}", host) for number in range(count)]


def poll_for(watcher: Watcher, seconds: float) -> None:
    """Poll now and then for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watcher.poll()
        time.sleep(POLL_EVERY)


def compare_at_an_instant(cloud: RealCloud, watcher: Watcher) -> None:
    """Hold the cloud still, poll, and compare the page with the truth."""
    told = cloud.hold()
    try:
        watcher.poll()
        assert_page_is_true(watcher, told)
    finally:
        cloud.release()


def cold_moves(cloud: RealCloud) -> Iterator[Callable[[], object]]:
    """Begin resizes and cold migrations: each yield is an instant at which the page is compared."""
    servers = several(cloud, 21)
    cloud.delay(COPY, 1.0)
    for server in servers[14:18]:
        cloud.fail(COPY if server in servers[14:16] else FINISH, server)
    cloud.hang(FINISH, servers[18])
    cloud.hang(COPY, servers[19])
    resized, migrated = servers[:8] + servers[14:17], servers[8:14] + servers[17:]
    for server in resized:
        cloud.resize(server, wait=None)
    yield lambda: None
    for server in migrated:
        cloud.migrate(server, wait=None)
    yield lambda: cloud.wait_server(servers[13], "VERIFY_RESIZE")
    for server in servers[:5] + servers[8:10]:
        cloud.wait_server(server, "VERIFY_RESIZE")
        cloud.confirm(server, wait=None)
    for server in servers[5:7] + servers[10:12]:
        cloud.wait_server(server, "VERIFY_RESIZE")
        cloud.revert(server, wait=None)
    yield lambda: [cloud.wait_status("reverted", server) for server in servers[5:7]]
    cloud.delete_server(servers[12])
    cloud.delete_server(servers[19])
    yield lambda: [cloud.wait_status("error", server) for server in servers[14:18]]


def live_moves(cloud: RealCloud) -> Iterator[Callable[[], object]]:
    """Begin live migrations that succeed, fail, are rolled back, aborted and forgotten."""
    servers = several(cloud, 16, "host2")
    cloud.delay("live_migration", 0.7)
    for server in servers[6:8]:
        cloud.fail("pre_live_migration", server)
    for server in servers[8:10]:
        cloud.fail("live_migration", server)
    for server in servers[:10] + servers[13:]:
        cloud.live_migrate(server, wait=None)
    yield lambda: cloud.wait_status("running", servers[0])
    yield lambda: [cloud.wait_status(["completed", "failed", "error"], server) for server in servers[:10] + servers[13:]]
    for server in servers[10:12]:
        cloud.hang("live_migration", server)
        cloud.live_migrate(server)
        cloud.wait_status("running", server)
        yield lambda: None
        cloud.abort(server)
        cloud.wait_status("cancelled", server)
    cloud.lose("live_migration", servers[12])
    cloud.live_migrate(servers[12], wait=None)
    yield lambda: cloud.wait_status("accepted", servers[12])


def evacuations(cloud: RealCloud) -> Iterator[Callable[[], object]]:
    """Evacuate servers off a dead host: two succeed, one fails, one hangs."""
    servers = several(cloud, 4, "host3")
    cloud.fail_host("host3")
    cloud.fail("spawn", servers[2])
    cloud.hang("spawn", servers[3])
    for server in servers:
        cloud.evacuate(server, wait=None)
    yield lambda: [cloud.wait_status("done", server) for server in servers[:2]]
    yield lambda: [cloud.wait_status("failed", servers[2]), cloud.wait_status("pre-migrating", servers[3])]


@pytest.mark.parametrize("stamps", ["exact", "truncate"])
def test_counts_equal_the_truth_at_every_instant(real_cloud: RealCloud, stamps: str) -> None:
    real_cloud.stamps(stamps)
    watcher = Watcher(real_cloud)
    watcher.poll()
    instants = 0
    for moves in (cold_moves, live_moves, evacuations):
        for reached in moves(real_cloud):
            poll_for(watcher, POLL_EVERY)
            compare_at_an_instant(real_cloud, watcher)
            reached()
            instants += 1
    poll_for(watcher, 1.0)
    compare_at_an_instant(real_cloud, watcher)
    moves_made = len(real_cloud.truth()["records"])
    assert instants >= 10
    assert moves_made >= 40
