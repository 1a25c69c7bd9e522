"""A listing is read to its end, whatever Nova does to its pages, and an endless one is refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exporter.domain.cloud import CloudError, ErrorKind
from exporter.source.paging import MAX_RECORDS, MAX_TOTAL_BYTES, Budget, Listing, MarkerGone, Page, is_full, read_all
from tests.source.cloud import record, uuid_of


class Pages:
    """Gives one page after the other and keeps the markers that were asked for."""

    def __init__(self, *pages: Page | type[MarkerGone]) -> None:
        self.pages = list(pages)
        self.markers: list[str | None] = []

    def __call__(self, marker: str | None) -> Page:
        self.markers.append(marker)
        page = self.pages.pop(0)
        if isinstance(page, Page):
            return page
        raise page


def raw(records: Sequence[object]) -> Sequence[object]:
    return records


def read(pages: Pages, **options: int) -> Listing[Sequence[object]]:
    return read_all(pages, raw, **options)


def count(listing: Listing[Sequence[object]]) -> int:
    return sum(map(len, listing.pages))


def page(numbers: Sequence[int], more: bool = False, date: float | None = None) -> Page:
    return Page([record(number) for number in numbers], more, date)


def test_one_short_page_is_one_request() -> None:
    pages = Pages(page([3, 2, 1], date=5.0))
    listing = read(pages)
    assert (count(listing), listing.date, pages.markers) == (3, 5.0, [None])


def test_a_page_with_a_next_link_is_followed_by_the_uuid_of_its_last_record() -> None:
    pages = Pages(page([6, 5, 4], more=True, date=5.0), page([3, 2], date=6.0))
    listing = read(pages)
    assert (count(listing), listing.date) == (5, 5.0)
    assert pages.markers == [None, uuid_of(4)]


def test_a_page_that_lost_its_next_link_to_a_duplicate_is_followed() -> None:
    pages = Pages(page(range(1, 91)), page([]))
    assert count(read(pages, full_page=100)) == 90
    assert pages.markers == [None, uuid_of(90)]


def test_a_page_of_less_than_nine_tenths_is_the_last() -> None:
    assert count(read(Pages(page(range(1, 90))), full_page=100)) == 89


def test_the_size_of_a_page_with_a_next_link_is_the_full_size_from_then_on() -> None:
    pages = Pages(page(range(1, 11), more=True), page(range(11, 20)), page([]))
    listing = read(pages)
    assert (count(listing), listing.full_page) == (19, 10)


def test_an_empty_page_ends_even_with_a_next_link() -> None:
    assert not is_full(page([], more=True), 1000)
    assert read(Pages(page([], more=True))).pages == [[]]


def test_records_shown_twice_are_returned_twice() -> None:
    pages = Pages(page([3, 2], more=True), page([2, 1]), page([]))
    assert count(read(pages)) == 4


def test_a_last_record_without_uuid_is_passed_over() -> None:
    odd = Page([record(2), record(1, uuid=None), "x"], True, None)
    pages = Pages(odd, page([]))
    read(pages)
    assert pages.markers == [None, uuid_of(2)]


def test_a_full_page_without_any_uuid_is_refused() -> None:
    with pytest.raises(CloudError, match="no record of a full page") as error:
        read(Pages(Page([{}, None], True, None)))
    assert error.value.kind is ErrorKind.PROTOCOL


def test_the_same_page_again_is_refused() -> None:
    with pytest.raises(CloudError, match="does not advance") as error:
        read(Pages(page([2, 1], more=True), page([2, 1], more=True)))
    assert error.value.kind is ErrorKind.PROTOCOL


def test_pages_that_go_round_in_a_ring_are_refused() -> None:
    ring = (page([1], more=True), page([2], more=True), page([3], more=True), page([1], more=True))
    with pytest.raises(CloudError, match="does not advance"):
        read(Pages(*ring))


def test_pages_without_end_are_refused() -> None:
    with pytest.raises(CloudError, match="not ended after 3 pages") as error:
        read_all(lambda marker: page([int(marker[-3:], 16) + 1 if marker else 1], more=True), raw, max_pages=3)
    assert error.value.kind is ErrorKind.PROTOCOL


def test_a_listing_whose_marker_is_gone_begins_again() -> None:
    pages = Pages(page([3, 2], more=True, date=1.0), MarkerGone, page([3], more=True, date=2.0), page([1]), page([]))
    listing = read(pages)
    assert [uuid_of(3), uuid_of(1)] == [
        each["uuid"] for page in listing.pages for each in page if isinstance(each, dict)
    ]
    assert (listing.date, pages.markers) == (2.0, [None, uuid_of(2), None, uuid_of(3), uuid_of(1)])


def test_a_listing_begins_again_at_most_twice() -> None:
    pages = Pages(*[page([1], more=True), MarkerGone] * 3)
    with pytest.raises(CloudError, match="vanished 3 times") as error:
        read(pages)
    assert error.value.kind is ErrorKind.PROTOCOL


def test_a_page_of_more_records_than_were_asked_for_is_refused() -> None:
    Budget().spend(page([2, 1]), asked=2)
    with pytest.raises(CloudError, match="3 migrations where at most 2 were asked for") as error:
        Budget().spend(page([3, 2, 1]), asked=2)
    assert error.value.kind is ErrorKind.PROTOCOL


@pytest.mark.parametrize(
    ("each", "pages"),
    [
        (Page([None] * 1000, True, None), MAX_RECORDS // 1000),
        (Page([None], True, None, 2**20), MAX_TOTAL_BYTES // 2**20),
    ],
    ids=["records", "bytes"],
)
def test_what_a_poll_may_bring_is_bounded(each: Page, pages: int) -> None:
    budget = Budget()
    for _ in range(pages):
        budget.spend(each, asked=1000)
    with pytest.raises(CloudError, match="250000 migrations or 256 MiB") as error:
        budget.spend(each, asked=1000)
    assert error.value.kind is ErrorKind.PROTOCOL
