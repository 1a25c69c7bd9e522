"""Clouds that are each in trouble of their own, and the exporters that watch them; what makes each trouble, and what ends it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml

from exporter.demo import policy
from exporter.demo.cloud import SimulatedCloud
from exporter.demo.records import MigrationRow
from tests.alerts.delivery import Prometheus, Target
from tests.running import Exporter, eventually

HOUR, DAY = 3600.0, 86400.0

JOB = "openstack-migration-exporter"
LAB = "openstack-migration-exporter-lab"
FIRST, SECOND, THIRD = "exporter-1:19180", "exporter-2:19180", "exporter-lab:19180"

#: The clouds that each exporter watches: of two replicas the first watches some alone, and the second one.
WATCHED: Mapping[str, tuple[str, ...]] = {
    FIRST: ("prod", "edge", "locked", "barred", "dark"),
    SECOND: ("prod", "outpost"),
    THIRD: ("lab",),
}
JOBS = {FIRST: JOB, SECOND: JOB, THIRD: LAB}

#: What is said of a cloud in the configuration beyond its name.
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "prod": {"features": {"per_host": True}, "thresholds": {"migration": {"finished": "10m"}}},
    "edge": {"limits": {"per_migration_series": 1}},
}
#: Often, for two sweeps must agree and ten polls must be missing; patient, for on a slow machine a poll takes its time.
POLL = {"interval": "1s", "sweep_interval": "3s", "timeout": "30s", "deadline": "60s"}

#: By how many seconds the clock of `edge` is behind at first.
BEHIND = 660.0

DEAD_HOST = "cmp-dead"
UNLUCKY_HOST = "cmp-unlucky"
ON_DEAD_HOST = 3
FAILURES = 6

#: What a server is like in the middle of a resize, and while one waits for its confirmation.
COPYING = {"vm_state": "active", "task_state": "resize_migrating"}
WAITING = {"vm_state": "resized", "task_state": None}
MOVING_LIVE = {"vm_state": "active", "task_state": "migrating"}

#: Seconds that the simulated clouds and the exporters may take for a step.
PATIENCE = 60.0


def named(name: str) -> str:
    """Return the uuid of a migration that goes by a name here."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"migration {name}"))


