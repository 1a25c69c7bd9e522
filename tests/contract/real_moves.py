"""How the real Nova is brought to make each move, and to be at rest afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from tests.contract.moves import Move, Moved
from tests.realcloud.cloud import RealCloud

PATIENCE = 60.0
_EVACUATED = (
    "host2"  # Nova lets no host up again of which there is a record in `done`, as among the rows of this package
)
_EVACUATIONS = (Move.EVACUATED, Move.REBUILDING)


@contextmanager
def moved(cloud: RealCloud, move: Move) -> Iterator[Moved]:
    """Make a move; afterwards the server is gone and all hosts are up."""
    source = _EVACUATED if move in _EVACUATIONS else "host1"
    server = cloud.create_server(move.name.lower(), host=source)
    try:
        _MOVES[move](cloud, server)
        record = cloud.records(server)[0]
        yield Moved(server, record["uuid"], record["source_compute"], record["dest_compute"])
    finally:
        _rest(cloud, move, server)


def _rest(cloud: RealCloud, move: Move, server: str) -> None:
    cloud.remove(server=server)
    if move in _EVACUATIONS:
        cloud.wait_status("done", server, timeout=PATIENCE)
        cloud.start_host(_EVACUATED)
        cloud.wait_status("completed", server, timeout=PATIENCE)
        cloud.force_down(_EVACUATED, False)
    if move is Move.RUNNING:
        cloud.wait_status("completed", server, timeout=PATIENCE)
    if move is not Move.DELETED:
        cloud.delete_server(server)


def _migrate(cloud: RealCloud, server: str) -> None:
    cloud.migrate(server)
    cloud.wait_server(server, "VERIFY_RESIZE", timeout=PATIENCE)
    _wait_for_step(cloud, server, "compute_finish_resize")


def _wait_for_step(cloud: RealCloud, server: str, step: str) -> None:
    """Wait until a step of the newest action has ended, for it does so a moment after all that it does."""
    _wait(lambda: _ended(cloud, server, step), f"{step} of {server} did not end")


def _wait(ready: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(otherwise)
        time.sleep(0.05)


def _ended(cloud: RealCloud, server: str, step: str) -> bool:
    path = f"/servers/{server}/os-instance-actions"
    request = cloud.request("GET", path)["body"]["instanceActions"][0]["request_id"]
    events = cloud.request("GET", f"{path}/{request}")["body"]["instanceAction"]["events"]
    return any(event["event"] == step and event["finish_time"] is not None for event in events)


def _confirmed(cloud: RealCloud, server: str) -> None:
    _migrate(cloud, server)
    cloud.confirm(server)
    cloud.wait_server(server, "ACTIVE", timeout=PATIENCE)
    _wait_for_step(cloud, server, "compute_confirm_resize")


def _finishing(cloud: RealCloud, server: str) -> None:
    cloud.hang("finish_migration", server)
    cloud.migrate(server)
    cloud.wait_status("post-migrating", server, timeout=PATIENCE)
    _wait_for_step(cloud, server, "compute_resize_instance")
    _wait(lambda: cloud.show_server(server)["OS-EXT-STS:task_state"] == "resize_finish", f"{server} was not finished")


def _revert(cloud: RealCloud, server: str) -> None:
    cloud.resize(server)
    cloud.wait_server(server, "VERIFY_RESIZE", timeout=PATIENCE)
    _wait_for_step(cloud, server, "compute_finish_resize")
    cloud.revert(server)


def _stranded(cloud: RealCloud, server: str) -> None:
    cloud.lose("finish_revert_resize", server)
    _revert(cloud, server)
    _wait_for_step(cloud, server, "compute_revert_resize")


def _reverted(cloud: RealCloud, server: str) -> None:
    _revert(cloud, server)
    cloud.wait_server(server, "ACTIVE", timeout=PATIENCE)
    _wait_for_step(cloud, server, "compute_finish_revert_resize")


def _rescheduled(cloud: RealCloud, server: str) -> None:
    cloud.fail("rpc:resize_instance", server, times=1)
    _confirmed(cloud, server)


def _no_valid_host(cloud: RealCloud, server: str) -> None:
    cloud.fail("rpc:select_destinations", server, error="NoValidHost")
    cloud.migrate(server)
    cloud.wait_status("error", server, timeout=PATIENCE)
    _wait_for_step(cloud, server, "conductor_migrate_server")


def _disk_error(cloud: RealCloud, server: str) -> None:
    cloud.fail("migrate_disk_and_power_off", server)
    cloud.migrate(server)
    cloud.wait_status("error", server, timeout=PATIENCE)
    _wait_for_step(cloud, server, "compute_resize_instance")


def _deleted(cloud: RealCloud, server: str) -> None:
    _migrate(cloud, server)
    cloud.delete_server(server)
    _wait_for_step(cloud, server, "compute_terminate_instance")


def _completed(cloud: RealCloud, server: str) -> None:
    cloud.live_migrate(server)
    cloud.wait_status("completed", server, timeout=PATIENCE)


def _running(cloud: RealCloud, server: str) -> None:
    cloud.heartbeat(0.2, server)
    cloud.hang("live_migration", server)
    cloud.live_migrate(server)
    cloud.wait_status("running", server, timeout=PATIENCE)
    _wait(lambda: cloud.records(server)[0]["memory_total"] is not None, f"{server} never reported progress")


def _cancelled(cloud: RealCloud, server: str) -> None:
    cloud.hang("live_migration", server)
    cloud.live_migrate(server)
    cloud.wait_status("running", server, timeout=PATIENCE)
    cloud.abort(server)
    cloud.wait_status("cancelled", server, timeout=PATIENCE)
    _wait_for_step(cloud, server, "compute_live_migration_abort")


def _pre_failed(cloud: RealCloud, server: str) -> None:
    cloud.fail("pre_live_migration", server)
    cloud.live_migrate(server)
    cloud.wait_status("failed", server, timeout=PATIENCE)


def _evacuate(cloud: RealCloud, server: str) -> None:
    cloud.fail_host(_EVACUATED)
    # Later microversions leave the server stopped.
    cloud.request("POST", f"/servers/{server}/action", {"evacuate": {}}, microversion="2.94")


def _rebuilding(cloud: RealCloud, server: str) -> None:
    cloud.hang("spawn", server)
    _evacuate(cloud, server)
    cloud.wait_status("pre-migrating", server, timeout=PATIENCE)
    _wait(lambda: cloud.show_server(server)["OS-EXT-STS:task_state"] == "rebuild_spawning", f"{server} was not rebuilt")


def _evacuated(cloud: RealCloud, server: str) -> None:
    _evacuate(cloud, server)
    cloud.wait_status("done", server, timeout=PATIENCE)
    _wait_for_step(cloud, server, "compute_rebuild_instance")


_MOVES: Mapping[Move, Callable[[RealCloud, str], None]] = {
    Move.CONFIRMED: _confirmed,
    Move.FINISHING: _finishing,
    Move.FINISHED: _migrate,
    Move.STRANDED: _stranded,
    Move.REVERTED: _reverted,
    Move.RESCHEDULED: _rescheduled,
    Move.NO_VALID_HOST: _no_valid_host,
    Move.DISK_ERROR: _disk_error,
    Move.DELETED: _deleted,
    Move.COMPLETED: _completed,
    Move.RUNNING: _running,
    Move.CANCELLED: _cancelled,
    Move.PRE_FAILED: _pre_failed,
    Move.EVACUATED: _evacuated,
    Move.REBUILDING: _rebuilding,
}
