"""Understand what Nova says of servers, of what was done to them, and of hosts; no JSON value makes this raise but ValueError.

ValueError means an answer of another shape altogether; an odd row is left out, and an odd field that may be missing is None.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from exporter.domain.server import Action, Progress, Server, Step
from exporter.source.parsing import MAX_INTEGER, Texts, parse_time, shared, text_of, uuid_of
from exporter.source.replies import rows_in

COMPUTE = "nova-compute"

#: nova/objects/fields.py, `InstancePowerState`; a number that is missing here was given up long ago.
_POWER_STATES: Mapping[int, str] = {
    0: "NOSTATE",
    1: "RUNNING",
    3: "PAUSED",
    4: "SHUTDOWN",
    6: "CRASHED",
    7: "SUSPENDED",
}

_RESULTS: Mapping[str | None, bool] = {"Success": True, "Error": False}


def servers_of(rows: Iterable[object]) -> tuple[Server, ...]:
    """Return the servers of rows of servers/detail."""
    texts: Texts = {}
    return tuple(server for row in rows if (server := _server(row, texts)))


def hosts_up_in(body: object, hosts: Collection[str]) -> dict[str, bool]:
    """Return of each of some hosts whether its nova-compute service is up, where an answer of os-services tells.

    A host that moved between cells may have a service in each: one that is up is enough.
    """
    found: dict[str, bool] = {}
    for row in rows_in(body, "services"):
        host, up = text_of(row, "host"), _is_up(row)
        if host is not None and host in hosts and up is not None and text_of(row, "binary") == COMPUTE:
            found[host] = found.get(host, False) or up
    return found


def actions_of(rows: Iterable[object]) -> tuple[Action, ...]:
    """Return the actions of rows of os-instance-actions, without steps."""
    return tuple(action for action in map(_action, rows) if action)


def action_in(body: object) -> Action | None:
    """Return an action with its steps in the order of their start; None where it cannot be understood."""
    row = body.get("instanceAction") if isinstance(body, dict) else None
    if not isinstance(row, dict):
        raise ValueError("the answer is no instanceAction")
    steps = [step for step in map(_step, rows_in(row, "events")) if step]
    steps.reverse()  # Nova lists the newest first, and on MySQL several begin in one second
    steps.sort(key=lambda step: step.start)
    return _action(row, tuple(steps))


def in_order(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Return actions that Nova listed, each once, in the order of their start."""
    ordered = list(dict.fromkeys(actions))
    ordered.reverse()
    ordered.sort(key=lambda action: action.start)
    return tuple(ordered)


def progress_in(body: object) -> dict[str, Progress]:
    """Return what the migrations in an answer of servers/{id}/migrations have moved, by uuid."""
    rows = rows_in(body, "migrations")
    return {uuid: _progress(row) for row in rows if isinstance(row, dict) and (uuid := uuid_of(row))}


def _server(raw: object, texts: Texts) -> Server | None:
    uuid, status = uuid_of(raw, "id"), shared(text_of(raw, "status"), texts)
    if uuid is None or status is None:
        return None
    return Server(
        id=uuid,
        status=status,
        name=text_of(raw, "name"),
        project_id=shared(text_of(raw, "tenant_id"), texts),
        vm_state=shared(text_of(raw, "OS-EXT-STS:vm_state"), texts),
        task_state=shared(text_of(raw, "OS-EXT-STS:task_state"), texts),
        power_state=_power_state(raw),
        host=shared(text_of(raw, "OS-EXT-SRV-ATTR:host"), texts),
    )


def _power_state(raw: object) -> str | None:
    number = _count(raw, "OS-EXT-STS:power_state")
    return None if number is None else _POWER_STATES.get(number)


def _is_up(raw: object) -> bool | None:
    """Tell whether a service is up; None where the row does not say, as that of a cell that is down."""
    state = text_of(raw, "state")
    if state not in ("up", "down"):
        return None
    return state == "up" and not (isinstance(raw, dict) and raw.get("forced_down") is True)


def _action(raw: object, steps: tuple[Step, ...] = ()) -> Action | None:
    name, request_id = text_of(raw, "action"), text_of(raw, "request_id")
    start = _time(raw, "start_time")
    return None if name is None or request_id is None or start is None else Action(name, request_id, start, steps)


def _step(raw: object) -> Step | None:
    name, start = text_of(raw, "event"), _time(raw, "start_time")
    if name is None or start is None:
        return None
    return Step(name, start, _time(raw, "finish_time"), _RESULTS.get(text_of(raw, "result")))


def _progress(raw: object) -> Progress:
    return Progress(
        memory_total=_count(raw, "memory_total_bytes"),
        memory_processed=_count(raw, "memory_processed_bytes"),
        memory_remaining=_count(raw, "memory_remaining_bytes"),
        disk_total=_count(raw, "disk_total_bytes"),
        disk_processed=_count(raw, "disk_processed_bytes"),
        disk_remaining=_count(raw, "disk_remaining_bytes"),
    )


def _time(raw: object, field: str) -> float | None:
    return parse_time(raw.get(field)) if isinstance(raw, dict) else None


def _count(raw: object, field: str) -> int | None:
    number = raw.get(field) if isinstance(raw, dict) else None
    return number if type(number) is int and 0 <= number <= MAX_INTEGER else None
