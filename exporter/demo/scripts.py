"""How moves go: one function for each part of each type's way through its statuses.

The orders of writes are those of nova/compute/manager.py and nova/conductor/manager.py; only the times are compressed.
"""

from collections.abc import Callable

from exporter.demo.beats import Script
from exporter.demo.endings import Ending

FULL_HOST = "compute-9"  # never has room

_FLAVORS = {"resize": (3, 5), "migration": (3, 3)}
_ACTIONS = {"resize": "resize", "migration": "migrate"}
_NO_HOST = "No valid host was found. No valid host found for cold migrate"


def cold(script: Script, migration_type: str, ending: Ending) -> None:
    """Resize or cold-migrate a server."""
    old, new = _FLAVORS[migration_type]
    script.server(task_state="resize_prep")
    move = script.act(_ACTIONS[migration_type])
    script.wait(0.05, 0.2)
    script.start(move, "conductor_migrate_server")
    script.start(move, "cold_migrate")
    script.wait(0.003, 0.006)
    script.begin(migration_type, "pre-migrating", old_instance_type_id=old, new_instance_type_id=new)
    script.wait(1, 3)
    if ending is Ending.NO_VALID_HOST:
        script.write("error")
        script.settle(script.source)
    error = _NO_HOST if ending is Ending.NO_VALID_HOST else None
    script.wait(0.02, 0.06)
    script.finish(move, "cold_migrate", error)
    script.finish(move, "conductor_migrate_server", error)
    if ending is Ending.RESCHEDULED:
        _reschedule(script, move)
    if ending not in (Ending.STUCK_SCHEDULING, Ending.NO_VALID_HOST):
        _prepare(script, move, ending)


def _reschedule(script: Script, move: str) -> None:
    # A host without room hands the move back to the conductor; all steps of a name end in the first of them.
    script.wait(0.02, 0.1)
    script.start(move, "compute_prep_resize", FULL_HOST)
    script.wait(0.1, 0.2)
    script.start(move, "conductor_migrate_server")
    script.start(move, "cold_migrate")
    script.finish(move, "compute_prep_resize")
    script.wait(0.5, 1)
    script.finish(move, "cold_migrate")
    script.finish(move, "conductor_migrate_server")


def _prepare(script: Script, move: str, ending: Ending) -> None:
    script.wait(0.02, 0.1)
    with script.step(move, "compute_prep_resize", script.dest):
        script.claim(dest_host="192.0.2.21")
        script.wait(1, 2)
    script.wait(0.02, 0.05)
    script.start(move, "compute_resize_instance", script.source)
    script.wait(0.01, 0.03)
    _copy_disk(script, move, ending)


def _copy_disk(script: Script, move: str, ending: Ending) -> None:
    script.write("migrating")
    script.server(task_state="resize_migrating")
    script.wait(3, 8)
    if ending in _BREAKS:
        _BREAKS[ending](script, move)
        return
    script.write("post-migrating")
    script.server(task_state="resize_migrated", host=script.dest)
    script.wait(0.02, 0.04)
    script.finish(move, "compute_resize_instance")
    _finish(script, move, ending)


def _fail(script: Script, move: str) -> None:
    script.write("error")
    script.server(vm_state="error", task_state=None)
    script.wait(0.03, 0.06)
    script.finish(move, "compute_resize_instance", "No space left on device")


def _delete_migrating(script: Script, move: str) -> None:
    _terminate(script, script.act("delete"), script.source)
    script.wait(1, 2)
    script.finish(move, "compute_resize_instance", "Instance could not be found.")


def _stay(_script: Script, _move: str) -> None:
    """Copy for ever: who copies has died."""


def _restart(script: Script, _move: str) -> None:
    # manager.py _init_instance: the guest runs again where it was, and nobody looks at the record.
    script.wait(4, 6)
    script.settle(script.source)


