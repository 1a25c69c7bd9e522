"""Nova's API over the simulated Nova: what each resource answers to whom."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.demo import policy, views
from exporter.demo.keystone import Account
from exporter.demo.microversion import Microversion
from exporter.demo.nova import MarkerNotFoundError, Nova
from exporter.demo.query import PAGED, Parameters, check_value, limit_of, migration_query, refuse_unknown
from exporter.demo.records import ServerRow, states_of_status
from exporter.demo.refusal import RefusedError
from exporter.demo.settings import Settings

Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to Nova with a valid token; `url` is that of the API's version as the client wrote it."""

    nova: Nova
    settings: Settings
    account: Account
    version: Microversion
    url: str
    query: Parameters
    path: Mapping[str, str]

    def allows(self, rule: str) -> bool:
        """Tell whether the caller passes a policy rule."""
        return self.settings.policy.allows(rule, self.account.roles)

    def demand(self, rule: str) -> None:
        """Refuse with 403 where the caller does not pass a policy rule."""
        self.settings.policy.demand(rule, self.account.roles)


Resource = Callable[[Call], Body]


def list_migrations(call: Call) -> Body:
    """Answer GET /os-migrations (nova/api/openstack/compute/migrations.py)."""
    asked = migration_query(call.query, call.version)
    call.demand(policy.MIGRATIONS)
    if asked.selection.project_id != call.account.project_id:
        call.demand(policy.MIGRATIONS_ALL_PROJECTS)
    full = page_size(asked.limit, call.settings.max_limit)
    if call.version < PAGED:
        rows = call.nova.unsorted(asked.selection)
    else:
        try:
            rows = call.nova.page(asked.selection, limit=full, marker=asked.marker)
        except MarkerNotFoundError:
            raise RefusedError(400, f"Marker {asked.marker} could not be found.") from None
    show_hosts = call.allows(policy.MIGRATIONS_HOST)
    shown = [views.migration(row, call.version, url=call.url, show_hosts=show_hosts) for row in rows if not row.hidden]
    body: Body = {"migrations": shown}
    if call.version >= PAGED:
        more = views.next_links(call.url, "os-migrations", call.query, shown, "uuid", full)
        body |= {"migrations_links": more} if more else {}
    return body


def page_size(limit: int | None, maximum: int) -> int:
    """Give how many rows a page holds, where a limit may have been asked for."""
    return maximum if limit is None else min(limit, maximum)


_STRICT = Microversion(2, 75)
_SERVER_PARAMETERS = frozenset(
    {
        "all_tenants", "changes-before", "changes-since", "deleted", "host", "limit", "marker", "name", "node",
        "project_id", "sort_dir", "sort_key", "status", "task_state", "tenant_id", "user_id", "uuid", "vm_state",
    }
)  # fmt: skip
# servers.py _get_server_search_options: all that a caller without the rule allow_all_filters may filter by.
_COMMON_FILTERS = frozenset({"all_tenants", "changes-before", "changes-since", "limit", "marker", "name", "status"})


def list_servers(call: Call) -> Body:
    """Answer GET /servers/detail, newest first (nova/api/openstack/compute/servers.py _get_servers)."""
    if call.version >= _STRICT:
        refuse_unknown(call.query, _SERVER_PARAMETERS, pattern="^_")
    allowed = _SERVER_PARAMETERS if call.allows(policy.SERVERS_ALL_FILTERS) else _COMMON_FILTERS
    options = {name: value for name, value in call.query if name in allowed}
    states = _asked_states(call)
    if states is not None and states[0] == {"deleted"}:
        if "admin" not in call.account.roles:
            raise RefusedError(403, "Only administrators may list deleted instances")
        options["deleted"] = "True"
    if _all_tenants(options.get("all_tenants")):
        call.demand(policy.SERVERS_ALL_TENANTS)
    else:
        options = {name: value for name, value in options.items() if name != "tenant_id"}
        options["project_id"] = call.account.project_id
    rows = [row for row in call.nova.servers() if _passes(row, options) and (states is None or _within(row, states))]
    return _server_page(call, rows, options)


