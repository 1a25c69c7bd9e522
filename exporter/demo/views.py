"""The bodies of Nova's answers: which fields at which microversion, and links."""

import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from exporter.demo.microversion import MINIMUM, Microversion
from exporter.demo.query import ACTIONS_PAGED, INITIATOR, PAGED, Parameters
from exporter.demo.records import (
    LINKED_STATUSES,
    LIVE_MIGRATION,
    ActionRow,
    EventRow,
    MigrationRow,
    ServerRow,
    ServiceRow,
)
from exporter.demo.stamps import naive, zulu

Body = dict[str, Any]

_TYPED = Microversion(2, 23)
_EVENT_HOSTS = Microversion(2, 62)
_EVENT_DETAILS = Microversion(2, 84)
_MOVED_FIELDS = tuple(f"{what}_{part}" for what in ("memory", "disk") for part in ("total", "processed", "remaining"))
_HOST_FIELDS = ("source_compute", "source_node", "dest_compute", "dest_node", "dest_host")


def migration(row: MigrationRow, version: Microversion, *, url: str, show_hosts: bool) -> Body:
    """Show a migration (nova/api/openstack/compute/migrations.py _output)."""
    body: Body = {
        "id": row.id,
        "instance_uuid": row.instance_uuid,
        "status": row.status,
        "old_instance_type_id": row.old_instance_type_id,
        "new_instance_type_id": row.new_instance_type_id,
        "created_at": naive(row.created_at),
        "updated_at": naive(row.updated_at),
    }
    body |= {name: getattr(row, name) if show_hosts else None for name in _HOST_FIELDS}
    if version >= _TYPED:
        body["migration_type"] = row.migration_type
        if row.migration_type == LIVE_MIGRATION and row.status in LINKED_STATUSES:
            body["links"] = links(url, f"servers/{row.instance_uuid}/migrations/{row.id}")
    if version >= PAGED:
        body["uuid"] = row.uuid
    if version >= INITIATOR:
        body |= {"user_id": row.user_id, "project_id": row.project_id}
    return body


def server_migration(row: MigrationRow, version: Microversion, *, show_hosts: bool) -> Body:
    """Show a live migration under its server (nova/api/openstack/compute/server_migrations.py output)."""
    body: Body = {name: getattr(row, name) if show_hosts else None for name in _HOST_FIELDS}
    body |= {f"{name}_bytes": getattr(row, name) for name in _MOVED_FIELDS}
    body |= {
        "id": row.id,
        "server_uuid": row.instance_uuid,
        "status": row.status,
        "created_at": naive(row.created_at),
        "updated_at": naive(row.updated_at),
    }
    if version >= PAGED:
        body["uuid"] = row.uuid
    if version >= INITIATOR:
        body |= {"user_id": row.user_id, "project_id": row.project_id}
    return body


def action(row: ActionRow, version: Microversion) -> Body:
    """Show what was done with a server (nova/api/openstack/compute/instance_actions.py _format_action)."""
    body: Body = {
        "action": row.action,
        "instance_uuid": row.instance_uuid,
        "request_id": row.request_id,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "start_time": naive(row.start_time),
        "message": row.message,
    }
    return body | ({"updated_at": naive(row.updated_at)} if version >= ACTIONS_PAGED else {})


def event(row: EventRow, version: Microversion, *, project_id: str, everything: bool, details: bool) -> Body:
    """Show a step of an action (instance_actions.py _format_event); `everything` is what the rule for events shows.

    `project_id` is the action's, the server's where it has none: the host is hashed with it.
    """
    body: Body = {
        "event": row.event,
        "start_time": naive(row.start_time),
        "finish_time": naive(row.finish_time),
        "result": row.result,
    }
    body |= {"traceback": row.traceback} if everything else {}
    if version >= _EVENT_HOSTS:
        body |= {"hostId": _host_id(project_id, row.host)} | ({"host": row.host} if everything else {})
    return body | ({"details": row.details} if details and version >= _EVENT_DETAILS else {})


def links(url: str, path: str) -> list[Body]:
    """Link to a resource, with and without the version in the URL (common.py ViewBuilder._get_links)."""
    bookmark = url.rpartition("/")[0]
    return [{"rel": "self", "href": f"{url}/{path}"}, {"rel": "bookmark", "href": f"{bookmark}/{path}"}]


def next_links(url: str, path: str, parameters: Parameters, items: Sequence[Body], key: str, full: int) -> list[Body]:
    """Link to the next page where this one is full (common.py ViewBuilder._get_collection_links)."""
    if not full or len(items) != full:
        return []
    query = dict(sorted(parameters)) | {"marker": items[-1][key]}
    return [{"rel": "next", "href": f"{url}/{path}?{urlencode(query)}"}]


