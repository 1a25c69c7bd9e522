"""Speak to the real Keystone as its administrator: users, roles, endpoints, application credentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

DOMAIN = "default"
REGION = "RegionOne"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who can log in, and the project that they log in to."""

    name: str
    password: str
    project: str
    user_id: str = ""
    project_id: str = ""

    def auth(self, auth_url: str) -> dict[str, str]:
        """Return the `auth` of a clouds.yaml entry."""
        return {
            "auth_url": auth_url,
            "username": self.name,
            "password": self.password,
            "project_name": self.project,
            "user_domain_id": DOMAIN,
            "project_domain_id": DOMAIN,
        }


class Identity:
    """Keystone, by its own API with an administrator's token."""

    def __init__(self, auth_url: str, password: str) -> None:
        """Remember where Keystone is."""
        self.auth_url = auth_url
        self.admin = User("admin", password, "admin")
        self._session = requests.Session()
        self._session.trust_env = False
        self._token: str | None = None

    def token(self, user: User) -> tuple[str, dict[str, Any]]:
        """Log in; return the token and what Keystone says of it."""
        domain = {"id": DOMAIN}
        who = {"user": {"name": user.name, "domain": domain, "password": user.password}}
        scope = {"project": {"name": user.project, "domain": domain}}
        body = {"auth": {"identity": {"methods": ["password"], "password": who}, "scope": scope}}
        answer = self._session.post(f"{self.auth_url}/auth/tokens", json=body, timeout=30)
        answer.raise_for_status()
        return answer.headers["X-Subject-Token"], answer.json()["token"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Make a request as the administrator, with a new token when the last one is no longer good."""
        for fresh in (False, True):
            if self._token is None or fresh:
                self._token = self.token(self.admin)[0]
            headers = {"X-Auth-Token": self._token}
            answer = self._session.request(method, self.auth_url + path, json=body, headers=headers, timeout=30)
            if answer.status_code != 401:
                break
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def role(self, name: str) -> str:
        """Return the id of a role, created where it is missing."""
        found = self.ask("GET", f"/roles?name={name}")["roles"]
        return str((found or [self.ask("POST", "/roles", {"role": {"name": name}})["role"]])[0]["id"])

    def project(self, name: str) -> str:
        """Return the id of a project, created where it is missing."""
        found = self.ask("GET", f"/projects?name={name}&domain_id={DOMAIN}")["projects"]
        wanted = {"project": {"name": name, "domain_id": DOMAIN}}
        return str((found or [self.ask("POST", "/projects", wanted)["project"]])[0]["id"])

    def create_user(self, name: str, password: str, project: str, roles: list[str]) -> User:
        """Create a user with roles in a project."""
        project_id = self.project(project)
        body = {"user": {"name": name, "password": password, "domain_id": DOMAIN, "default_project_id": project_id}}
        user_id = self.ask("POST", "/users", body)["user"]["id"]
        for role in roles:
            self.ask("PUT", f"/projects/{project_id}/users/{user_id}/roles/{self.role(role)}")
        return User(name, password, project, user_id, project_id)

    def delete_user(self, user: User) -> None:
        """Delete a user."""
        self.ask("DELETE", f"/users/{user.user_id}")

    def set_password(self, user: User, password: str) -> User:
        """Change a user's password, which ends all their tokens; return the user as they log in now."""
        self.ask("PATCH", f"/users/{user.user_id}", {"user": {"password": password}})
        return User(user.name, password, user.project, user.user_id, user.project_id)

    def set_enabled(self, user: User, enabled: bool) -> None:
        """Disable or enable a user."""
        self.ask("PATCH", f"/users/{user.user_id}", {"user": {"enabled": enabled}})

    def application_credential(self, user: User, name: str, **details: Any) -> dict[str, Any]:
        """Create an application credential of a user (with expires_at, roles, ...); return it with its secret."""
        headers = {"X-Auth-Token": self.token(user)[0]}
        body = {"application_credential": {"name": name} | details}
        address = f"{self.auth_url}/users/{user.user_id}/application_credentials"
        answer = self._session.post(address, json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return dict(answer.json()["application_credential"])

    def create_service(self, kind: str, name: str, url: str) -> str:
        """Add a service with its three endpoints to the catalogue; return its id."""
        service = self.ask("POST", "/services", {"service": {"type": kind, "name": name}})["service"]["id"]
        for interface in ("public", "internal", "admin"):
            endpoint = {"service_id": service, "interface": interface, "url": url, "region_id": REGION}
            self.ask("POST", "/endpoints", {"endpoint": endpoint})
        return str(service)

    def endpoints(self, service: str) -> list[dict[str, Any]]:
        """Return the endpoints of a service."""
        return list(self.ask("GET", f"/endpoints?service_id={service}")["endpoints"])

    def set_endpoint(self, service: str, url: str, interface: str | None = None) -> None:
        """Point the endpoints of a service, or one of them, to another address."""
        for endpoint in self.endpoints(service):
            if interface in (None, endpoint["interface"]):
                self.ask("PATCH", f"/endpoints/{endpoint['id']}", {"endpoint": {"url": url}})

    def delete_endpoints(self, service: str, interface: str | None = None) -> None:
        """Take the endpoints of a service, or one of them, out of the catalogue."""
        for endpoint in self.endpoints(service):
            if interface in (None, endpoint["interface"]):
                self.ask("DELETE", f"/endpoints/{endpoint['id']}")

    def set_token_expiration(self, seconds: int) -> None:
        """Let tokens issued from now on live so long (Keystone's default: 3600)."""
        address = self.auth_url.removesuffix("/v3") + "/_realcloud/token-expiration"
        self._session.post(address, json={"seconds": seconds}, timeout=30).raise_for_status()