_BREAKS: dict[Ending, Callable[[Script, str], None]] = {
    Ending.DISK_ERROR: _fail,
    Ending.DELETED_MIGRATING: _delete_migrating,
    Ending.STUCK_COPYING: _stay,
    Ending.ORPHANED: _restart,
}


def _terminate(script: Script, request: str, host: str) -> None:
    script.wait(0.03, 0.05)
    with script.step(request, "compute_terminate_instance", host):
        script.wait(0.04, 0.06)
        script.delete()


def _finish(script: Script, move: str, ending: Ending) -> None:
    script.wait(0.02, 0.04)
    script.start(move, "compute_finish_resize", script.dest)
    script.server(task_state="resize_finish")
    if ending is Ending.STUCK_FINISHING:
        return
    script.wait(1, 3)
    script.write("finished")
    script.server(vm_state="resized", task_state=None)
    script.wait(0.03, 0.06)
    script.finish(move, "compute_finish_resize")
    _DECISIONS.get(ending, _confirm)(script, ending)


def _confirm(script: Script, ending: Ending) -> None:
    late = ending is Ending.CONFIRMED_LATE
    script.wait(*((45, 90) if late else (2, 10)))
    script.write("confirming")
    request = script.act("confirmResize")
    script.wait(0.05, 0.08)
    with script.step(request, "compute_confirm_resize", script.source):
        script.wait(1, 4)
        script.write("confirmed")
        script.wait(0.1, 0.5)
        script.settle(script.dest)


def _revert(script: Script, ending: Ending) -> None:
    script.wait(2, 10)
    script.server(task_state="resize_reverting")
    script.write("reverting")
    request = script.act("revertResize")
    script.wait(0.01, 0.03)
    with script.step(request, "compute_revert_resize", script.dest):
        script.wait(2, 4)
        script.write("reverted")  # written by the destination before the source starts the guest again
        script.wait(0.02, 0.04)
    if ending is Ending.STRANDED_REVERTING:
        return
    with script.step(request, "compute_finish_revert_resize", script.source):
        script.wait(0.5, 2)
        script.settle(script.source)


def _delete_finished(script: Script, _: Ending) -> None:
    # nova/compute/api.py _confirm_resize_on_deleting: no `confirming`, and the rows vanish moments after `confirmed`.
    script.wait(2, 10)
    script.server(task_state="deleting")
    request = script.act("confirmResize")
    with script.step(request, "compute_confirm_resize", script.source):
        script.wait(0.05, 0.1)
        script.write("confirmed")
        script.wait(0.05, 0.1)
    _terminate(script, script.act("delete", request=request), script.dest)


def _leave(_script: Script, _: Ending) -> None:
    """Leave the server in VERIFY_RESIZE for ever."""


_DECISIONS: dict[Ending, Callable[[Script, Ending], None]] = {
    Ending.REVERTED: _revert,
    Ending.STRANDED_REVERTING: _revert,
    Ending.DELETED_FINISHED: _delete_finished,
    Ending.UNCONFIRMED: _leave,
}


def live(script: Script, ending: Ending, free_at: float, dies_at: float) -> float:
    """Live-migrate a server; the source works on one at a time, and is free again when this returns."""
    script.server(task_state="migrating")
    move = script.act("live-migration")
    script.wait(0.05, 0.2)
    script.start(move, "conductor_live_migrate_instance")
    script.wait(0.003, 0.006)
    script.begin("live-migration", "accepted", old_instance_type_id=3, new_instance_type_id=3)
    if ending is Ending.STUCK_ACCEPTED:
        return free_at
    _check(script, move)
    with script.step(move, "compute_live_migration", script.source):
        script.wait(0.003, 0.006)
        script.write("queued")
    script.wait(0.2, 0.5)
    script.wait_until(free_at)  # max_concurrent_live_migrations is 1
    script.write("preparing")
    script.wait(0.03, 0.05)
    if ending is Ending.PRE_FAILED:
        _fail_preparing(script, move)
        return script.at
    with script.step(move, "compute_pre_live_migration", script.dest):
        script.wait(1, 4)
    script.wait(0.005, 0.01)
    script.write("running")
    if ending is Ending.STUCK_RUNNING:
        script.run(dies_at - script.at, whole=60)
    else:
        _run(script, move, ending)
    return script.at


