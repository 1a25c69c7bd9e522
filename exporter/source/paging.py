"""Read a listing of os-migrations page by page.

Paging is by uuid: the SDK's own (openstack/resource.py, `_get_next_link`) sends the integer id as marker, which Nova
refuses, and Nova's next link is an absolute URL that may name another host behind a proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter.domain.cloud import CloudError, ErrorKind
from exporter.source.parsing import uuid_of

#: Records asked for in a page: Nova's own most (`[api]max_limit`).
PAGE_SIZE = 1000

#: Share of the page size from which a page counts as full. Nova removes duplicates of a cross-cell move after it has
#: cut the page (nova/compute/api.py, `get_migrations_sorted`), and then gives no next link although there is more.
FULL_SHARE = 0.9

#: Times that a listing is begun again because the record a page began after is gone.
RESTARTS = 2

MAX_PAGES = 1000


class MarkerGone(Exception):  # noqa: N818  # an event of a listing, not an error
    """The record that the page was to begin after is no longer there.

    Nova 34 takes the record of a deleted server for a marker until it is archived (nova/db/main/api.py,
    `migration_get_by_uuid`).
    """


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: raw records, whether it came with a next link, and the API's time (seconds since the epoch)."""

    records: Sequence[object]
    has_next: bool
    date: float | None


@dataclass(frozen=True, slots=True)
class Listing:
    """Every page of an answer; `full_page` is the size of a full page as this cloud showed it."""

    records: Sequence[object]
    date: float | None
    full_page: int


def read_all(fetch: Callable[[str | None], Page], full_page: int = PAGE_SIZE, max_pages: int = MAX_PAGES) -> Listing:
    """Return every record of a listing; `fetch` gets the uuid to begin after, or None, and may raise MarkerGone.

    Records that two pages show are returned twice. Raises CloudError where the pages make no sense.
    """
    for _ in range(1 + RESTARTS):
        try:
            return _walk(fetch, full_page, max_pages)
        except MarkerGone:
            continue
    text = f"the list of migrations has no end: the record to go on after vanished {1 + RESTARTS} times"
    raise CloudError(ErrorKind.PROTOCOL, text)


def _walk(fetch: Callable[[str | None], Page], full_page: int, max_pages: int) -> Listing:
    records: list[object] = []
    markers: list[str | None] = [None]
    date: float | None = None
    for number in range(max_pages):
        page = fetch(markers[-1])
        date = page.date if number == 0 else date
        records.extend(page.records)
        if page.has_next and page.records:
            full_page = len(page.records)
        if not is_full(page, full_page):
            return Listing(records, date, full_page)
        markers.append(_next_marker(page, markers))
    raise CloudError(ErrorKind.PROTOCOL, f"the list of migrations has not ended after {max_pages} pages")


def is_full(page: Page, full_page: int) -> bool:
    """Tell whether there may be more behind a page."""
    return bool(page.records) and (page.has_next or len(page.records) >= FULL_SHARE * full_page)


def _next_marker(page: Page, markers: Sequence[str | None]) -> str:
    marker = next((uuid for uuid in map(uuid_of, reversed(page.records)) if uuid), None)
    if marker is None:
        raise CloudError(ErrorKind.PROTOCOL, "no record of a full page of migrations has a uuid to go on after")
    if marker in markers:
        raise CloudError(ErrorKind.PROTOCOL, f"the list of migrations does not advance: {marker} ended a page twice")
    return marker
