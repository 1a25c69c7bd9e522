"""A real Nova behind a real Keystone, for tests."""

from __future__ import annotations

import atexit
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import requests

from tests.realcloud import processes
from tests.realcloud.control import Control
from tests.realcloud.identity import REGION, Identity, User

PASSWORD = "admin-secret"
SERVICE_PASSWORD = "service-secret"
CUSTOM_ROLE = "migration-reader"
# What an exporter that is no administrator needs of a Nova 32 or later: see nova/policies/migrations.py and its neighbours.
CUSTOM_RULES = (
    "os_compute_api:os-migrations:index",
    "os_compute_api:os-migrations:index:all_projects",
    "os_compute_api:os-migrations:index:host",
    "os_compute_api:os-instance-actions:list",
    "os_compute_api:os-instance-actions:show",
    "os_compute_api:os-instance-actions:events",
    "os_compute_api:servers:migrations:index",
    "os_compute_api:servers:migrations:show",
    "os_compute_api:servers:detail:get_all_tenants",
    "os_compute_api:servers:detail",
    "os_compute_api:servers:show",
    "os_compute_api:servers:show:host_status",
    "os_compute_api:os-extended-server-attributes",
    "os_compute_api:os-services:list",
)


def answers(url: str) -> bool:
    """Tell whether somebody answers at an address within a moment."""
    try:
        return requests.get(url, timeout=2).status_code < 500
    except requests.RequestException:
        return False


class RealCloud(Control):
    """The cloud: start it, log in to it, move servers in it, and compare with the truth."""

    def __init__(
        self, directory: Path, keystone: processes.Server, nova: processes.Server, ports: tuple[int, int, int]
    ) -> None:
        """Take two servers that were started on ports (Keystone, Nova's public one, Nova's control)."""
        super().__init__(f"http://127.0.0.1:{ports[2]}")
        self.directory, self.keystone, self.nova = directory, keystone, nova
        self.auth_url = f"http://127.0.0.1:{ports[0]}/v3"
        self.compute_url = f"http://127.0.0.1:{ports[1]}/v2.1"
        self.identity = Identity(self.auth_url, PASSWORD)
        self.admin = self.identity.admin
        self.reader = self.custom = self.demo = self.admin
        self.compute_service = ""

    @classmethod
    def start(cls, directory: Path) -> Self:
        """Start both servers, with their logs and files in a directory, and fill Keystone."""
        directory = Path(directory).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        processes.interpreter("nova")
        keystone, keystone_port = processes.start_keystone(directory, PASSWORD)
        login = {"auth_url": f"http://127.0.0.1:{keystone_port}/v3", "username": "nova", "password": SERVICE_PASSWORD}
        try:
            nova, public, control = processes.start_nova(directory, login | {"project_name": "service"})
        except BaseException:
            keystone.stop()
            raise
        cloud = cls(directory, keystone, nova, (keystone_port, public, control))
        atexit.register(cloud.stop)
        try:
            cloud._make_ready()
        except BaseException:
            cloud.stop()
            raise
        return cloud

    def _make_ready(self) -> None:
        """Fill Keystone while Nova starts, then wait for Nova."""
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(processes.wait_for, self.nova, lambda: answers(f"{self.control_url}/"), 120)
            processes.wait_for(self.keystone, lambda: answers(self.auth_url), 60)
            self._fill_keystone()
            waiting.result()
        self.command("identify", user_id=self.admin.user_id, project_id=self.admin.project_id)

    def _fill_keystone(self) -> None:
        """Create the users and the catalogue."""
        identity = self.identity
        self._set_admin()
        identity.create_service("identity", "keystone", self.auth_url)
        self.compute_service = identity.create_service("compute", "nova", self.compute_url)
        identity.create_user("nova", SERVICE_PASSWORD, "service", ["admin", "service"])
        self.reader = identity.create_user("reader", "reader-secret", "demo", ["reader"])
        self.custom = identity.create_user("custom", "custom-secret", "demo", [CUSTOM_ROLE])
        self.demo = identity.create_user("demo", "demo-secret", "demo", ["member", "reader"])

    def _set_admin(self) -> None:
        """Learn the administrator's ids."""
        token = self.identity.token(self.identity.admin)[1]
        self.admin = User("admin", PASSWORD, "admin", token["user"]["id"], token["project"]["id"])
        self.identity.admin = self.admin

    def stop(self) -> None:
        """Stop both servers."""
        atexit.unregister(self.stop)
        self.nova.stop()
        self.keystone.stop()

    def reset(self) -> None:
        """Return to a clean cloud: no servers, records, rules, faults, overrides; all hosts up; endpoints as they were."""
        self.command("reset")
        self.identity.set_token_expiration(3600)
        endpoints = self.identity.endpoints(self.compute_service)
        if len(endpoints) == 3 and all(one["url"] == self.compute_url for one in endpoints):
            return
        self.identity.ask("DELETE", f"/services/{self.compute_service}")
        self.compute_service = self.identity.create_service("compute", "nova", self.compute_url)

    def grant_custom(self) -> None:
        """Let the role `migration-reader` do what an exporter needs, beside whom Nova lets by default; undone by reset."""
        rules = {}
        for name in CUSTOM_RULES:
            default = self.command("policy_default", name=name)
            rules[name] = f"({default}) or role:{CUSTOM_ROLE}" if default else f"role:{CUSTOM_ROLE}"
        self.set_policy(rules)

    def clouds(self, **more: dict[str, Any]) -> dict[str, Any]:
        """Return the content of clouds.yaml: admin, reader, custom, demo, and what is given."""
        users = {"admin": self.admin, "reader": self.reader, "custom": self.custom, "demo": self.demo}
        common = {"region_name": REGION, "identity_api_version": "3"}
        entries = {name: common | {"auth": user.auth(self.auth_url)} for name, user in users.items()}
        return {"clouds": entries | {name: common | entry for name, entry in more.items()}}

    def clouds_yaml(self, path: Path, **more: dict[str, Any]) -> Path:
        """Write clouds.yaml (JSON is YAML) and return its path."""
        path.write_text(json.dumps(self.clouds(**more), indent=2) + "\n")
        return path

    def application_credential_entry(self, user: User, name: str, **details: Any) -> dict[str, Any]:
        """Create an application credential and return a clouds.yaml entry that uses it."""
        made = self.identity.application_credential(user, name, **details)
        auth = {"auth_url": self.auth_url, "application_credential_id": made["id"]}
        auth["application_credential_secret"] = made["secret"]
        return {"auth_type": "v3applicationcredential", "auth": auth}

    def connect(self, cloud: str = "admin", **options: Any) -> Any:
        """Return an openstacksdk connection to the cloud as one of its users."""
        import openstack

        entry = self.clouds()["clouds"][cloud]
        return openstack.connect(load_envvars=False, load_yaml_config=False, **entry | options)