def _check(script: Script, move: str) -> None:
    script.wait(0.5, 1.5)
    with script.step(move, "compute_check_can_live_migrate_destination", script.dest):
        script.wait(0.5, 1)
        with script.step(move, "compute_check_can_live_migrate_source", script.source):
            script.wait(0.1, 0.5)
    script.claim()
    script.finish(move, "conductor_live_migrate_instance")
    script.wait(0.2, 1)


def _fail_preparing(script: Script, move: str) -> None:
    script.start(move, "compute_pre_live_migration", script.dest)
    script.wait(1, 4)
    script.finish(move, "compute_pre_live_migration", "Remote error: no such network")
    script.wait(0.1, 0.2)
    script.write("error")
    script.wait(0.09, 0.09)
    script.write("failed")
    script.settle(script.source)


def _run(script: Script, move: str, ending: Ending) -> None:
    seconds = script.draw(4, 12)
    if ending in (Ending.COMPLETED, Ending.COMPLETED_POST_COPY):
        if ending is Ending.COMPLETED_POST_COPY:
            _switch_to_post_copy(script, seconds)
        else:
            script.run(seconds, whole=seconds)
        with script.step(move, "compute_post_live_migration_at_destination", script.dest):
            script.wait(0.02, 0.04)
            script.settle(script.dest)
        script.wait(0.04, 0.06)
        script.write("completed")
        return
    script.run(seconds, whole=2 * seconds)
    if ending is Ending.CANCELLED:
        _abort(script)
    script.settle(script.source)
    script.write("failed" if ending is Ending.ROLLED_BACK else "cancelled")


def _switch_to_post_copy(script: Script, seconds: float) -> None:
    script.run(seconds, whole=2 * seconds)
    request = script.act("live_migration_force_complete")
    with script.step(request, "compute_live_migration_force_complete", script.source):
        script.wait(0.01, 0.02)
        script.write("running (post-copy)")
    script.wait(2, 5)


def _abort(script: Script) -> None:
    with script.step(script.act("live_migration_cancel"), "compute_live_migration_abort", script.source):
        script.wait(0.01, 0.02)
    script.wait(0.04, 0.1)


def evacuate(script: Script, ending: Ending, back_at: Callable[[float], float]) -> None:
    """Evacuate a server; `back_at` says when the source, dead at a moment, comes back and closes the record."""
    script.server(task_state="rebuilding")
    script.begin("evacuation", "accepted")
    move = script.act("evacuate")
    script.wait(0.03, 0.06)
    with script.step(move, "rebuild_server"):
        script.wait(1, 3)
    script.wait(0.03, 0.05)
    script.start(move, "compute_rebuild_instance", script.dest)
    script.wait(0.01, 0.02)
    script.claim(status="pre-migrating", dest_host="192.0.2.22")
    script.server(task_state="rebuild_spawning")
    if ending is Ending.STUCK_REBUILDING:
        return
    if ending is not Ending.STRANDED_REBUILDING and not _rebuild(script, move, ending):
        return
    script.wait_until(back_at(script.at))
    script.write("completed")  # manager.py _destroy_evacuated_instances does not ask how the rebuild ended


def _rebuild(script: Script, move: str, ending: Ending) -> bool:
    """Make the guest anew, and tell whether that went well."""
    script.wait(3, 8)
    if ending is Ending.REBUILD_FAILED:
        script.write("failed")
        script.server(vm_state="error", task_state=None)
        script.wait(0.03, 0.05)
        script.finish(move, "compute_rebuild_instance", "Insufficient compute resources")
        return False
    script.settle(script.dest)
    script.write("done")
    script.finish(move, "compute_rebuild_instance")
    return True