def _server_page(call: Call, rows: list[ServerRow], options: Mapping[str, str]) -> Body:
    if "limit" in options:
        check_value("limit", options["limit"])
    full = page_size(limit_of(options.get("limit")), call.settings.max_limit)
    begin = _after(rows, options.get("marker"))
    shown = [_show(call, row) for row in rows[begin : begin + full]]
    more = views.next_links(call.url, "servers/detail", call.query, shown, "id", full)
    return {"servers": shown} | ({"servers_links": more} if more else {})


def _after(rows: list[ServerRow], marker: str | None) -> int:
    if not marker:
        return 0
    for at, row in enumerate(rows, start=1):
        if row.id == marker:
            return at
    raise RefusedError(400, f"marker [{marker}] not found")


def _asked_states(call: Call) -> tuple[frozenset[str], frozenset[str]] | None:
    statuses = [value for name, value in call.query if name == "status"]
    if not statuses:
        return None
    states = states_of_status(statuses)
    if not states[0] and call.version >= (2, 38):
        raise RefusedError(400, "Invalid status value")
    return states


def _within(row: ServerRow, states: tuple[frozenset[str], frozenset[str]]) -> bool:
    # The task state is not looked at when a status that does not depend on it is among those asked for.
    vm_states, task_states = states
    return row.vm_state in vm_states and ("" in task_states or (row.task_state or "") in task_states)


_COLUMNS = {"uuid": "id", "host": "host", "node": "host", "project_id": "project_id", "tenant_id": "project_id"}
_COLUMNS |= {"user_id": "user_id", "task_state": "task_state", "vm_state": "vm_state"}


def _passes(row: ServerRow, options: Mapping[str, str]) -> bool:
    if row.deleted != (_boolean(options.get("deleted", "")) or False):
        return False
    if "name" in options and options["name"] not in row.name:
        return False
    return all(getattr(row, _COLUMNS[name]) == value for name, value in options.items() if name in _COLUMNS)


_TRUE, _FALSE = ("1", "t", "true", "on", "y", "yes"), ("0", "f", "false", "off", "n", "no")


def _boolean(text: str) -> bool | None:
    """Read a boolean as oslo_utils.strutils.bool_from_string does; None for anything else."""
    lowered = text.strip().lower()
    return True if lowered in _TRUE else False if lowered in _FALSE else None


def _all_tenants(text: str | None) -> bool:
    """Read the parameter all_tenants: given without a value it means yes (common.py is_all_tenants)."""
    if not text:
        return text is not None
    value = _boolean(text)
    if value is None:
        acceptable = ", ".join(repr(word) for word in sorted(_TRUE + _FALSE))
        raise RefusedError(400, f"Unrecognized value '{text}', acceptable values are: {acceptable}")
    return value


def _show(call: Call, row: ServerRow) -> Body:
    return views.server(row, call.version, url=call.url, extended=call.allows(policy.SERVERS_EXTENDED))


def visible_server(call: Call, *, deleted: bool = False) -> ServerRow:
    """Give the server that a path names, a deleted one only where asked for; refuse with 404 where there is none.

    A server of another project does not exist for whoever is not admin (nova/db/main/api.py _build_instance_get).
    """
    row = call.nova.server(call.path["server_id"])
    visible = row is not None and (deleted or not row.deleted)
    own = row is not None and row.project_id == call.account.project_id
    if row is None or not visible or not (own or "admin" in call.account.roles):
        raise RefusedError(404, f"Instance {call.path['server_id']} could not be found.")
    return row


def show_server(call: Call) -> Body:
    """Answer GET /servers/{id}."""
    return {"server": _show(call, visible_server(call)) | ({"server_groups": []} if call.version >= (2, 71) else {})}


def list_services(call: Call) -> Body:
    """Answer GET /os-services (nova/api/openstack/compute/services.py)."""
    if call.version >= _STRICT:
        refuse_unknown(call.query, frozenset({"host", "binary"}))
    call.demand(policy.SERVICES)
    wanted = {name: value for name, value in call.query if name in ("host", "binary") and value}
    shown = [
        views.service(row, number, call.version)
        for number, row in enumerate(call.nova.services(), start=1)
        if all(getattr(row, name) == value for name, value in wanted.items())
    ]
    return {"services": shown}
