"""Who may see what: Nova's policy rules as the roles that satisfy each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.demo.refusal import RefusedError

MIGRATIONS = "os_compute_api:os-migrations:index"
MIGRATIONS_ALL_PROJECTS = "os_compute_api:os-migrations:index:all_projects"
MIGRATIONS_HOST = "os_compute_api:os-migrations:index:host"
SERVERS_ALL_TENANTS = "os_compute_api:servers:detail:get_all_tenants"
SERVERS_ALL_FILTERS = "os_compute_api:servers:allow_all_filters"
SERVERS_EXTENDED = "os_compute_api:os-extended-server-attributes"
ACTIONS_LIST = "os_compute_api:os-instance-actions:list"
ACTIONS_SHOW = "os_compute_api:os-instance-actions:show"
ACTION_EVENTS = "os_compute_api:os-instance-actions:events"
ACTION_DETAILS = "os_compute_api:os-instance-actions:events:details"
SERVER_MIGRATIONS = "os_compute_api:servers:migrations:index"
SERVER_MIGRATIONS_HOST = "os_compute_api:servers:migrations:index:host"
SERVICES = "os_compute_api:os-services:list"

ADMIN = frozenset({"admin"})
# Those that Nova split off `index` in 2025.2 (32.0.0); before, `index` alone showed everything to whoever passed it.
SPLIT_RULES = frozenset({MIGRATIONS_ALL_PROJECTS, MIGRATIONS_HOST, SERVER_MIGRATIONS_HOST})
# Rules that a project's manager passes since then, and those that its readers pass; the server's project is the caller's
# own wherever these are asked of somebody who is not admin, for that is all that Nova shows him by a server's id.
_MANAGERS_RULES = frozenset({MIGRATIONS, SERVER_MIGRATIONS})
_READERS_RULES = frozenset({ACTIONS_LIST, ACTIONS_SHOW})


@dataclass(frozen=True, slots=True)
class Policy:
    """The roles that satisfy each rule; rules not named ask for admin. `split` is Nova 2025.2 and later."""

    rules: Mapping[str, frozenset[str]] = field(default_factory=dict)
    split: bool = True

    def allows(self, rule: str, roles: frozenset[str]) -> bool:
        """Tell whether some role satisfies a rule."""
        if rule in SPLIT_RULES and not self.split:
            return True
        return bool(roles & self.rules.get(rule, self._default(rule)))

    def _default(self, rule: str) -> frozenset[str]:
        if rule in _READERS_RULES:
            return ADMIN | {"reader"}
        return ADMIN | {"manager"} if rule in _MANAGERS_RULES and self.split else ADMIN

    def demand(self, rule: str, roles: frozenset[str]) -> None:
        """Refuse with 403 where no role satisfies a rule."""
        if not self.allows(rule, roles):
            raise RefusedError(403, f"Policy doesn't allow {rule} to be performed.")


def allowing(role: str, *rules: str, split: bool = True) -> Policy:
    """Give a policy that lets one more role pass some rules."""
    return Policy({rule: ADMIN | {role} for rule in rules}, split=split)
