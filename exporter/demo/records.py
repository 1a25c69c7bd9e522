"""The rows of the simulated cloud's database: migrations, servers, services, what was done with servers."""

from dataclasses import dataclass

DEFAULT_PROJECT = "5e1f0a3c9d0b4c4d8f4b7a1f2c3d4e5f"
DEFAULT_USER = "0b7c6f4e2d1a4f5e9c8b7a6d5e4f3c2b"

LIVE_MIGRATION = "live-migration"
# The statuses of a live migration that get links (nova/api/openstack/compute/migrations.py _output).
LINKED_STATUSES = frozenset({"queued", "preparing", "running", "post-migrating"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRow:
    """One row of Nova's table `migrations`; times are epoch seconds, updated_at is None until the first update.

    What a live migration has moved is in bytes, None until its driver first counted.
    """

    id: int
    uuid: str
    instance_uuid: str
    migration_type: str
    status: str
    created_at: float
    updated_at: float | None = None
    source_compute: str | None = None
    source_node: str | None = None
    dest_compute: str | None = None
    dest_node: str | None = None
    dest_host: str | None = None
    old_instance_type_id: int | None = None
    new_instance_type_id: int | None = None
    user_id: str | None = DEFAULT_USER
    project_id: str | None = DEFAULT_PROJECT
    hidden: bool = False
    memory_total: int | None = None
    memory_processed: int | None = None
    memory_remaining: int | None = None
    disk_total: int | None = None
    disk_processed: int | None = None
    disk_remaining: int | None = None

    @property
    def place(self) -> tuple[float, int]:
        """Sort the list: Nova shows the highest place first."""
        return (self.created_at, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRow:
    """One server; times are epoch seconds."""

    id: str
    name: str
    created_at: float
    updated_at: float
    project_id: str = DEFAULT_PROJECT
    user_id: str = DEFAULT_USER
    vm_state: str = "active"
    task_state: str | None = None
    power_state: int = 1
    host: str | None = None
    launched_at: float | None = None
    terminated_at: float | None = None
    deleted: bool = False
    progress: int = 0
    ram: int = 512
    disk: int = 1

    @property
    def status(self) -> str:
        """Say the status that the API shows for the server's states."""
        return server_status(self.vm_state, self.task_state)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRow:
    """One nova-compute service."""

    id: str
    host: str
    updated_at: float
    binary: str = "nova-compute"
    zone: str = "nova"
    up: bool = True
    disabled: bool = False
    disabled_reason: str | None = None
    forced_down: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """What somebody asked of a server: a row of `instance_actions`; times are epoch seconds."""

    id: int
    instance_uuid: str
    action: str
    request_id: str
    start_time: float
    updated_at: float
    message: str | None = None
    user_id: str | None = DEFAULT_USER
    project_id: str | None = DEFAULT_PROJECT


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A step of an action: a row of `instance_actions_events`; times are epoch seconds, None while it goes on."""

    event: str
    host: str | None
    start_time: float
    finish_time: float | None = None
    result: str | None = None
    traceback: str | None = None
    details: str | None = None


_RESIZE = dict.fromkeys(("resize_prep", "resize_migrating", "resize_migrated", "resize_finish"), "RESIZE")
_REBUILD = dict.fromkeys(("rebuilding", "rebuild_block_device_mapping", "rebuild_spawning"), "REBUILD")

# nova/api/openstack/common.py _STATE_MAP, as far as moves go; the empty task state stands for any other.
STATUSES: dict[str, dict[str, str]] = {
    "active": {"": "ACTIVE", "migrating": "MIGRATING", **_RESIZE, **_REBUILD},
    "building": {"": "BUILD"},
    "stopped": {"": "SHUTOFF", **_RESIZE, **_REBUILD},
    "resized": {"": "VERIFY_RESIZE", "resize_reverting": "REVERT_RESIZE"},
    "paused": {"": "PAUSED", "migrating": "MIGRATING"},
    "suspended": {"": "SUSPENDED"},
    "rescued": {"": "RESCUE"},
    "error": {"": "ERROR", **_REBUILD},
    "deleted": {"": "DELETED"},
    "soft-delete": {"": "SOFT_DELETED"},
    "shelved": {"": "SHELVED"},
    "shelved_offloaded": {"": "SHELVED_OFFLOADED"},
}


def server_status(vm_state: str, task_state: str | None) -> str:
    """Map a server's states to the status that the API shows."""
    by_task = STATUSES.get(vm_state, {"": "UNKNOWN"})
    return by_task.get(task_state or "", by_task[""])


def states_of_status(statuses: list[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Give the vm_states and task_states of some statuses (common.py task_and_vm_state_from_status).

    Nova takes the two sets independently, so several statuses at once match more than their union.
    """
    wanted = {status.lower() for status in statuses}
    pairs = [
        (vm_state, task_state)
        for vm_state, by_task in STATUSES.items()
        for task_state, status in by_task.items()
        if status.lower() in wanted
    ]
    return frozenset(vm for vm, _ in pairs), frozenset(task for _, task in pairs)
