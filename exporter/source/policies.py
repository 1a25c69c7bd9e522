"""Name the rules of Nova's policy that each question needs, by release (nova/policies/)."""

from __future__ import annotations

import re
from collections.abc import Sequence

INDEX = "os_compute_api:os-migrations:index"
ALL_PROJECTS = f"{INDEX}:all_projects"
HOST = f"{INDEX}:host"
DETAIL = "os_compute_api:servers:detail"
ALL_TENANTS = "os_compute_api:servers:detail:get_all_tenants"
ALL_FILTERS = "os_compute_api:servers:allow_all_filters"
EXTENDED = "os_compute_api:os-extended-server-attributes"
SERVICES = "os_compute_api:os-services:list"
ACTIONS = "os_compute_api:os-instance-actions:list"
ACTION = "os_compute_api:os-instance-actions:show"
SERVER_MIGRATIONS = "os_compute_api:servers:migrations:index"

#: Until Nova 20.0 (Train) one rule stood for all that could be done with services, and one for all actions.
OLD_SERVICES = "os_compute_api:os-services"
OLD_ACTIONS = "os_compute_api:os-instance-actions"

_BEFORE_21 = "before Nova 21.0"
_ROLE = "the user needs the admin role"

#: What a user who was refused a question lacks, by the end of its path.
_CURES: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(path), cure)
    for path, cure in (
        (
            r"/os-migrations$",
            f"{_ROLE}, or the policy rules {INDEX} and, since Nova 2025.2, :index:all_projects and :index:host have to allow it",
        ),
        (r"/servers/detail$", f"{_ROLE}, or the policy rules {DETAIL} and {ALL_TENANTS} have to allow it"),
        (r"/os-services$", f"{_ROLE}, or the policy rule {SERVICES} ({_BEFORE_21} {OLD_SERVICES}) has to allow it"),
        (
            r"/os-instance-actions$",
            f"{_ROLE}, and the policy rule {ACTIONS} ({_BEFORE_21} {OLD_ACTIONS}) has to allow it",
        ),
        (
            r"/os-instance-actions/[^/]+$",
            f"{_ROLE}, and the policy rule {ACTION} ({_BEFORE_21} {OLD_ACTIONS}) has to allow it",
        ),
        (r"/servers/[^/]+/migrations$", f"{_ROLE}, and the policy rule {SERVER_MIGRATIONS} has to allow it"),
    )
)


def cure_of(asked: str) -> str:
    """Return what to add to the message that a request was forbidden; nothing where no rule is known for it."""
    return next((f": {cure}" for path, cure in _CURES if path.search(asked)), "")
