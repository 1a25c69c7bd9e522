"""The virt driver of the cloud's hosts: Nova's own fake driver, with every step of a move open to injected behaviour."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import eventlet
from nova import objects
from nova.virt import fake
from novacloud.behaviours import Behaviours

BEHAVIOURS = Behaviours()
_INSIDE = eventlet.corolocal.local()

STEPS = (
    "spawn",
    "destroy",
    "cleanup",
    "power_on",
    "power_off",
    "migrate_disk_and_power_off",
    "finish_migration",
    "confirm_migration",
    "finish_revert_migration",
    "check_can_live_migrate_destination",
    "check_can_live_migrate_source",
    "pre_live_migration",
    "live_migration_abort",
    "live_migration_force_complete",
    "post_live_migration",
    "post_live_migration_at_source",
    "post_live_migration_at_destination",
    "rollback_live_migration_at_source",
    "rollback_live_migration_at_destination",
)


def server_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Find the server that a call is about."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, objects.Instance):
            return str(value.uuid)
        if isinstance(value, objects.RequestSpec) and "instance_uuid" in value:
            return str(value.instance_uuid)
        if (
            isinstance(value, list)
            and len(value) == 1
            and isinstance(value[0], (objects.Instance, objects.RequestSpec))
        ):
            return server_of((value[0],), {})
    return None


class Job:
    """One live migration under way in the source's driver."""

    def __init__(self, migration: Any) -> None:
        """Begin a job of a migration record."""
        self.migration = migration
        self.aborted = self.completed = False
        self.beat_at = time.monotonic()

    def stopped(self, server: str) -> bool:
        """Tell whether the job was told to end; beat meanwhile."""
        self._beat(server)
        return self.aborted or self.completed

    def _beat(self, server: str) -> None:
        """Write progress into the record, as the libvirt driver's `save_stats` does."""
        rule = BEHAVIOURS.wanted("heartbeat", server)
        if rule is None or BEHAVIOURS.held or time.monotonic() < self.beat_at + rule.seconds:
            return
        self.beat_at = time.monotonic()
        done = min((getattr(self.migration, "memory_processed", None) or 0) + rule.memory_step, rule.memory_total)
        self.migration.memory_total = rule.memory_total
        self.migration.memory_processed = done
        self.migration.memory_remaining = rule.memory_total - done
        self.migration.disk_total = self.migration.disk_processed = self.migration.disk_remaining = 0
        self.migration.save()


class TracedDriver(fake.FakeDriver):  # type: ignore[misc]
    """Nova's fake driver with the live migration of a real one: it can be aborted, completed, rolled back, and beats."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin without live migrations."""
        super().__init__(*args, **kwargs)
        self.jobs: dict[str, Job] = {}
        self.dead = False

    def live_migration(
        self,
        context: Any,
        instance: Any,
        dest: str,
        post_method: Callable[..., Any],
        recover_method: Callable[..., Any],
        block_migration: bool = False,
        migrate_data: Any = None,
    ) -> None:
        """Run one live migration to its end, as the libvirt driver's `_live_migration_monitor` does."""
        job = self.jobs[instance.uuid] = Job(migrate_data.migration)
        try:
            rules = BEHAVIOURS.meet(
                "live_migration",
                instance.uuid,
                self._host,
                stopped=lambda: job.stopped(instance.uuid),
                dead=lambda: self.dead,
            )
        finally:
            self.jobs.pop(instance.uuid, None)
        if job.aborted:
            recover_method(context, instance, dest, migrate_data, migration_status="cancelled")
        elif any(rule.action == "rollback" for rule in rules):
            recover_method(context, instance, dest, migrate_data)
        else:
            post_method(context, instance, dest, block_migration, migrate_data)

    def live_migration_abort(self, instance: Any) -> None:
        """Abort a running live migration."""
        if instance.uuid in self.jobs:
            self.jobs[instance.uuid].aborted = True

    def live_migration_force_complete(self, instance: Any) -> None:
        """Complete a running live migration, or switch it to post-copy where a rule asks for that."""
        job = self.jobs.get(instance.uuid)
        if job is None:
            return
        if BEHAVIOURS.wanted("post_copy", instance.uuid):
            job.migration.status = "running (post-copy)"  # nova/virt/libvirt/migration.py, trigger_postcopy_switch
            job.migration.save()
        else:
            job.completed = True

    def post_live_migration(
        self, context: Any, instance: Any, block_device_info: Any, migrate_data: Any = None
    ) -> None:
        """Forget the server on the source, as Nova's FakeLiveMigrateDriver does."""
        self.destroy(context, instance, network_info=None, block_device_info=block_device_info)


def traced(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap one driver method so that it meets the rules, unless another traced method called it."""

    @functools.wraps(real)
    def step(self: TracedDriver, *args: Any, **kwargs: Any) -> Any:
        if not getattr(_INSIDE, "depth", 0):
            BEHAVIOURS.meet(name, server_of(args, kwargs), self._host, dead=lambda: self.dead)
        _INSIDE.depth = getattr(_INSIDE, "depth", 0) + 1
        try:
            return real(self, *args, **kwargs)
        finally:
            _INSIDE.depth -= 1

    return step


def install_driver() -> str:
    """Make the driver known to Nova and return the name to configure."""
    for name in STEPS:
        setattr(TracedDriver, name, traced(name, getattr(TracedDriver, name)))
    fake.TracedDriver = TracedDriver
    return "fake.TracedDriver"
