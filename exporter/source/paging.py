"""Read a listing page by page.

Paging is by uuid: the SDK's own (openstack/resource.py, `_get_next_link`) sends the integer id as marker, which Nova
refuses, and Nova's next link is an absolute URL that may name another host behind a proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from exporter.domain.cloud import CloudError, ErrorKind
from exporter.source.parsing import text_of, uuid_of

T = TypeVar("T")

#: Records asked for in a page: Nova's own most (`[api]max_limit`).
PAGE_SIZE = 1000

#: Share of the page size from which a page counts as full. Nova removes duplicates of a cross-cell move after it has
#: cut the page (nova/compute/api.py, `get_migrations_sorted`), and then gives no next link although there is more.
FULL_SHARE = 0.9

#: Times that a listing is begun again because the record a page began after is gone.
RESTARTS = 2

#: Pages of one listing: enough for all that a poll may bring, even where `[api]max_limit` is a fourth of Nova's own.
MAX_PAGES = 1000

#: Rows, and bytes of JSON, that all listings of one poll may bring together.
MAX_RECORDS = 250_000
MAX_TOTAL_BYTES = 256 * 1024 * 1024


class MarkerGone(Exception):  # noqa: N818  # an event of a listing, not an error
    """The record that the page was to begin after is no longer there.

    Nova 34 takes the record of a deleted server for a marker until it is archived (nova/db/main/api.py,
    `migration_get_by_uuid`).
    """


@dataclass(frozen=True, slots=True)
class Rows:
    """What a listing is of: the keys of its rows and of its links in the answer, and the field by which it is gone on after."""

    key: str
    links: str
    marker: str
    name: str

    def marker_of(self, raw: object) -> str | None:
        """Return what a page can begin after a row with; None where it has no such thing."""
        return text_of(raw, self.marker) if self.marker == "request_id" else uuid_of(raw, self.marker)


MIGRATION_ROWS = Rows("migrations", "migrations_links", "uuid", "migrations")
SERVER_ROWS = Rows("servers", "servers_links", "id", "servers")
ACTION_ROWS = Rows("instanceActions", "links", "request_id", "actions")


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: raw records, whether it came with a next link, the API's time (seconds since the epoch), its bytes."""

    records: Sequence[object]
    has_next: bool
    date: float | None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """Every page of an answer as it was understood; `full_page` is the size of a full page as this cloud showed it."""

    pages: Sequence[T]
    date: float | None
    full_page: int


@dataclass(slots=True)
class Budget:
    """What a poll may still bring: a cloud that gives ever more fills neither the memory nor the time of the exporter."""

    records: int = MAX_RECORDS
    size: int = MAX_TOTAL_BYTES

    def spend(self, page: Page, asked: int, name: str = MIGRATION_ROWS.name) -> None:
        """Take a page, of at most so many records as were asked for, from what is left; raise CloudError beyond that."""
        if len(page.records) > asked:
            text = f"a page has {len(page.records)} {name} where at most {asked} were asked for"
            raise CloudError(ErrorKind.PROTOCOL, text)
        self.records -= len(page.records)
        self.size -= page.size
        if self.records < 0 or self.size < 0:
            most = f"{MAX_RECORDS} {name} or {MAX_TOTAL_BYTES // 1024**2} MiB of them"
            cure = "is poll.deep_overlap too long, or something in front of the API that makes them up?"
            raise CloudError(ErrorKind.PROTOCOL, f"there are more than {most} to read in one poll: {cure}")


def read_all(
    fetch: Callable[[str | None], Page],
    understand: Callable[[Sequence[object]], T],
    full_page: int = PAGE_SIZE,
    max_pages: int = MAX_PAGES,
    rows: Rows = MIGRATION_ROWS,
) -> Listing[T]:
    """Return every page of a listing as `understand` makes it of raw records, which are thrice as large.

    `fetch` gets the marker to begin after, or None, and may raise MarkerGone. Records that two pages show are returned twice.
    Raises CloudError where the pages make no sense.
    """
    for _ in range(1 + RESTARTS):
        try:
            return _walk(fetch, understand, full_page, max_pages, rows)
        except MarkerGone:
            continue
    text = f"the list of {rows.name} has no end: the record to go on after vanished {1 + RESTARTS} times"
    raise CloudError(ErrorKind.PROTOCOL, text)


def _walk(
    fetch: Callable[[str | None], Page],
    understand: Callable[[Sequence[object]], T],
    full_page: int,
    max_pages: int,
    rows: Rows,
) -> Listing[T]:
    pages: list[T] = []
    markers: list[str | None] = [None]
    date: float | None = None
    for number in range(max_pages):
        page = fetch(markers[-1])
        date = page.date if number == 0 else date
        pages.append(understand(page.records))
        if page.has_next and page.records:
            full_page = len(page.records)
        if not is_full(page, full_page):
            return Listing(pages, date, full_page)
        markers.append(_next_marker(page, markers, rows))
    raise CloudError(ErrorKind.PROTOCOL, f"the list of {rows.name} has not ended after {max_pages} pages")


def is_full(page: Page, full_page: int) -> bool:
    """Tell whether there may be more behind a page."""
    return bool(page.records) and (page.has_next or len(page.records) >= FULL_SHARE * full_page)


def _next_marker(page: Page, markers: Sequence[str | None], rows: Rows) -> str:
    marker = next((each for each in map(rows.marker_of, reversed(page.records)) if each), None)
    if marker is None:
        text = f"no record of a full page of {rows.name} has a {rows.marker} to go on after"
        raise CloudError(ErrorKind.PROTOCOL, text)
    if marker in markers:
        raise CloudError(ErrorKind.PROTOCOL, f"the list of {rows.name} does not advance: {marker} ended a page twice")
    return marker
