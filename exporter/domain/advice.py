"""The catalogue of reasons: what each one means, what to do first, and the commands for one record or server.

Commands are for the openstack client and for an admin. They are offered, never run: the first ones only look. Whatever a
stranger wrote into a record is quoted, and where it cannot be quoted safely the command is left out.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from exporter.domain.lifecycle import Actor, MigrationType, Reason
from exporter.domain.migration import Migration
from exporter.domain.view import LiveMigrationRecord, StrandedServer


@dataclass(frozen=True, slots=True)
class Advice:
    """What a reason means and what to do first, in one breath, and the commands to look and to mend with."""

    hint: str
    commands: tuple[str, ...]


_HINTS: Mapping[Reason, str] = {
    Reason.SERVER_DELETING: "The server is being deleted, and its record goes with it. If the deletion hangs itself, look at "
    "nova-compute on the server's host, then delete the server again.",
    Reason.SERVER_ERROR: "The move failed, put its server into ERROR and left the record behind. Read the server's fault, and "
    "see on which host its disk is, before you set its state and start it again; what then remains of the record is orphaned.",
    Reason.ORPHANED: "Only the record is stale: its server is no longer in this move, and no user notices. Check that with the "
    "first commands, then close the record in the database, for Nova has no call to do so.",
    Reason.SOURCE_DOWN: "nova-compute on the source must act next, and is down. Bring the host back; what its return does not "
    "mend shows as orphaned or overdue then.",
    Reason.DEST_DOWN: "nova-compute on the destination must act next, and is down. Bring the host back; what its return does "
    "not mend shows as orphaned or overdue then.",
    Reason.NO_PROGRESS: "The live migration runs but moves no data. Look at libvirt and at the network between the two hosts; "
    "an abort leaves the server running on its source.",
    Reason.OVERDUE: "The move is under way by what its server says, but takes too long. See which step came last, and read the "
    "log of the service that must act next; a message may be lost, and then nobody works on it.",
    Reason.UNCONFIRMED: "The move is over and waits for somebody to confirm or revert it, longer than it should. Ask the "
    "server's owner; while the source is down, a confirmation is refused.",
    Reason.UNDIAGNOSED: "The record takes too long, and nothing tells why: diagnosis is switched off, lacks rights, or did not "
    "see the server. Compare the server with the record.",
}

#: What a stranded server means, and what to do first.
STRANDED_HINT = (
    "The server is in the middle of a move of which no live record is left. Where a host of that move is down, bring it back, "
    "for a message may wait for it; otherwise nothing in Nova will bring the move to an end. See what was last done with the "
    "server, and on which host its disk is, before you set its state by hand."
)


def hint_of(reason: Reason) -> str:
    """Return what a reason means, and what to do first."""
    return _HINTS[reason]


def advice_on(record: LiveMigrationRecord) -> Advice | None:
    """Return what to do about a record; None where it is not stuck."""
    if record.stuck is None:
        return None
    reason = record.stuck.reason
    return Advice(hint_of(reason), _possible(_COMMANDS[reason](record)))


def advice_on_stranded(each: StrandedServer) -> Advice:
    """Return what to do about a stranded server."""
    return Advice(STRANDED_HINT, _possible(_for_stranded(each)))


def _possible(commands: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(command for command in commands if command is not None)


_Commands = Iterator[str | None]

#: The API versions that know uuids of records, and aborts before `running` (nova/api/openstack/rest_api_version_history.rst).
_WITH_UUIDS = "2.59"
_ABORT_EARLY = "2.65"

#: The API version from which a live migration can be aborted by its status (nova/compute/api.py, `live_migrate_abort`).
_ABORTABLE: Mapping[str, str] = {"queued": _ABORT_EARLY, "preparing": _ABORT_EARLY, "running": _WITH_UUIDS}


def _client(words: str, *arguments: str, api: str = "") -> str | None:
    """Return a command of the openstack client; None where an argument would not be taken as it is meant."""
    if not all(_is_plain(argument) for argument in arguments):
        return None
    version = ["--os-compute-api-version", api] if api else []
    return " ".join(["openstack", *version, words, *map(shlex.quote, arguments)])


def _is_plain(value: str) -> bool:
    """Tell whether a value can be quoted: visible, without backslashes, and no option."""
    return value.isprintable() and "\\" not in value and not value.startswith("-") and value != ""


def _look_at(server_id: str) -> _Commands:
    yield _client("server show", server_id)
    yield _client("server event list --long", server_id)


def _services(*hosts: str | None) -> _Commands:
    for host in hosts:
        if host is not None:
            yield _client("compute service list --service nova-compute --host", host)


def _who_acts(migration: Migration) -> _Commands:
    match migration.row.actor:
        case Actor.SOURCE:
            yield from _services(migration.source_host)
        case Actor.DEST:
            yield from _services(migration.dest_host)
        case Actor.CONDUCTOR:
            yield _client("compute service list --service nova-conductor")


def _abort(migration: Migration) -> _Commands:
    if migration.migration_type is MigrationType.LIVE_MIGRATION and migration.status in _ABORTABLE:
        api = _ABORTABLE[migration.status]
        yield _client("server migration abort", migration.server_id, migration.uuid, api=api)


def _sql(migration: Migration, status: str, after: str) -> str | None:
    """Return the statement that moves a record on in its cell's database, if nothing has moved it meanwhile."""
    if not (_is_plain(migration.uuid) and _is_plain(migration.status)):
        return None
    uuid, seen = (value.replace("'", "''") for value in (migration.uuid, migration.status))
    return (
        f"-- SQL, in the database of the cell that holds the record; only after checking that {after}\n"
        f"UPDATE migrations SET status='{status}', updated_at=UTC_TIMESTAMP() "
        f"WHERE uuid='{uuid}' AND status='{seen}' AND deleted=0;"
    )


