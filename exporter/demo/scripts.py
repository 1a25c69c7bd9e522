"""How moves go: one function for each part of each type's way through its statuses.

The orders of writes are those of nova/compute/manager.py and nova/conductor/manager.py; only the times are compressed.
"""

from collections.abc import Callable
from enum import Enum

from exporter.demo.beats import Script


class Ending(Enum):
    """How a move ends, or where it stays for ever."""

    CONFIRMED = "confirmed"
    CONFIRMED_LATE = "confirmed after a minute"
    REVERTED = "reverted"
    NO_VALID_HOST = "no valid host"
    DISK_ERROR = "error while the disk is copied"
    DELETED_MIGRATING = "deleted while migrating"
    DELETED_FINISHED = "deleted in VERIFY_RESIZE"
    STUCK_SCHEDULING = "the cast to the destination was lost"
    STUCK_FINISHING = "the destination died"
    UNCONFIRMED = "nobody ever confirms"
    COMPLETED = "completed"
    COMPLETED_POST_COPY = "completed after post-copy"
    ROLLED_BACK = "failed while running"
    PRE_FAILED = "error, then failed"
    CANCELLED = "cancelled"
    STUCK_ACCEPTED = "the conductor died"
    STUCK_RUNNING = "the source died"
    REBUILD_FAILED = "the rebuild failed"
    STUCK_REBUILDING = "the destination died in the rebuild"


STUCK = frozenset(
    {
        Ending.STUCK_SCHEDULING, Ending.STUCK_FINISHING, Ending.UNCONFIRMED, Ending.STUCK_ACCEPTED,
        Ending.STUCK_RUNNING, Ending.STUCK_REBUILDING,
    }
)  # fmt: skip

_FLAVORS = {"resize": (3, 5), "migration": (3, 3)}


def cold(script: Script, migration_type: str, ending: Ending) -> None:
    """Resize or cold-migrate a server."""
    old, new = _FLAVORS[migration_type]
    script.server(task_state="resize_prep")
    script.wait(0.1, 0.3)
    script.begin(migration_type, "pre-migrating", old_instance_type_id=old, new_instance_type_id=new)
    if ending is Ending.STUCK_SCHEDULING:
        return
    script.wait(1, 3)
    if ending is Ending.NO_VALID_HOST:
        script.write("error")
        script.settle(script.source)
        return
    script.claim(dest_host="192.0.2.21")
    script.wait(1, 2)
    _copy_disk(script, ending)


def _copy_disk(script: Script, ending: Ending) -> None:
    script.write("migrating")
    script.server(task_state="resize_migrating")
    script.wait(3, 8)
    if ending is Ending.DISK_ERROR:
        script.write("error")
        script.server(vm_state="error", task_state=None)
        return
    if ending is Ending.DELETED_MIGRATING:
        script.delete()
        return
    script.write("post-migrating")
    script.server(task_state="resize_migrated", host=script.dest)
    if ending is Ending.STUCK_FINISHING:
        return
    script.wait(1, 3)
    script.server(task_state="resize_finish")
    script.write("finished")
    script.server(vm_state="resized", task_state=None)
    _DECISIONS.get(ending, _confirm)(script, ending)


def _confirm(script: Script, ending: Ending) -> None:
    late = ending is Ending.CONFIRMED_LATE
    script.wait(*((45, 90) if late else (2, 10)))
    script.write("confirming")
    script.wait(1, 4)
    script.write("confirmed")
    script.wait(0.1, 0.5)
    script.settle(script.dest)


def _revert(script: Script, _: Ending) -> None:
    script.wait(2, 10)
    script.write("reverting")
    script.server(task_state="resize_reverting")
    script.wait(2, 4)
    script.write("reverted")  # written by the destination before the source starts the guest again
    script.wait(0.5, 2)
    script.settle(script.source)


def _delete_finished(script: Script, _: Ending) -> None:
    # nova/compute/api.py _confirm_resize_on_deleting: no `confirming`, and the rows vanish moments after `confirmed`.
    script.wait(2, 10)
    script.server(task_state="deleting")
    script.write("confirmed")
    script.wait(0.2, 0.3)
    script.delete()


def _leave(_script: Script, _: Ending) -> None:
    """Leave the server in VERIFY_RESIZE for ever."""


_DECISIONS: dict[Ending, Callable[[Script, Ending], None]] = {
    Ending.REVERTED: _revert,
    Ending.DELETED_FINISHED: _delete_finished,
    Ending.UNCONFIRMED: _leave,
}


def live(script: Script, ending: Ending, free_at: float, dies_at: float) -> float:
    """Live-migrate a server; the source works on one at a time, and is free again when this returns."""
    script.server(task_state="migrating")
    script.wait(0.1, 0.3)
    script.begin("live-migration", "accepted", old_instance_type_id=3, new_instance_type_id=3)
    if ending is Ending.STUCK_ACCEPTED:
        return free_at
    script.wait(1, 3)
    script.claim()
    script.wait(0.2, 1)
    script.write("queued")
    script.wait(0.2, 0.5)
    script.wait_until(free_at)  # max_concurrent_live_migrations is 1
    script.write("preparing")
    script.wait(1, 4)
    if ending is Ending.PRE_FAILED:
        script.write("error")
        script.wait(0.09, 0.09)
        script.write("failed")
        script.settle(script.source)
        return script.at
    script.write("running")
    if ending is Ending.STUCK_RUNNING:
        script.run(dies_at - script.at)
    else:
        _run(script, ending)
    return script.at


def _run(script: Script, ending: Ending) -> None:
    script.run(script.draw(4, 12))
    if ending is Ending.COMPLETED_POST_COPY:
        script.write("running (post-copy)")
        script.wait(2, 5)
    moved = ending in (Ending.COMPLETED, Ending.COMPLETED_POST_COPY)
    script.settle(script.dest if moved else script.source)
    script.write({Ending.ROLLED_BACK: "failed", Ending.CANCELLED: "cancelled"}.get(ending, "completed"))


def evacuate(script: Script, ending: Ending, back_at: Callable[[float], float]) -> None:
    """Evacuate a server; `back_at` says when the source, dead at a moment, comes back and closes the record."""
    script.server(task_state="rebuilding")
    script.begin("evacuation", "accepted")
    script.wait(1, 3)
    script.claim(status="pre-migrating", dest_host="192.0.2.22")
    script.server(task_state="rebuild_spawning")
    if ending is Ending.STUCK_REBUILDING:
        return
    script.wait(3, 8)
    if ending is Ending.REBUILD_FAILED:
        script.write("failed")
        script.server(vm_state="error", task_state=None)
        return
    script.settle(script.dest)
    script.write("done")
    script.wait_until(back_at(script.at))
    script.write("completed")
