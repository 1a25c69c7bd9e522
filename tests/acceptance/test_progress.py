"""What running live migrations have moved, on the real Nova: on the page, in the deadline, and when they stand still."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from exporter.domain.cloud import Feature
from exporter.domain.diagnosis import COMPLETION_GRACE, LEAST_GIB
from tests.acceptance.test_moves import several
from tests.acceptance.test_scenarios import PATIENCE, SOUND, all_of, limits, obey, poll_saying, said, wait_until_said
from tests.acceptance.watching import Watcher
from tests.realcloud.cloud import RealCloud

pytestmark = pytest.mark.realcloud

#: Bytes.
GIB = 2**30

#: Seconds that Nova gives a live migration for each GiB (nova/conf/libvirt.py, `live_migration_completion_timeout`).
PER_GIB = 800.0

#: Seconds after which a live migration that moves nothing counts as standing still; it beats much more often than that.
STANDSTILL = 8.0

MEMORY = "openstack_migration_memory_bytes"
PROCESSED = "openstack_migration_memory_processed_bytes"
REMAINING = "openstack_migration_memory_remaining_bytes"
PROGRESSED = "openstack_migration_progress_timestamp_seconds"
DEADLINE = "openstack_migration_deadline_timestamp_seconds"
SINCE = "openstack_migration_status_timestamp_seconds"


def value_of(watcher: Watcher, name: str, uuid: str) -> float | None:
    """Return what the page shows of one record, zero included; None where it shows nothing."""
    for line in watcher.page().splitlines():
        if line.startswith(f"{name}{{") and uuid in line:
            return float(line.rsplit(" ", 1)[1])
    return None


def shown(watcher: Watcher, name: str, uuid: str) -> float:
    """Return what the page must show of one record."""
    value = value_of(watcher, name, uuid)
    assert value is not None, f"no {name} of {uuid}"
    return value


def poll_until(watcher: Watcher, holds: Callable[[], bool]) -> None:
    """Poll until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < end:
        watcher.poll()
    assert holds()


def test_a_running_live_migration_shows_what_it_moves_until_it_stands_still(real_cloud: RealCloud) -> None:
    when = replace(limits(), no_progress=STANDSTILL, completion_timeout_per_gib=PER_GIB)
    watcher = Watcher(
        real_cloud, features=frozenset({Feature.DIAGNOSIS, Feature.LIVE_PROGRESS}), limits=when, sweep_interval=0.0
    )
    watcher.poll()
    (large,), (small,), (silent,) = (several(real_cloud, 1, host) for host in ("host1", "host2", "host3"))
    beats = real_cloud.heartbeat(0.3, large, memory_total=4 * GIB, memory_step=GIB // 64)
    real_cloud.heartbeat(0.3, small, memory_total=GIB, memory_step=GIB)
    uuids = {}
    for server in (large, small, silent):
        real_cloud.hang("live_migration", server)
        real_cloud.live_migrate(server)
        uuids[server] = real_cloud.wait_status("running", server)["uuid"]
    one, other, none = uuids[large], uuids[small], uuids[silent]

    poll_until(watcher, lambda: value_of(watcher, PROGRESSED, one) is not None)
    poll_until(watcher, lambda: value_of(watcher, REMAINING, other) == 0)
    first = {name: shown(watcher, name, one) for name in (MEMORY, PROCESSED, REMAINING, PROGRESSED, DEADLINE)}
    assert first[MEMORY] == 4 * GIB
    assert first[PROCESSED] + first[REMAINING] == 4 * GIB
    poll_until(watcher, lambda: shown(watcher, PROCESSED, one) > first[PROCESSED])
    assert shown(watcher, REMAINING, one) < first[REMAINING]
    poll_until(watcher, lambda: shown(watcher, PROGRESSED, one) > first[PROGRESSED])
    for uuid, gib in ((one, 4.0), (other, LEAST_GIB)):
        allowed = shown(watcher, DEADLINE, uuid) - shown(watcher, SINCE, uuid)
        assert allowed == pytest.approx(gib * PER_GIB + COMPLETION_GRACE, abs=0.01)
    assert shown(watcher, DEADLINE, one) == first[DEADLINE], "a heartbeat moves no deadline"
    assert shown(watcher, DEADLINE, none) - shown(watcher, SINCE, none) == pytest.approx(24 * 3600, abs=0.01)
    assert value_of(watcher, MEMORY, none) is None
    (seen,) = [each for each in watcher.view.live if each.migration.uuid == one]
    assert seen.progress is not None and seen.progress.memory_total == 4 * GIB
    assert seen.progressed == shown(watcher, PROGRESSED, one)
    assert set(said(watcher).values()) == {SOUND}

    real_cloud.remove(number=beats)
    wait_until_said(watcher, all_of(SOUND, [small, silent]) | {large: "no_progress"})
    stood_still = real_cloud.truth(large)["at"]
    while real_cloud.truth(large)["at"] < stood_still + STANDSTILL:
        time.sleep(0.2)
    poll_saying(watcher, all_of(SOUND, [small, silent]) | {large: "no_progress"}, polls=2)

    obey(real_cloud, watcher, large)
    real_cloud.wait_status("cancelled", large)
    real_cloud.remove(server=small)
    real_cloud.wait_status("completed", small)
    poll_saying(watcher, {silent: SOUND}, polls=2)
    ended = watcher.counts("openstack_migrations_ended_total", "status")
    assert ended == {("cancelled",): 1, ("completed",): 1}
    assert value_of(watcher, MEMORY, one) is None
