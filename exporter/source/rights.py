"""Tell what a user may ask of a cloud, and what to change where that is too little: the substance of `check`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import requests

from exporter.domain.cloud import Answer, CloudError, Feature
from exporter.source.login import Login
from exporter.source.nova import MIGRATIONS, NovaCloud
from exporter.source.parsing import uuid_of
from exporter.source.policies import (
    ACTION,
    ACTIONS,
    ALL_FILTERS,
    ALL_PROJECTS,
    ALL_TENANTS,
    DETAIL,
    EXTENDED,
    HOST,
    INDEX,
    OLD_ACTIONS,
    OLD_SERVICES,
    SERVER_MIGRATIONS,
    SERVICES,
)
from exporter.source.replies import servers_in
from exporter.source.server_parsing import COMPUTE
from exporter.source.servers import SERVERS, SERVICES_PATH
from exporter.strangers import printable

#: The highest microversion of Nova 31.0 (2025.1) and of 32.0 (2025.2) alike. 32.0 split the rule for os-migrations in
#: three (nova/policies/migrations.py).
LAST_BEFORE_SPLIT = (2, 100)

#: Seconds by which the cloud's clock and ours may differ; the Date header itself is cut to whole seconds.
MAX_SKEW = 10.0

#: Nova 21.0 (Ussuri), which has 2.87, split the rules for services and for instance actions; 20.0 (Train) has 2.79.
FIRST_WITH_NEW_RULES = (2, 80)

#: Where a server's host stands, shown to whom os-extended-server-attributes allows it.
HOST_OF_SERVER = "OS-EXT-SRV-ATTR:host"

_OLD_RULES: Mapping[str, str] = {SERVICES: OLD_SERVICES, ACTIONS: OLD_ACTIONS, ACTION: OLD_ACTIONS}
_NEVER_WAS = {"deleted": "True", "uuid": str(uuid.UUID(int=0))}
_NO_SERVICE = {"binary": COMPUTE, "host": str(uuid.UUID(int=0))}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is as it should be (None: it cannot be told), and what to do if not."""

    subject: str
    ok: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class _Servers:
    """What the user sees of servers.

    `fault` is why nothing was seen, `refusal` what Nova said where it refused, `filters` whether those are heeded (None: it
    cannot be told), `sample` some server.
    """

    fault: str = ""
    refusal: str | None = None
    filters: bool | None = None
    sample: Mapping[str, object] | None = None


def check(
    cloud: NovaCloud,
    deadline: float,
    now: Callable[[], float] = time.time,
    features: Collection[Feature] = tuple(Feature),
) -> list[Finding]:
    """Return what was found, in the order in which an operator would mend it; raises nothing.

    `deadline` is in monotonic seconds, `now` in seconds since the epoch; `features` are those to look at. Where the login
    fails, that is all.
    """
    try:
        login = cloud.login(deadline)
    except CloudError as error:
        return [Finding("login", False, str(error))]
    findings = [Finding("login", True, f"logged in with the roles {printable(', '.join(login.roles)) or '(none)'}")]
    findings.append(Finding("microversion", True, f"{login.microversion} of up to {login.highest} is spoken"))
    findings += _listing(cloud, login, deadline, now)
    servers = _look_at_servers(cloud, deadline)
    findings.append(_deletions(servers, login))
    findings += [_feature(feature, cloud, login, servers, deadline) for feature in Feature if feature in features]
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


def _look_at_servers(cloud: NovaCloud, deadline: float) -> _Servers:
    """Ask for a server that never was: Nova answers with any other server where it ignores filters."""
    everything = {"all_tenants": "1", "limit": "1"}
    try:
        reply = cloud.get(SERVERS, everything | _NEVER_WAS, deadline, allowed=(403,))
        if reply.status == requests.codes.forbidden:
            return _Servers(refusal=reply.explanation)
        if others := servers_in(reply.body):
            return _Servers(filters=False, sample=_sample(others))
        some = servers_in(cloud.get(SERVERS, everything, deadline).body)
        return _Servers(filters=True, sample=_sample(some)) if some else _Servers()
    except (CloudError, ValueError) as error:
        return _Servers(fault=str(error))


def _sample(rows: Sequence[object]) -> Mapping[str, object] | None:
    return next((row for row in rows if isinstance(row, dict)), None)


def _deletions(servers: _Servers, login: Login) -> Finding:
    if servers.fault:
        return Finding("deleted servers", False, servers.fault)
    if servers.refusal is not None:
        return _deletions_hidden(f"may not list servers of all projects ({servers.refusal})")
    if servers.filters is None:
        return Finding("deleted servers", None, "there is no server yet that would show whether filters work")
    if servers.filters:
        return Finding("deleted servers", True, "may look up deleted servers")
    ignored = "Nova ignores the filters deleted and uuid for this user"
    if login.is_admin:
        text = f"{ignored}; a deleted server is told by its absence, without the time of its deletion"
        return Finding("deleted servers", None, text)
    return _deletions_hidden(ignored)


