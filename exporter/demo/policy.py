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
SERVICES = "os_compute_api:os-services:list"

ADMIN = frozenset({"admin"})
# The two that Nova split off `index` in 2025.2 (32.0.0); before, `index` alone showed everything to whoever passed it.
SPLIT_RULES = frozenset({MIGRATIONS_ALL_PROJECTS, MIGRATIONS_HOST})


@dataclass(frozen=True, slots=True)
class Policy:
    """The roles that satisfy each rule; rules not named ask for admin. `split` is Nova 2025.2 and later."""

    rules: Mapping[str, frozenset[str]] = field(default_factory=dict)
    split: bool = True

    def allows(self, rule: str, roles: frozenset[str]) -> bool:
        """Tell whether some role satisfies a rule."""
        if rule in SPLIT_RULES and not self.split:
            return True
        default = ADMIN | {"manager"} if rule == MIGRATIONS and self.split else ADMIN
        return bool(roles & self.rules.get(rule, default))

    def demand(self, rule: str, roles: frozenset[str]) -> None:
        """Refuse with 403 where no role satisfies a rule."""
        if not self.allows(rule, roles):
            raise RefusedError(403, f"Policy doesn't allow {rule} to be performed.")


def allowing(role: str, *rules: str, split: bool = True) -> Policy:
    """Give a policy that lets one more role pass some rules."""
    return Policy({rule: ADMIN | {role} for rule in rules}, split=split)
