"""Record what a real Nova answers, microversion by microversion: `python -m tests.source.record_payloads`."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.realcloud.cloud import RealCloud
from tests.realcloud.identity import User

PAYLOADS = Path(__file__).parent / "payloads"
CHECKOUT = str(Path(__file__).parents[2])
MICROVERSIONS = ("2.59", "2.66", "2.80", "2.104")


def record(directory: Path) -> None:
    """Make moves of every type on a real cloud and write its answers."""
    cloud = RealCloud.start(directory)
    try:
        servers = make_moves(cloud)
        for microversion in MICROVERSIONS:
            for name, path, user in questions(cloud, servers):
                write(microversion, name, ask(cloud, path, user, microversion))
    finally:
        cloud.stop()


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers that are asked about: their ids."""

    confirmed: str
    failed: str
    running: str
    deleted: str


def make_moves(cloud: RealCloud) -> Servers:
    """Leave a record in each of several statuses of each type; return the servers of some."""
    waiting, kept, undone, failed, live, running, stuck, evacuated, deleted = [
        cloud.create_server(f"server{number}", host="host4" if number == 7 else "host1") for number in range(9)
    ]
    finish(cloud, waiting)
    finish(cloud, kept)
    cloud.confirm(kept)
    cloud.wait_status("confirmed", kept)
    cloud.resize(undone)
    cloud.wait_server(undone, "VERIFY_RESIZE")
    cloud.revert(undone)
    cloud.wait_status("reverted", undone)
    cloud.fail("migrate_disk_and_power_off", failed)
    cloud.resize(failed)
    cloud.wait_status("error", failed)
    cloud.live_migrate(live)
    cloud.wait_status("completed", live)
    cloud.heartbeat(0.2, running, memory_total=2**31, memory_step=2**20)
    cloud.hang("live_migration", running)
    cloud.live_migrate(running)
    cloud.wait_status("running", running)
    cloud.lose("prep_resize", stuck)
    cloud.migrate(stuck)
    cloud.wait_status("pre-migrating", stuck)
    cloud.fail_host("host4")
    cloud.evacuate(evacuated)
    cloud.wait_status("done", evacuated)
    cloud.delete_server(deleted)
    return Servers(kept, failed, running, deleted)


def finish(cloud: RealCloud, server: str) -> None:
    """Migrate a server until somebody must confirm."""
    cloud.migrate(server)
    cloud.wait_server(server, "VERIFY_RESIZE")


def request_of(cloud: RealCloud, server: str, action: str) -> str:
    """Return the request id of the last action of a name."""
    listed = ask(cloud, f"/servers/{server}/os-instance-actions", cloud.admin, "2.80")["body"]["instanceActions"]
    return next(str(each["request_id"]) for each in listed if each["action"] == action)


def questions(cloud: RealCloud, servers: Servers) -> tuple[tuple[str, str, User], ...]:
    """Return the name of each payload, what is asked for it and by whom."""
    return (*of_migrations(cloud, servers.deleted), *of_servers(cloud, servers))


def of_servers(cloud: RealCloud, servers: Servers) -> tuple[tuple[str, str, User], ...]:
    """Return what is asked about servers, their hosts and what was done to them."""
    everything = "/servers/detail?all_tenants=1"
    confirmed, failed = (f"/servers/{each}/os-instance-actions" for each in (servers.confirmed, servers.failed))
    since = "changes-since=2026-01-01T00%3A00%3A00Z&limit=1000"
    return (
        ("servers_resize", f"{everything}&status=RESIZE&limit=100", cloud.admin),
        ("servers_verify_resize", f"{everything}&status=VERIFY_RESIZE&limit=100", cloud.admin),
        ("server", f"{everything}&uuid={servers.running}&limit=1", cloud.admin),
        ("servers_forbidden", f"{everything}&status=RESIZE&limit=100", cloud.reader),
        ("services", "/os-services?binary=nova-compute", cloud.admin),
        ("services_forbidden", "/os-services?binary=nova-compute", cloud.reader),
        ("actions", f"{confirmed}?{since}", cloud.admin),
        ("actions_of_deleted", f"/servers/{servers.deleted}/os-instance-actions?{since}", cloud.admin),
        ("actions_not_found", f"{confirmed}?{since}", cloud.reader),
        ("action", f"{confirmed}/{request_of(cloud, servers.confirmed, 'migrate')}", cloud.admin),
        ("action_failed", f"{failed}/{request_of(cloud, servers.failed, 'resize')}", cloud.admin),
        ("action_not_found", f"{confirmed}/req-00000000-0000-4000-8000-000000000000", cloud.admin),
        ("progress", f"/servers/{servers.running}/migrations", cloud.admin),
        ("progress_not_found", f"/servers/{servers.deleted}/migrations", cloud.admin),
    )


def of_migrations(cloud: RealCloud, deleted: str) -> tuple[tuple[str, str, User], ...]:
    """Return what is asked about migrations, and about a server that was deleted."""
    nobody = "00000000-0000-4000-8000-000000000000"
    return (
        ("migrations", "/os-migrations?limit=1000", cloud.admin),
        ("page", "/os-migrations?limit=2", cloud.admin),
        ("marker_gone", f"/os-migrations?limit=2&marker={nobody}", cloud.admin),
        ("forbidden", "/os-migrations?limit=1000", cloud.reader),
        ("servers_deleted", f"/servers/detail?all_tenants=1&deleted=True&uuid={deleted}&limit=1", cloud.admin),
        ("server_gone", f"/servers/{deleted}", cloud.admin),
    )


def ask(cloud: RealCloud, path: str, user: User, microversion: str) -> dict[str, Any]:
    """Return an answer's status, body and the headers that matter."""
    headers = {"X-Auth-Token": cloud.identity.token(user)[0], "OpenStack-API-Version": f"compute {microversion}"}
    answer = requests.get(f"{cloud.compute_url}{path}", headers=headers, timeout=60)
    kept = {
        name: answer.headers[name]
        for name in ("Date", "Content-Type", "OpenStack-API-Version")
        if name in answer.headers
    }
    return {"request": path, "status": answer.status_code, "headers": kept, "body": answer.json()}


def write(microversion: str, name: str, answer: dict[str, Any]) -> None:
    """Write one payload; tracebacks are told from the checkout on."""
    path = PAYLOADS / microversion / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(answer, indent=1, sort_keys=True).replace(f"{CHECKOUT}/", "") + "\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        record(Path(scratch))
