"""Tell what a user may ask of a cloud, and what to change where that is too little: the substance of `check`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import requests

from exporter.domain.cloud import Answer, CloudError
from exporter.source.login import Login
from exporter.source.nova import MIGRATIONS, SERVERS, NovaCloud
from exporter.source.replies import servers_in
from exporter.strangers import printable

#: The highest microversion of Nova 31.0 (2025.1) and of 32.0 (2025.2) alike. 32.0 split the rule for os-migrations in
#: three (nova/policies/migrations.py).
LAST_BEFORE_SPLIT = (2, 100)

#: Seconds by which the cloud's clock and ours may differ; the Date header itself is cut to whole seconds.
MAX_SKEW = 10.0

INDEX = "os_compute_api:os-migrations:index"
ALL_PROJECTS = f"{INDEX}:all_projects"
HOST = f"{INDEX}:host"
DETAIL = "os_compute_api:servers:detail"
ALL_TENANTS = "os_compute_api:servers:detail:get_all_tenants"
ALL_FILTERS = "os_compute_api:servers:allow_all_filters"

_NEVER_WAS = {"deleted": "True", "uuid": str(uuid.UUID(int=0))}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is as it should be (None: it cannot be told), and what to do if not."""

    subject: str
    ok: bool | None
    text: str


def check(cloud: NovaCloud, deadline: float, now: Callable[[], float] = time.time) -> list[Finding]:
    """Return what was found, in the order in which an operator would mend it; raises nothing.

    `deadline` is in monotonic seconds, `now` in seconds since the epoch. Where the login fails, that is all.
    """
    try:
        login = cloud.login(deadline)
    except CloudError as error:
        return [Finding("login", False, str(error))]
    findings = [Finding("login", True, f"logged in with the roles {printable(', '.join(login.roles)) or '(none)'}")]
    findings.append(Finding("microversion", True, f"{login.microversion} of up to {login.highest} is spoken"))
    findings += _listing(cloud, login, deadline, now)
    findings.append(_deletions(cloud, login, deadline))
    return findings


def _listing(cloud: NovaCloud, login: Login, deadline: float, now: Callable[[], float]) -> Iterator[Finding]:
    try:
        reply = cloud.get(MIGRATIONS, {"limit": "1"}, deadline, allowed=(403,))
        if reply.status == requests.codes.forbidden:
            yield Finding("migrations", False, _refused_listing(reply.explanation, login))
            return
        answer = cloud.newest(deadline)
    except CloudError as error:
        yield Finding("migrations", False, str(error))
        return
    yield Finding("migrations", True, "may list the migrations of all projects")
    yield _hosts(answer)
    yield _skew(answer, now())


def _refused_listing(said: str, login: Login) -> str:
    if login.maximum < LAST_BEFORE_SPLIT:
        rules = f"allow {INDEX}"
    elif login.maximum == LAST_BEFORE_SPLIT:
        rules = f"allow {INDEX} (Nova 2025.1), or all of {INDEX}, {ALL_PROJECTS} and {HOST} (2025.2)"
    else:
        rules = f"allow all of {INDEX}, {ALL_PROJECTS} and {HOST}"
    return f"may not list migrations: give the user the admin role, or {rules} in Nova's policy.yaml ({said})"


def _hosts(answer: Answer) -> Finding:
    if not answer.migrations:
        return Finding("hosts", None, "there is no migration yet that would show whether hosts may be seen")
    if answer.migrations[0].source_host is not None:
        return Finding("hosts", True, "may see the hosts of migrations")
    cure = f"give the user the admin role, or allow {HOST} in Nova's policy.yaml"
    return Finding("hosts", False, f"the hosts of migrations are hidden: {cure}")


def _skew(answer: Answer, now: float) -> Finding:
    if answer.date is None:
        return Finding("clock", None, "the API sends no Date, so the clocks cannot be compared")
    skew = answer.date - now
    if abs(skew) <= MAX_SKEW:
        return Finding("clock", True, f"the API's clock and this one differ by {abs(skew):.0f} s")
    side = "ahead of" if skew > 0 else "behind"
    return Finding("clock", False, f"the API's clock is {abs(skew):.0f} s {side} this one: check NTP on both sides")


def _deletions(cloud: NovaCloud, login: Login, deadline: float) -> Finding:
    """Ask for a server that never was: Nova answers with any other server where it ignores filters."""
    everything = {"all_tenants": "1", "limit": "1"}
    try:
        reply = cloud.get(SERVERS, everything | _NEVER_WAS, deadline, allowed=(403,))
        if reply.status == requests.codes.forbidden:
            return _deletions_hidden(f"may not list servers of all projects ({reply.explanation})")
        if not servers_in(reply.body):
            some = servers_in(cloud.get(SERVERS, everything, deadline).body)
            text = (
                "may look up deleted servers" if some else "there is no server yet that would show whether filters work"
            )
            return Finding("deleted servers", True if some else None, text)
    except (CloudError, ValueError) as error:
        return Finding("deleted servers", False, str(error))
    ignored = "Nova ignores the filters deleted and uuid for this user"
    if login.is_admin:
        text = f"{ignored}; a deleted server is told by its absence, without the time of its deletion"
        return Finding("deleted servers", None, text)
    return _deletions_hidden(ignored)


def _deletions_hidden(cause: str) -> Finding:
    cure = f"give the user the admin role, or allow {DETAIL}, {ALL_TENANTS} and {ALL_FILTERS} in Nova's policy.yaml"
    loss = "else the migrations of deleted servers count as unseen for seven days"
    return Finding("deleted servers", False, f"{cause}: {cure}; {loss}")