def _for_deleting(record: LiveMigrationRecord) -> _Commands:
    yield from _look_at(record.migration.server_id)
    if record.server is not None:
        yield from _services(record.server.host)
        if record.server.task_state == "deleting":
            yield _client("server delete", record.migration.server_id)


def _for_error(record: LiveMigrationRecord) -> _Commands:
    server_id = record.migration.server_id
    yield from _look_at(server_id)
    yield _client("server set --state active", server_id)
    yield _client("server reboot --hard", server_id)


def _for_orphaned(record: LiveMigrationRecord) -> _Commands:
    migration = record.migration
    yield from _look_at(migration.server_id)
    yield _client("server migration list --server", migration.server_id, api=_WITH_UUIDS)
    yield _sql(migration, "error", "the server is in no move, or in a newer one")


def _for_source_down(record: LiveMigrationRecord) -> _Commands:
    yield from _services(record.migration.source_host)
    yield from _look_at(record.migration.server_id)


def _for_dest_down(record: LiveMigrationRecord) -> _Commands:
    migration = record.migration
    yield from _services(migration.dest_host)
    yield from _look_at(migration.server_id)
    if migration.migration_type is MigrationType.EVACUATION:
        yield _client("server evacuate", migration.server_id, api=_WITH_UUIDS)


def _for_no_progress(record: LiveMigrationRecord) -> _Commands:
    migration = record.migration
    if migration.status == "running":  # post-copy is not shown (nova/api/openstack/compute/server_migrations.py)
        yield _client("server migration show", migration.server_id, migration.uuid, api=_WITH_UUIDS)
    yield from _services(migration.source_host, migration.dest_host)
    yield from _abort(migration)


def _for_overdue(record: LiveMigrationRecord) -> _Commands:
    migration = record.migration
    yield from _look_at(migration.server_id)
    yield from _who_acts(migration)
    yield from _abort(migration)
    if migration.status == "running":
        yield _client("server migration force complete", migration.server_id, migration.uuid, api=_WITH_UUIDS)
    elif (
        migration.status == "confirming"
    ):  # confirm and revert look for a `finished` record and answer 400 for this one
        yield _sql(migration, "finished", "the server is in VERIFY_RESIZE and the source does nothing for it any more")
        yield _client("server resize confirm", migration.server_id)
    elif migration.migration_type is MigrationType.EVACUATION:
        yield _client("server evacuate", migration.server_id, api=_WITH_UUIDS)


def _for_unconfirmed(record: LiveMigrationRecord) -> _Commands:
    server_id = record.migration.server_id
    yield _client("server show", server_id)
    yield from _services(record.migration.source_host)
    yield _client("server resize confirm", server_id)
    yield _client("server resize revert", server_id)


def _for_undiagnosed(record: LiveMigrationRecord) -> _Commands:
    migration = record.migration
    yield from _look_at(migration.server_id)
    yield _client("server migration list --server", migration.server_id, api=_WITH_UUIDS)
    yield from _who_acts(migration)


_COMMANDS: Mapping[Reason, Callable[[LiveMigrationRecord], _Commands]] = {
    Reason.SERVER_DELETING: _for_deleting,
    Reason.SERVER_ERROR: _for_error,
    Reason.ORPHANED: _for_orphaned,
    Reason.SOURCE_DOWN: _for_source_down,
    Reason.DEST_DOWN: _for_dest_down,
    Reason.NO_PROGRESS: _for_no_progress,
    Reason.OVERDUE: _for_overdue,
    Reason.UNCONFIRMED: _for_unconfirmed,
    Reason.UNDIAGNOSED: _for_undiagnosed,
}

#: The state to set, where what the server does on its host is known: it runs there still, or has been built there.
#: A REBUILD in ERROR can be evacuated or rebuilt again. A RESIZE that has begun to copy, and a REVERT_RESIZE, have parts on
#: two hosts; no one command mends them.
_STATE_TO_SET: Mapping[tuple[str, str | None], str] = {
    ("RESIZE", "resize_prep"): "active",
    ("MIGRATING", "migrating"): "active",
    ("VERIFY_RESIZE", None): "active",
    ("REBUILD", "rebuilding"): "error",
    ("REBUILD", "rebuild_block_device_mapping"): "error",
    ("REBUILD", "rebuild_spawning"): "error",
}


def _for_stranded(each: StrandedServer) -> _Commands:
    server = each.server
    yield from _look_at(server.id)
    yield _client("server migration list --server", server.id, api=_WITH_UUIDS)
    yield from _services(server.host)
    state = _STATE_TO_SET.get((server.status, server.task_state))
    if state is not None:
        yield _client(f"server set --state {state}", server.id)
