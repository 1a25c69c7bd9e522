"""Read what the compute API answers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NoReturn

import requests

from exporter.domain.cloud import CloudError, Deletion
from exporter.source.errors import Place, quote, status_error
from exporter.source.paging import MIGRATION_ROWS, MarkerGone, Page, Rows
from exporter.source.parsing import parse_time
from exporter.source.transport import date_of


class NotShown(Exception):  # noqa: N818  # an answer, not an error
    """Nova says that there is no such server, or nothing of that name of it; or the user is not let know."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: its JSON (None where an error came without), the API's time in seconds since the epoch, its bytes.

    `explanation` is what Nova says of an error, fit to be shown, `asked` the request.
    """

    status: int
    body: object
    date: float | None
    size: int = 0
    explanation: str = ""
    asked: str = ""

    @property
    def answer(self) -> str:
        """Return what was asked and answered, for messages."""
        return f"{self.asked} answered HTTP {self.status}"


def _explanation(body: object) -> str:
    """Return what Nova says of an error (nova/api/openstack/wsgi.py, `Fault`: one key over code and message)."""
    faults = body.values() if isinstance(body, dict) else ()
    with contextlib.suppress(ValueError, RecursionError):  # a message that is nested too deeply, or a huge number
        return next((str(fault["message"]) for fault in faults if isinstance(fault, dict) and "message" in fault), "")
    return ""


def page_of(reply: Reply, rows: Rows = MIGRATION_ROWS) -> Page:
    """Return the page in an answer that lists something; raise ValueError where there is none."""
    body = reply.body
    records = rows_in(body, rows.key)
    links = body.get(rows.links) if isinstance(body, dict) else None
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
    return rows_in(body, "servers")


def rows_in(body: object, key: str) -> list[object]:
    """Return the list under a key of an answer; raise ValueError where there is none."""
    rows = body.get(key) if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f"the answer is no list of {key}")
    return rows


def is_not_found(reply: Reply) -> bool:
    """Tell whether it is Nova that says 404, and not something in front of it."""
    return reply.status == requests.codes.not_found and isinstance(reply.body, dict) and "itemNotFound" in reply.body


def reply_of(response: requests.Response, allowed: Collection[int], place: Place) -> Reply:
    """Return an answer of the API; raise CloudError for an HTTP error that is not allowed, ValueError for bad JSON."""
    status = response.status_code
    if status == requests.codes.ok:
        body = json.loads(response.content, parse_constant=_refuse_constant)
        return Reply(status, body, date_of(response), len(response.content), asked=place.asked)
    body = None
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(response.content)
    reply = Reply(status, body, date_of(response), explanation=quote(_explanation(body), place), asked=place.asked)
    if status in allowed:
        return reply
    raise status_error(status, reply.explanation, place)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def refuse_marker(reply: Reply, marker: str | None, place: Place) -> NoReturn:
    """Tell a marker that is gone (nova/exception.py, `MarkerNotFound`) from any other bad request."""
    if "could not be found" in reply.explanation or (marker and marker in reply.explanation):
        raise MarkerGone
    raise refusal_of(reply, place)


def refusal_of(reply: Reply, place: Place) -> CloudError:
    """Return the error for an answer that was allowed to be one."""
    return status_error(reply.status, reply.explanation, replace(place, asked=reply.asked))