def server_of(name: str) -> str:
    """Return the uuid of its server."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"server {name}"))


class World:
    """The clouds and their exporters; a context manager."""

    def __init__(self, directory: Path) -> None:
        self.behind = BEHIND
        names = {cloud for watched in WATCHED.values() for cloud in watched}
        self.clouds = {name: SimulatedCloud(clock=self._clock_of(name)) for name in sorted(names)}
        self.exporters: dict[str, Exporter] = {}
        self._directory = directory
        self._stack = ExitStack()

    def _clock_of(self, cloud: str) -> Any:
        return (lambda: time.time() - self.behind) if cloud == "edge" else time.time

    def __enter__(self) -> World:
        for cloud in self.clouds.values():
            self._stack.enter_context(cloud)
        self._write_clouds()
        return self

    def __exit__(self, *_: object) -> None:
        for exporter in self.exporters.values():
            exporter.process.kill()
            exporter.process.wait()
        self._stack.close()

    def _write_clouds(self) -> None:
        entries = {}
        for name, cloud in self.clouds.items():
            login = asdict(cloud.credentials)
            region = login.pop("region_name")
            auth = {"auth_url": cloud.auth_url, **login}
            entries[name] = {"auth": auth, "region_name": region, "identity_api_version": "3"}
        (self._directory / "clouds.yaml").write_text(yaml.safe_dump({"clouds": entries}))

    # Exporters

    def start(self, instance: str, *, lasting: bool = True) -> None:
        """Start an exporter and wait until it has polled all its clouds; one that is not `lasting` has no state file."""
        place = self._directory / instance.partition(":")[0]
        clouds = [{"cloud": each, **SETTINGS.get(each, {})} for each in WATCHED[instance]]
        place.with_suffix(".yaml").write_text(yaml.safe_dump({"clouds": clouds, "poll": POLL}))
        arguments = [f"--config.file={place}.yaml", *([f"--state.path={place}.db"] if lasting else [])]
        environ = {"OS_CLIENT_CONFIG_FILE": str(self._directory / "clouds.yaml")}
        exporter = self.exporters[instance] = Exporter(*arguments, environ=environ)
        eventually(lambda: exporter.total("openstack_migration_up") == len(clouds), PATIENCE)

    def stop(self, instance: str) -> None:
        """Stop an exporter; nobody listens on its port any more."""
        assert self.exporters[instance].stop() == 0

    def targets(self) -> list[Target]:
        """Return where Prometheus finds the exporters; nobody is there for one that was never started."""
        return [
            Target(JOBS[instance], instance, self.exporters[instance].url.removeprefix("http://"))
            if instance in self.exporters
            else Target(JOBS[instance], instance, "127.0.0.1:1")
            for instance in WATCHED
        ]

    def begin_again(self, instance: str, prometheus: Prometheus) -> None:
        """Start an exporter, with a state file, and let Prometheus find it."""
        self.start(instance)
        prometheus.aim(*self.targets())

    # Moves

    def move(self, cloud: str, name: str, kind: str, status: str, age: float = 0.0, **columns: Any) -> MigrationRow:
        """Put a record into a cloud that has been in its status for so many seconds; `server` is what its server is like.

        It goes from cmp-1 to cmp-2, where nothing else is said; `never_updated` is a record as it was created.
        """
        nova = self.clouds[cloud].nova
        at = nova.clock() - age
        server = {"host": "cmp-1", **columns.pop("server", {})}
        nova.boot(id=server_of(name), created_at=at - DAY, launched_at=at - DAY, **server)
        stamps = (
            {"created_at": at} if columns.pop("never_updated", False) else {"created_at": at - 60, "updated_at": at}
        )
        hosts = {"source_compute": "cmp-1", "dest_compute": "cmp-2"}
        identity = {"uuid": named(name), "instance_uuid": server_of(name), "migration_type": kind, "status": status}
        for host in ("cmp-1", "cmp-2"):
            nova.set_service(host)
        return nova.insert(**identity, **{**stamps, **hosts, **columns})

    def end(self, cloud: str, name: str, status: str, **server: Any) -> None:
        """Let a record reach an end, and its server be active, or what else is said of it."""
        self.clouds[cloud].nova.advance(named(name), status)
        settled = {"vm_state": "active", "task_state": None}
        self.clouds[cloud].nova.change_server(server_of(name), **{**settled, **server})

    def shows(self, instance: str, name: str, **labels: str) -> bool:
        """Tell whether an exporter shows a series."""
        samples = self.exporters[instance].samples()
        return any(each.name == name and labels.items() <= each.labels.items() for each in samples)

    def ended(self, cloud: str, status: str) -> float:
        """Return how many ends in a status the first exporter has counted."""
        return self.exporters[FIRST].total("openstack_migrations_ended_total", cloud=cloud, status=status)


# --- what makes each trouble, and what ends it ---


def host_dies(world: World) -> None:
    nova = world.clouds["prod"].nova
    for number in range(ON_DEAD_HOST):
        world.move("prod", f"dead {number}", "migration", "migrating", source_compute=DEAD_HOST, server=COPYING)
    nova.set_service(DEAD_HOST, up=False)


def host_is_back(world: World) -> None:
    world.clouds["prod"].nova.set_service(DEAD_HOST, up=True)


def far_host_dies(world: World) -> None:
    world.move("outpost", "far", "live-migration", "running", source_compute=DEAD_HOST, server=MOVING_LIVE)
    world.clouds["outpost"].nova.set_service(DEAD_HOST, up=False)


def far_host_is_back(world: World) -> None:
    world.clouds["outpost"].nova.set_service(DEAD_HOST, up=True)


def server_breaks(world: World) -> None:
    world.move("prod", "broken", "resize", "post-migrating", server={"vm_state": "error", "task_state": None})


def server_is_mended(world: World) -> None:
    world.end("prod", "broken", "error")


def server_strands(world: World) -> None:
    """Let a server be in a move without a record; the clock being behind, it is so for ten minutes once that is set right."""
    nova = world.clouds["edge"].nova
    nova.boot(id=server_of("stranded"), host="cmp-1", vm_state="resized", task_state="resize_reverting")


def server_is_free(world: World) -> None:
    nova = world.clouds["edge"].nova
    nova.change_server(server_of("stranded"), vm_state="active", task_state=None)


def evacuation_hangs(world: World) -> None:
    rebuilt = {"vm_state": "active", "task_state": "rebuilding"}
    world.move("prod", "hung", "evacuation", "accepted", HOUR, never_updated=True, dest_compute=None, server=rebuilt)


def evacuation_is_done(world: World) -> None:
    world.end("prod", "hung", "done")


def copy_takes_long(world: World) -> None:
    world.move("prod", "slow", "resize", "migrating", 3 * HOUR, server=COPYING)


def copy_is_over(world: World) -> None:
    world.end("prod", "slow", "confirmed")


def data_stands_still(world: World) -> None:
    """Let a live migration report twice how much it has moved, the second time some minutes ago."""
    nova = world.clouds["prod"].nova
    world.move("prod", "still", "live-migration", "running", 600, server=MOVING_LIVE, memory_total=4 << 30)
    seen = {"cloud": "prod", "migration_id": named("still")}
    eventually(lambda: world.shows(FIRST, "openstack_migration_info", **seen), PATIENCE)
    at = nova.clock() - 400
    nova.advance(named("still"), memory_processed=1 << 30, memory_remaining=3 << 30, at=at)


def data_moves_again(world: World) -> None:
    world.clouds["prod"].nova.advance(named("still"), memory_processed=4 << 30, memory_remaining=0)
    world.end("prod", "still", "completed")


def record_is_left_behind(world: World) -> None:
    world.move("prod", "orphan", "live-migration", "preparing")


def record_is_closed(world: World) -> None:
    world.end("prod", "orphan", "error")


def deletion_hangs(world: World) -> None:
    going = {"vm_state": "active", "task_state": "deleting"}
    world.move("prod", "going", "resize", "migrating", server=going)


def deletion_is_done(world: World) -> None:
    world.clouds["prod"].nova.delete_server(server_of("going"))


def nobody_confirms(world: World) -> None:
    world.move("prod", "unconfirmed", "migration", "finished", HOUR, server=WAITING)


def somebody_confirms(world: World) -> None:
    world.end("prod", "unconfirmed", "confirmed")


def resize_is_forgotten(world: World) -> None:
    world.move("prod", "forgotten", "resize", "finished", 8 * DAY, server=WAITING)


def resize_is_remembered(world: World) -> None:
    world.end("prod", "forgotten", "confirmed")


def moves_fail(world: World) -> None:
    """Let moves to one host fail, each from another."""
    for number in range(FAILURES):
        hosts = {"source_compute": f"cmp-{number}", "dest_compute": UNLUCKY_HOST}
        world.move("prod", f"failed {number}", "migration", "pre-migrating", **hosts)
        world.end("prod", f"failed {number}", "error")


def end_is_corrected(world: World) -> None:
    """Let a live migration complete and, once that is counted, turn out to have failed."""
    before = world.ended("prod", "completed")
    row = world.move("prod", "corrected", "live-migration", "completed")
    eventually(lambda: world.ended("prod", "completed") > before, PATIENCE)
    world.clouds["prod"].nova.advance(named("corrected"), "error", at=row.created_at + 70)


def queue_grows_long(world: World) -> None:
    world.move("prod", "queued", "live-migration", "queued", 4 * HOUR, source_compute="cmp-2", server=MOVING_LIVE)


def queue_is_short(world: World) -> None:
    world.end("prod", "queued", "completed")


def nova_invents_a_status(world: World) -> None:
    world.move("prod", "wandering", "migration", "wandering")


def the_invention_ends(world: World) -> None:
    world.end("prod", "wandering", "confirmed")


def cloud_goes_dark(world: World) -> None:
    world.clouds["dark"].stop()


def cloud_is_back(world: World) -> None:
    world.clouds["dark"].start()


def password_changes(world: World) -> None:
    keystone = world.clouds["locked"].keystone
    keystone.accounts = tuple(replace(each, password="another") for each in keystone.accounts)
    keystone.revoke_all()


def password_is_put_back(world: World) -> None:
    keystone = world.clouds["locked"].keystone
    keystone.accounts = tuple(replace(each, password="secret") for each in keystone.accounts)


def rights_are_taken(world: World) -> None:
    world.clouds["barred"].change(policy=policy.Policy({policy.MIGRATIONS: frozenset({"nobody"})}))


def rights_are_given_back(world: World) -> None:
    world.clouds["barred"].change(policy=policy.Policy())


def progress_is_hidden(world: World) -> None:
    world.clouds["edge"].change(policy=policy.Policy({policy.SERVER_MIGRATIONS: frozenset({"nobody"})}))


def progress_is_shown(world: World) -> None:
    world.clouds["edge"].change(policy=policy.Policy())


def clock_is_set_right(world: World) -> None:
    world.behind = 0.0


def many_move(world: World) -> None:
    for number in range(3):
        world.move("edge", f"crowd {number}", "live-migration", "running", server=MOVING_LIVE)


def few_move(world: World) -> None:
    for number in range(2):
        world.end("edge", f"crowd {number}", "completed")
