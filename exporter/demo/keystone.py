"""The simulated Keystone: accounts, tokens, catalogue."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exporter.demo.records import DEFAULT_PROJECT, DEFAULT_USER
from exporter.demo.refusal import RefusedError, UnauthorizedError
from exporter.demo.stamps import keystone_time

Body = dict[str, Any]

_DOMAIN = {"id": "default", "name": "Default"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of one project, who may also come with an application credential."""

    username: str
    password: str
    roles: frozenset[str]
    user_id: str = DEFAULT_USER
    project_id: str = DEFAULT_PROJECT
    project_name: str = "demo"
    application_credential_id: str | None = None
    application_credential_secret: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """An issued token; times are epoch seconds."""

    account: Account
    scoped: bool
    method: str
    issued_at: float
    expires_at: float


ADMIN_ACCOUNT = Account(
    username="admin",
    password="secret",
    roles=frozenset({"admin", "manager", "member", "reader"}),
    application_credential_id="3e9f7d0c5b1a4f6d8c2e4a6b8d0f1c3e",
    application_credential_secret="also-secret",
)
READER_ACCOUNT = Account(
    username="reader",
    password="secret",
    roles=frozenset({"reader"}),
    user_id="7a6b5c4d3e2f4a1b9c8d7e6f5a4b3c2d",
    project_id="91c0d7e6f5a44b3c8d2e1f0a9b8c7d6e",
    project_name="other",
)


class Keystone:
    """Issue and check tokens; forgets the expired ones."""

    def __init__(self, accounts: tuple[Account, ...], *, region: str, clock: Callable[[], float]) -> None:
        self.accounts = accounts
        self.region = region
        self.clock = clock
        self.token_lifetime = 3600.0
        self.services = frozenset({"identity", "compute"})
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()

    def login(self, request: Any) -> tuple[str, Token]:
        """Issue a token for the body of POST /v3/auth/tokens."""
        try:
            auth = request["auth"]
            method = auth["identity"]["methods"][0]
            account = self._account(method, auth["identity"][method])
            scoped = method == "application_credential" or _project_fits(account, auth.get("scope"))
        except (KeyError, IndexError, TypeError, AttributeError):
            raise RefusedError(400, "The request body is not what the schema of auth asks for.") from None
        now = self.clock()
        token = Token(account, scoped, method, now, now + self.token_lifetime)
        identity = f"gAAAAA{uuid.uuid4().hex}"
        with self._lock:
            self._tokens = {key: kept for key, kept in self._tokens.items() if kept.expires_at > now}
            self._tokens[identity] = token
        return identity, token

    def _account(self, method: str, proof: Body) -> Account:
        if method == "token":
            return self.token(proof["id"]).account
        for account in self.accounts:
            if _PROOFS[method](account, proof):
                return account
        raise UnauthorizedError

    def token(self, identity: str | None) -> Token:
        """Give a valid token; UnauthorizedError for a missing, unknown or expired one."""
        token = self._tokens.get(identity or "")
        if token is None or token.expires_at <= self.clock():
            raise UnauthorizedError
        return token

    def revoke(self, identity: str) -> None:
        """Make one token worthless."""
        with self._lock:
            self._tokens.pop(identity, None)

    def revoke_all(self) -> None:
        """Make every token worthless."""
        with self._lock:
            self._tokens = {}

    def token_body(self, token: Token, urls: dict[str, str]) -> Body:
        """Show a token with its catalogue."""
        account = token.account
        body: Body = {
            "methods": [token.method],
            "user": {
                "id": account.user_id, "name": account.username, "domain": _DOMAIN, "password_expires_at": None
            },
            "audit_ids": [uuid.uuid4().hex[:22]],
            "expires_at": keystone_time(token.expires_at),
            "issued_at": keystone_time(token.issued_at),
        }  # fmt: skip
        if token.scoped:
            body["project"] = {"id": account.project_id, "name": account.project_name, "domain": _DOMAIN}
            body["is_domain"] = False
            body["roles"] = [{"id": f"{role}-role", "name": role} for role in sorted(account.roles)]
            body["catalog"] = [self._service(name, urls[name]) for name in sorted(self.services)]
        return {"token": body}

    def _service(self, kind: str, url: str) -> Body:
        endpoints = [
            {
                "id": f"{kind}-{interface}", "interface": interface, "region": self.region, "region_id": self.region,
                "url": url,
            }
            for interface in ("admin", "internal", "public")
        ]  # fmt: skip
        name = {"identity": "keystone", "compute": "nova"}[kind]
        return {"id": f"{kind}-service", "type": kind, "name": name, "endpoints": endpoints}


def _proves_password(account: Account, proof: Body) -> bool:
    user = proof["user"]
    named = user.get("id") == account.user_id or (user.get("name") == account.username and _in_domain(user))
    return named and bool(user.get("password") == account.password)


def _proves_application_credential(account: Account, proof: Body) -> bool:
    known = account.application_credential_id
    return known is not None and (proof.get("id"), proof.get("secret")) == (
        known, account.application_credential_secret
    )  # fmt: skip


_PROOFS: dict[str, Callable[[Account, Body], bool]] = {
    "password": _proves_password,
    "application_credential": _proves_application_credential,
}


def _in_domain(thing: Body) -> bool:
    domain: Body = thing.get("domain", {})
    return bool(domain.get("id") == _DOMAIN["id"] or domain.get("name") == _DOMAIN["name"])


def _project_fits(account: Account, scope: Any) -> bool:
    """Tell whether a token is for a project; a project that the account has no role on is refused."""
    if not scope or scope == "unscoped" or "project" not in scope:
        return False
    project = scope["project"]
    by_name = project.get("name") == account.project_name and _in_domain(project)
    if not by_name and project.get("id") != account.project_id:
        raise UnauthorizedError
    return True


def versions(url: str) -> Body:
    """Show the versions of the identity API that there are."""
    return {"versions": {"values": [_version(url)]}}


def version_document(url: str) -> Body:
    """Show version 3 of the identity API."""
    return {"version": _version(url)}


def _version(url: str) -> Body:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{url}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }
