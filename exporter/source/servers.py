"""Ask Nova about servers, what was done to them, and their hosts.

None of this costs the login where it is refused: whoever may not see servers can still list migrations.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from typing import Protocol, TypeVar
from urllib.parse import quote

from exporter.domain.server import Action, Progress, Server
from exporter.source.paging import ACTION_ROWS, PAGE_SIZE, SERVER_ROWS, Rows
from exporter.source.replies import NotShown, rows_in
from exporter.source.server_parsing import (
    COMPUTE,
    action_in,
    actions_of,
    hosts_up_in,
    in_order,
    progress_in,
    servers_of,
)

T = TypeVar("T")

SERVERS = "/servers/detail"
SERVICES_PATH = "/os-services"

#: Servers of one page. Each may bring 64 KiB of user_data: so many of those still fit into one answer.
SERVERS_PAGE = 100

#: Hosts that are asked for one by one; beyond that all services in one answer cost less.
HOSTS_ASKED_ALONE = 10

_NOT_FOUND = 404


class Asking(Protocol):
    """How to ask; both raise CloudError, and NotShown where 404 is allowed and Nova says it."""

    def read(
        self,
        path: str,
        query: Mapping[str, str],
        deadline: float,
        understand: Callable[[object], T],
        allowed: Collection[int] = (),
    ) -> T:
        """Return what `understand`, which may raise ValueError, makes of an answer."""
        ...

    def read_pages(
        self,
        rows: Rows,
        path: str,
        query: Mapping[str, str],
        limit: int,
        deadline: float,
        understand: Callable[[Sequence[object]], T],
        allowed: Collection[int] = (),
    ) -> Sequence[T]:
        """Return what `understand` makes of each page of a listing."""
        ...


def with_status(cloud: Asking, status: str, deadline: float) -> tuple[Server, ...]:
    """Return every server in a status of the API.

    Paging leaves out servers of a cell that is down (nova/api/openstack/compute/servers.py, `_is_cell_down_supported`).
    """
    query = {"all_tenants": "1", "status": status}
    pages = cloud.read_pages(SERVER_ROWS, SERVERS, query, SERVERS_PAGE, deadline, servers_of)
    found = {server.id: server for server in chain.from_iterable(pages) if server.status == status}
    return tuple(found.values())


def with_id(cloud: Asking, server_id: str, deadline: float) -> Server | None:
    """Return a server, found among all: by its id Nova shows those of other projects to admins alone.

    Where the user may not filter, the row is that of any other server.
    """
    query = {"all_tenants": "1", "uuid": server_id, "limit": "1"}
    found = cloud.read(SERVERS, query, deadline, lambda body: servers_of(rows_in(body, "servers")))
    return next((server for server in found if server.id == server_id), None)


def hosts_up(cloud: Asking, hosts: Collection[str], deadline: float) -> dict[str, bool]:
    """Tell of each host whether its nova-compute service is up, where Nova knows one and its cell is not down."""
    wanted = frozenset(hosts)
    alone: Sequence[Mapping[str, str]] = [{"host": host} for host in sorted(wanted)]
    queries = alone if len(wanted) <= HOSTS_ASKED_ALONE else [{}]
    found: dict[str, bool] = {}
    for query in queries:
        asked = {"binary": COMPUTE, **query}
        found |= cloud.read(SERVICES_PATH, asked, deadline, lambda body: hosts_up_in(body, wanted))
    return found


def actions(cloud: Asking, server_id: str, since: str, deadline: float) -> tuple[Action, ...] | None:
    """Return the actions that Nova touched since a time as its filters take it, and so all that began since.

    Those are also older ones whose last step came later: Nova compares updated_at, which it writes with each step.
    """
    query = {"changes-since": since}
    try:
        path = f"/servers/{_escaped(server_id)}/os-instance-actions"
        pages = cloud.read_pages(ACTION_ROWS, path, query, PAGE_SIZE, deadline, actions_of, (_NOT_FOUND,))
    except NotShown:
        return None
    return in_order(chain.from_iterable(pages))


def steps(cloud: Asking, server_id: str, request_id: str, deadline: float) -> Action | None:
    """Return an action with its steps; of two of one request id Nova shows the newer."""
    try:
        path = f"/servers/{_escaped(server_id)}/os-instance-actions/{_escaped(request_id)}"
        return cloud.read(path, {}, deadline, action_in, (_NOT_FOUND,))
    except NotShown:
        return None


def progress(cloud: Asking, server_id: str, deadline: float) -> dict[str, Progress] | None:
    """Return what the live migrations of a server that are under way have moved, by uuid."""
    try:
        return cloud.read(f"/servers/{_escaped(server_id)}/migrations", {}, deadline, progress_in, (_NOT_FOUND,))
    except NotShown:
        return None


def _escaped(part: str) -> str:
    """Return a part of a path that stays one, whatever stands in it; raise NotShown where it would lead elsewhere."""
    if not part.strip("."):
        raise NotShown
    return quote(part, safe="", errors="replace")