def _deletions_hidden(cause: str) -> Finding:
    cure = f"give the user the admin role, or allow {DETAIL}, {ALL_TENANTS} and {ALL_FILTERS} in Nova's policy.yaml"
    loss = "else the migrations of deleted servers count as unseen for seven days"
    return Finding("deleted servers", False, f"{cause}: {cure}; {loss}")


def _feature(feature: Feature, cloud: NovaCloud, login: Login, servers: _Servers, deadline: float) -> Finding:
    if feature is Feature.DIAGNOSIS:
        return _diagnosis(cloud, login, servers, deadline)
    return _by_id(feature, cloud, login, servers, deadline)


def _diagnosis(cloud: NovaCloud, login: Login, servers: _Servers, deadline: float) -> Finding:
    name = Feature.DIAGNOSIS.value
    try:
        reply = cloud.get(SERVICES_PATH, _NO_SERVICE, deadline, allowed=(403,))
    except CloudError as error:
        return Finding(name, False, str(error))
    if servers.fault:
        return Finding(name, False, servers.fault)
    lacking = _lacking_of_servers(servers)
    if reply.status == requests.codes.forbidden:
        lacking.append(_of_release(SERVICES, login))
    if lacking:
        cure = f"give the user the admin role, or allow {_all_of(lacking)} in Nova's policy.yaml"
        loss = "else nothing says why a migration is stuck, and stranded servers are not found"
        return Finding(name, False, f"may not see all servers, their hosts and the compute services: {cure}; {loss}")
    if servers.sample is None:
        rules = _all_of([DETAIL, ALL_TENANTS, ALL_FILTERS, EXTENDED])
        return Finding(name, None, f"there is no server yet that would show whether {rules} allow what it needs")
    return Finding(name, True, "may see all servers, their hosts and the compute services")


def _lacking_of_servers(servers: _Servers) -> list[str]:
    """Return the rules that are known to be missing, and those of which nothing can be told behind them."""
    if servers.refusal is not None:
        return [DETAIL, ALL_TENANTS, ALL_FILTERS, EXTENDED]
    hidden = servers.sample is not None and HOST_OF_SERVER not in servers.sample
    return [ALL_FILTERS] * (servers.filters is False) + [EXTENDED] * hidden


#: What else a feature that asks by a server's id needs, and what is lost without it.
_BY_ID: Mapping[Feature, tuple[Sequence[str], str]] = {
    Feature.EXACT_DURATIONS: (
        (ACTIONS, ACTION),
        "else statuses that pass between two polls have no duration",
    ),
    Feature.LIVE_PROGRESS: (
        (SERVER_MIGRATIONS,),
        "else nothing tells how much a live migration has moved, nor that it moves nothing",
    ),
}


def _by_id(feature: Feature, cloud: NovaCloud, login: Login, servers: _Servers, deadline: float) -> Finding:
    """Look at what asks by a server's id: Nova shows those of other projects to admins alone, whatever its policy says."""
    rules, loss = _BY_ID[feature]
    needed = f"the admin role, with {_all_of([_of_release(rule, login) for rule in rules])} as Nova has them"
    if not login.is_admin:
        cause = "to any other user Nova answers 404 for the servers of other projects, whatever its policy.yaml allows"
        return Finding(feature.value, False, f"the user needs {needed}: {cause}; {loss}")
    server_id = uuid_of(servers.sample, "id")
    if server_id is None:
        return Finding(feature.value, None, f"there is no server yet that would show it; the user needs {needed}")
    try:
        _ask_by_id(feature, cloud, server_id, deadline)
    except CloudError as error:
        return Finding(feature.value, False, f"{error}; {loss}")
    return Finding(feature.value, True, "has the admin role, and may ask by a server's id what it needs")


def _ask_by_id(feature: Feature, cloud: NovaCloud, server_id: str, deadline: float) -> None:
    if feature is Feature.LIVE_PROGRESS:
        cloud.progress(server_id, deadline)
    elif actions := cloud.actions(server_id, 0.0, deadline):
        cloud.steps(server_id, actions[-1].request_id, deadline)


def _of_release(rule: str, login: Login) -> str:
    """Return the name that a rule had in the cloud's release."""
    return _OLD_RULES.get(rule, rule) if login.maximum < FIRST_WITH_NEW_RULES else rule


def _all_of(rules: Sequence[str]) -> str:
    """Return names of rules as they stand in a sentence, each once."""
    *others, last = dict.fromkeys(rules)
    return f"{', '.join(others)} and {last}" if others else last
