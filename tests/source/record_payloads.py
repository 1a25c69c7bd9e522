"""Record what a real Nova answers, microversion by microversion: `python -m tests.source.record_payloads`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import requests

from tests.realcloud.cloud import RealCloud
from tests.realcloud.identity import User

PAYLOADS = Path(__file__).parent / "payloads"
MICROVERSIONS = ("2.59", "2.66", "2.80", "2.104")


def record(directory: Path) -> None:
    """Make moves of every type on a real cloud and write its answers."""
    cloud = RealCloud.start(directory)
    try:
        deleted = make_moves(cloud)
        for microversion in MICROVERSIONS:
            for name, path, user in questions(cloud, deleted):
                write(microversion, name, ask(cloud, path, user, microversion))
    finally:
        cloud.stop()


def make_moves(cloud: RealCloud) -> str:
    """Leave a record in each of several statuses of each type; return a server that was deleted."""
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
    return deleted


def finish(cloud: RealCloud, server: str) -> None:
    """Migrate a server until somebody must confirm."""
    cloud.migrate(server)
    cloud.wait_server(server, "VERIFY_RESIZE")


def questions(cloud: RealCloud, deleted: str) -> tuple[tuple[str, str, User], ...]:
    """Return the name of each payload, what is asked for it and by whom."""
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
    """Write one payload."""
    path = PAYLOADS / microversion / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(answer, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        record(Path(scratch))
