"""Read what the compute API answers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NoReturn

import requests

from exporter.domain.cloud import Deletion
from exporter.source.errors import Place, quote, status_error
from exporter.source.paging import MarkerGone, Page
from exporter.source.parsing import parse_time
from exporter.source.transport import date_of


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: its JSON (None where an error came without), the API's time in seconds since the epoch, its bytes.

    `explanation` is what Nova says of an error, fit to be shown.
    """

    status: int
    body: object
    date: float | None
    size: int = 0
    explanation: str = ""


def _explanation(body: object) -> str:
    """Return what Nova says of an error (nova/api/openstack/wsgi.py, `Fault`: one key over code and message)."""
    faults = body.values() if isinstance(body, dict) else ()
    with contextlib.suppress(ValueError, RecursionError):  # a message that is nested too deeply, or a huge number
        return next((str(fault["message"]) for fault in faults if isinstance(fault, dict) and "message" in fault), "")
    return ""


def page_of(reply: Reply) -> Page:
    """Return the page in an answer of os-migrations; raise ValueError where there is none."""
    body = reply.body
    records = body.get("migrations") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(records, list):
        raise ValueError("no list of migrations")
    links = body.get("migrations_links")
    has_next = isinstance(links, list) and any(isinstance(link, dict) and link.get("rel") == "next" for link in links)
    return Page(records, has_next, reply.date, reply.size)


def deleted_row(body: object, server_id: str) -> Deletion | None:
    """Return the proof in an answer of servers/detail; raise ValueError where that is no list of servers."""
    row = next((row for row in servers_in(body) if isinstance(row, dict) and row.get("id") == server_id), {})
    if row.get("status") != "DELETED":
        return None
    terminated = parse_time(row.get("OS-SRV-USG:terminated_at"))
    return Deletion(parse_time(row.get("updated")) if terminated is None else terminated)


def servers_in(body: object) -> list[object]:
    """Return the servers of an answer; raise ValueError where that is no list of servers."""
    servers = body.get("servers") if isinstance(body, dict) else None
    if not isinstance(servers, list):
        raise ValueError("the answer is no list of servers")
    return servers


def is_not_found(reply: Reply) -> bool:
    """Tell whether it is Nova that says 404, and not something in front of it."""
    return reply.status == requests.codes.not_found and isinstance(reply.body, dict) and "itemNotFound" in reply.body


def reply_of(response: requests.Response, allowed: Collection[int], place: Place) -> Reply:
    """Return an answer of the API; raise CloudError for an HTTP error that is not allowed, ValueError for bad JSON."""
    status = response.status_code
    if status == requests.codes.ok:
        body = json.loads(response.content, parse_constant=_refuse_constant)
        return Reply(status, body, date_of(response), len(response.content))
    body = None
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(response.content)
    reply = Reply(status, body, date_of(response), explanation=quote(_explanation(body), place))
    if status in allowed:
        return reply
    raise status_error(status, reply.explanation, place)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def refuse_marker(reply: Reply, marker: str | None, place: Place) -> NoReturn:
    """Tell a marker that is gone (nova/exception.py, `MarkerNotFound`) from any other bad request."""
    if "could not be found" in reply.explanation or (marker and marker in reply.explanation):
        raise MarkerGone
    raise status_error(reply.status, reply.explanation, replace(place, asked="GET /os-migrations"))