def server(row: ServerRow, version: Microversion, *, url: str, extended: bool) -> Body:
    """Show a server (nova/api/openstack/compute/views/servers.py show)."""
    body: Body = {
        "id": row.id,
        "name": row.name,
        "status": row.status,
        "tenant_id": row.project_id,
        "user_id": row.user_id,
        "created": zulu(row.created_at),
        "updated": zulu(row.updated_at),
        "hostId": _host_id(row.project_id, row.host),
        "links": links(url, f"servers/{row.id}"),
        "flavor": _flavor(row, version, url),
        "OS-SRV-USG:launched_at": naive(row.launched_at),
        "OS-SRV-USG:terminated_at": naive(row.terminated_at),
        "OS-EXT-STS:vm_state": row.vm_state,
        "OS-EXT-STS:task_state": row.task_state,
        "OS-EXT-STS:power_state": row.power_state,
        **_CONSTANT_FIELDS,
    }
    if row.status in ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING", "REVERT_RESIZE"):
        body["progress"] = row.progress
    if extended:
        body |= _extended(row, version)
    body |= {name: value for since, name, value in _LATER_FIELDS if version >= since}
    if extended and version >= (2, 16):
        body["host_status"] = "UP" if row.host and not row.deleted else ""
    return body


_CONSTANT_FIELDS: Body = {
    "accessIPv4": "",
    "accessIPv6": "",
    "addresses": {},
    "image": "",
    "metadata": {},
    "config_drive": "",
    "key_name": None,
    "OS-DCF:diskConfig": "MANUAL",
    "OS-EXT-AZ:availability_zone": "nova",
    "os-extended-volumes:volumes_attached": [],
}
_LATER_FIELDS: tuple[tuple[Microversion, str, Any], ...] = (
    (Microversion(2, 9), "locked", False),
    (Microversion(2, 19), "description", None),
    (Microversion(2, 26), "tags", []),
    (Microversion(2, 63), "trusted_image_certificates", None),
    (Microversion(2, 73), "locked_reason", None),
    (Microversion(2, 96), "pinned_availability_zone", None),
    (Microversion(2, 100), "scheduler_hints", {}),
)


def _host_id(project_id: str, host: str | None) -> str:
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def _flavor(row: ServerRow, version: Microversion, url: str) -> Body:
    if version < (2, 47):
        return {"id": "1", "links": links(url, "flavors/1")[1:]}
    sizes = {"vcpus": 1, "ram": row.ram, "disk": row.disk, "ephemeral": 0, "swap": 0}
    return {**sizes, "original_name": f"m1.{row.ram}", "extra_specs": {}}


def _extended(row: ServerRow, version: Microversion) -> Body:
    fields: Body = {
        "host": row.host,
        "hypervisor_hostname": row.host,
        "instance_name": f"instance-{row.id[:8]}",
    }
    if version >= (2, 3):
        fields |= {"kernel_id": "", "ramdisk_id": "", "root_device_name": "/dev/vda", "user_data": None}
        fields |= {"hostname": row.name, "launch_index": 0, "reservation_id": f"r-{row.id[:8]}"}
    return {f"OS-EXT-SRV-ATTR:{name}": value for name, value in fields.items()}


def service(row: ServiceRow, number: int, version: Microversion) -> Body:
    """Show a service (nova/api/openstack/compute/services.py _get_service_detail)."""
    body: Body = {
        "id": row.id if version >= (2, 53) else number,
        "binary": row.binary,
        "host": row.host,
        "zone": row.zone,
        "status": "disabled" if row.disabled else "enabled",
        "state": "up" if row.up and not row.forced_down else "down",
        "updated_at": naive(row.updated_at),
        "disabled_reason": row.disabled_reason,
    }
    return body | ({"forced_down": row.forced_down} if version >= (2, 11) else {})


def _version(identity: str, maximum: Microversion | None, href: str) -> Body:
    return {
        "id": identity,
        "status": "CURRENT" if maximum else "DEPRECATED",
        "version": str(maximum or ""),
        "min_version": str(MINIMUM) if maximum else "",
        "updated": "2013-07-23T11:33:21Z" if maximum else "2025-07-04T12:00:00Z",
        "links": [{"rel": "self", "href": href}],
    }


def versions(root: str, maximum: Microversion) -> Body:
    """Show the versions of the API that there are."""
    return {"versions": [_version("v2.0", None, f"{root}/v2/"), _version("v2.1", maximum, f"{root}/v2.1/")]}


def version_document(url: str, maximum: Microversion) -> Body:
    """Show version 2.1 of the API, the one with microversions."""
    described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    media = {"base": "application/json", "type": "application/vnd.openstack.compute+json;version=2.1"}
    document = _version("v2.1", maximum, f"{url}/")
    document["links"].append(described)
    return {"version": {**document, "media-types": [media]}}
