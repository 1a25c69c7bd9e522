"""Nova, as the poller sees it."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from typing import TypeVar
from urllib.parse import quote as url_quote

import requests

from exporter.domain.cloud import Answer, Deletion, Rejection, Request
from exporter.domain.migration import Migration
from exporter.domain.server import Action, Progress, Server
from exporter.source import servers
from exporter.source.connect import Connect
from exporter.source.errors import Place, at, cloud_error
from exporter.source.login import Login, log_in
from exporter.source.paging import MAX_PAGES, MIGRATION_ROWS, PAGE_SIZE, Budget, MarkerGone, Page, Rows, read_all
from exporter.source.parsing import parse_all
from exporter.source.rejections import RejectionLog
from exporter.source.replies import (
    NotShown,
    Reply,
    deleted_row,
    is_not_found,
    page_of,
    refusal_of,
    refuse_marker,
    reply_of,
)
from exporter.source.servers import SERVERS
from exporter.source.transport import MAX_BYTES, Transport

T = TypeVar("T")

MIGRATIONS = "/os-migrations"

#: The records of a page that were understood, and those that were not.
Understood = tuple[tuple[Migration, ...], tuple[Rejection, ...]]

_LAST_MOMENT = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


class NovaCloud:
    """One cloud, or one region of it; for one thread.

    `connect` is called at the first question, and again after any failure: so mended credentials, a new role, a moved
    endpoint and an upgraded Nova are found without a restart. `timeout` is in seconds, of one wait for the API.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        timeout: float,
        monotonic: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
        page_size: int = PAGE_SIZE,
        max_pages: int = MAX_PAGES,
        max_page_bytes: int = MAX_BYTES,
        budget: Callable[[], Budget] = Budget,
    ) -> None:
        self._connect = connect
        self._transport = Transport(timeout, monotonic=monotonic, wait=wait, max_bytes=max_page_bytes)
        self._page_size = page_size
        self._full_page = page_size
        self._max_pages = max_pages
        self._new_budget = budget
        self._budget = budget()
        self._login: Login | None = None
        self._is_admin = False
        self._on_close = contextlib.ExitStack()
        self._rejection_log = RejectionLog(monotonic)

    def open(self, deadline: float) -> str:
        """Log in where that is needed and return the microversion that will be used."""
        with self._asking(deadline):
            return self._logged_in().microversion

    def newest(self, deadline: float) -> Answer:
        """Return the record that was created last: Nova sorts by created_at, newest first."""
        page = self._fetch({}, 1, deadline, None)
        answer = self._answer([parse_all(page.records[:1])], page.date)
        if page.records and not answer.migrations:
            page = self._fetch({}, self._page_size, deadline, None)
            answer = self._answer([parse_all(page.records)], page.date)
        return replace(answer, migrations=answer.migrations[:1])

    def with_status(self, status: str, deadline: float) -> Answer:
        """Return every record in a status."""
        return self._listing({"status": status}, deadline)

    def changed_since(self, since: float, deadline: float) -> Answer:
        """Return every record updated at or after a time (seconds since the epoch, cut to whole seconds)."""
        return self._listing({"changes-since": moment(since)}, deadline)

    def of_server(self, server_id: str, deadline: float) -> Answer:
        """Return every record of one server."""
        return self._listing({"instance_uuid": server_id}, deadline)

    def deletion_of(self, server_id: str, deadline: float) -> Deletion | None:
        """Return the proof that a server was deleted, or None where there is no proof.

        Nova drops filters that the user may not use without a word (nova/api/openstack/compute/servers.py,
        `remove_invalid_options`), so the row found must be that server and say DELETED. A 404 is proof for an admin
        only: others get it for the servers of other projects.
        """
        query = {"all_tenants": "1", "deleted": "True", "uuid": server_id, "limit": "1"}
        reply = self.get(SERVERS, query, deadline, allowed=(403,))
        if reply.status == requests.codes.forbidden:
            return None
        with self._asking(deadline, reply.answer):
            proof = deleted_row(reply.body, server_id)
            if proof or not self._logged_in().is_admin:
                return proof
        reply = self.get(f"/servers/{url_quote(server_id, safe='')}", {}, deadline, allowed=(404,))
        return Deletion(at=None) if is_not_found(reply) else None

    def shows_servers_by_id(self) -> bool:
        """Tell whether the token is an admin's, or the last one was where there is none now; sends nothing."""
        if self._login is not None:
            self._is_admin = self._login.is_admin
        return self._is_admin

    def servers_with_status(self, status: str, deadline: float) -> Sequence[Server]:
        """Return every server of all projects in a status of the API, such as RESIZE."""
        return servers.with_status(self, status, deadline)

    def server(self, server_id: str, deadline: float) -> Server | None:
        """Return a server, of whatever project; None where Nova does not show it."""
        return servers.with_id(self, server_id, deadline)

    def hosts_up(self, hosts: Collection[str], deadline: float) -> Mapping[str, bool]:
        """Tell of the nova-compute service of each host whether it is up; a host without one is left out."""
        return servers.hosts_up(self, hosts, deadline)

    def actions(self, server_id: str, since: float, deadline: float) -> Sequence[Action] | None:
        """Return what was done with a server since a time (seconds since the epoch, cut to whole seconds), without steps."""
        return servers.actions(self, server_id, moment(since), deadline)

    def steps(self, server_id: str, request_id: str, deadline: float) -> Action | None:
        """Return one action with its steps; None where Nova does not know it (any more)."""
        return servers.steps(self, server_id, request_id, deadline)

    def progress(self, server_id: str, deadline: float) -> Mapping[str, Progress] | None:
        """Return what a server's live migrations under way have moved, by uuid; None where Nova does not show the server."""
        return servers.progress(self, server_id, deadline)

    def requests(self) -> Sequence[Request]:
        """Return the requests made since the last call of this method."""
        return self._transport.drain()

    def close(self) -> None:
        """Forget the login and every connection, so that the next call begins anew."""
        self._login = None
        self._on_close.close()

    def get(self, path: str, query: Mapping[str, str], deadline: float, allowed: Collection[int] = ()) -> Reply:
        """Return the answer of the compute API to a GET; raise CloudError for any HTTP error but those `allowed`."""
        with self._asking(deadline):
            login = self._logged_in()
            response = login.compute.get(
                path,
                params=dict(query),
                headers={"Accept": "application/json"},
                microversion=login.microversion,
                raise_exc=False,
                connect_retries=0,
                status_code_retries=0,
                log=False,
                skip_cache=True,
            )
            return reply_of(response, allowed, at(self._transport.place, "GET", response.url))

    def read(
        self,
        path: str,
        query: Mapping[str, str],
        deadline: float,
        understand: Callable[[object], T],
        allowed: Collection[int] = (),
    ) -> T:
        """Return what `understand`, which may raise ValueError, makes of an answer; a refusal costs no login.

        Raises CloudError, and NotShown where 404 is allowed and Nova says it.
        """
        reply = self._look(path, query, deadline, allowed)
        with self._asking(deadline, reply.answer):
            return understand(reply.body)

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
        """Return what `understand` makes of each page of a listing; raises what `read` raises."""
        fetch = functools.partial(self._page, self._look, rows, path, query, limit, deadline, allowed)
        return read_all(fetch, understand, limit, self._max_pages, rows).pages

    def login(self, deadline: float) -> Login:
        """Return the login, made where that is needed."""
        self.open(deadline)
        return self._logged_in()

    @contextlib.contextmanager
    def _asking(self, deadline: float, answer: str | None = None) -> Iterator[None]:
        """Bound what is asked within, and turn what goes wrong into CloudError; then the next question begins anew.

        The questions of one poll share its deadline, and with it the budget.
        """
        if deadline != self._transport.pace.deadline:
            self._budget = self._new_budget()
        self._transport.pace.deadline = deadline
        self._transport.last_answer = answer
        try:
            yield
        except MarkerGone:
            raise
        except Exception as exception:
            place = replace(self._transport.place, answer=self._transport.last_answer)
            self.close()
            error = cloud_error(exception, place)
            raise error from (exception.__cause__ if error is exception else exception)

    def _logged_in(self) -> Login:
        if self._login is None:
            self._transport.place = Place(cloud="")
            connection = self._connect()
            self._on_close.callback(connection.close)
            self._login = log_in(connection, self._transport)
        return self._login

    def _listing(self, query: Mapping[str, str], deadline: float) -> Answer:
        fetch = functools.partial(self._fetch, query, self._page_size, deadline)
        listing = read_all(fetch, parse_all, self._full_page, self._max_pages)
        self._full_page = listing.full_page
        return self._answer(listing.pages, listing.date)

    def _fetch(self, query: Mapping[str, str], limit: int, deadline: float, marker: str | None) -> Page:
        return self._page(self.get, MIGRATION_ROWS, MIGRATIONS, query, limit, deadline, (), marker)

    def _page(
        self,
        ask: Callable[[str, Mapping[str, str], float, Collection[int]], Reply],
        rows: Rows,
        path: str,
        query: Mapping[str, str],
        limit: int,
        deadline: float,
        allowed: Collection[int],
        marker: str | None,
    ) -> Page:
        asked = {**query, "limit": str(limit)} | ({"marker": marker} if marker else {})
        reply = ask(path, asked, deadline, (*allowed, 400) if marker else allowed)
        with self._asking(deadline, reply.answer):
            if reply.status == requests.codes.bad_request:
                refuse_marker(reply, marker, self._transport.place)
            page = page_of(reply, rows)
            self._budget.spend(page, limit, rows.name)
            return page

    def _look(self, path: str, query: Mapping[str, str], deadline: float, allowed: Collection[int]) -> Reply:
        """Return an answer; that the user may not ask, or that Nova does not show the server, costs no login."""
        reply = self.get(path, query, deadline, (requests.codes.forbidden, *allowed))
        if reply.status == requests.codes.forbidden:
            raise refusal_of(reply, self._transport.place)
        if is_not_found(reply):
            raise NotShown
        with self._asking(deadline, reply.answer):
            if reply.status == requests.codes.not_found:
                raise refusal_of(reply, self._transport.place)
            return reply

    def _answer(self, pages: Sequence[Understood], date: float | None) -> Answer:
        migrations = tuple(chain.from_iterable(understood for understood, _ in pages))
        rejections = tuple(chain.from_iterable(rejected for _, rejected in pages))
        self._rejection_log.note(self._transport.place.cloud, rejections)
        return Answer(migrations, rejections, date)


def moment(seconds: float) -> str:
    """Return a time as Nova's filters take it; cut to whole seconds, for that is what MySQL keeps."""
    bounded = math.floor(min(max(seconds, 0.0), _LAST_MOMENT))
    return datetime.fromtimestamp(bounded, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
