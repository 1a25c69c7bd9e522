"""What Nova tells of one server by its id: what was done with it, and its live migrations under way."""

from exporter.demo import policy, views
from exporter.demo.compute import Body, Call, page_size, visible_server
from exporter.demo.microversion import Microversion
from exporter.demo.query import ACTIONS_PAGED, STRICT, ActionQuery, action_query, refuse_unknown
from exporter.demo.records import ActionRow, ServerRow
from exporter.demo.refusal import RefusedError

_DELETED_TOO = Microversion(2, 21)
_MIGRATIONS = Microversion(2, 23)
_EVENTS_FOR_ALL = Microversion(2, 51)


def list_migrations(call: Call) -> Body:
    """Answer GET /servers/{id}/migrations (nova/api/openstack/compute/server_migrations.py index)."""
    if call.version < _MIGRATIONS:
        raise RefusedError(404, "The resource could not be found.")
    _refuse_parameters(call)
    server = visible_server(call)
    call.demand(policy.SERVER_MIGRATIONS)
    show_hosts = call.allows(policy.SERVER_MIGRATIONS_HOST)
    rows = call.nova.in_progress(server.id)
    return {"migrations": [views.server_migration(row, call.version, show_hosts=show_hosts) for row in rows]}


def _refuse_parameters(call: Call) -> None:
    if call.version >= STRICT:
        refuse_unknown(call.query, frozenset())


def list_actions(call: Call) -> Body:
    """Answer GET /servers/{id}/os-instance-actions, newest first (nova/api/openstack/compute/instance_actions.py)."""
    asked = action_query(call.query, call.version)
    server = visible_server(call, deleted=call.version >= _DELETED_TOO)
    call.demand(policy.ACTIONS_LIST)
    if call.version < ACTIONS_PAGED:
        return {"instanceActions": [views.action(row, call.version) for row in call.nova.actions.of_server(server.id)]}
    full = page_size(asked.limit, call.settings.max_limit)
    shown = [views.action(row, call.version) for row in _actions(call, server, asked, full)]
    path = f"servers/{server.id}/os-instance-actions"
    more = views.next_links(call.url, path, call.query, shown, "request_id", full)
    return {"instanceActions": shown} | ({"links": more} if more else {})


def _actions(call: Call, server: ServerRow, asked: ActionQuery, full: int) -> list[ActionRow]:
    if not full:
        return []
    rows = call.nova.actions.of_server(server.id)
    if asked.marker is not None:
        marked = [place for place, row in enumerate(rows, start=1) if row.request_id == asked.marker]
        if not marked:
            # Nova has lost the marker when it names it (nova/db/main/api.py actions_get).
            raise RefusedError(400, "Marker None could not be found.")
        rows = rows[marked[0] :]
    return [row for row in rows if _changed(row, asked)][:full]


def _changed(row: ActionRow, asked: ActionQuery) -> bool:
    since_ok = asked.changes_since is None or row.updated_at >= asked.changes_since
    return since_ok and (asked.changes_before is None or row.updated_at <= asked.changes_before)


def show_action(call: Call) -> Body:
    """Answer GET /servers/{id}/os-instance-actions/{request_id}, its steps newest first."""
    _refuse_parameters(call)
    server = visible_server(call, deleted=call.version >= _DELETED_TOO)
    call.demand(policy.ACTIONS_SHOW)
    request_id = call.path["request_id"]
    row = call.nova.actions.action(server.id, request_id)
    if row is None:
        raise RefusedError(404, f"Action {request_id} not found")
    body = views.action(row, call.version)
    everything = call.allows(policy.ACTION_EVENTS)
    if everything or call.version >= _EVENTS_FOR_ALL:
        body["events"] = _events(call, row, server, everything=everything)
    return {"instanceAction": body}


def _events(call: Call, row: ActionRow, server: ServerRow, *, everything: bool) -> list[Body]:
    details = call.allows(policy.ACTION_DETAILS)
    project = row.project_id or server.project_id
    return [
        views.event(event, call.version, project_id=project, everything=everything, details=details)
        for event in call.nova.actions.events(row)
    ]
