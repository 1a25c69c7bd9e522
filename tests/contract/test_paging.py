"""GET /os-migrations: pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.contract.clouds import Answer, Client, CloudUnderTest
from tests.contract.rows import NEWEST_FIRST, ROWS, names


def next_query(answer: Answer) -> tuple[tuple[str, str], ...] | None:
    """Give the query of the next link, None where there is none."""
    links = answer.body.get("migrations_links")
    if links is None:
        return None
    ((relation, href),) = [(link["rel"], link["href"]) for link in links]
    assert relation == "next"
    assert href.startswith("ROOT/v2.1/os-migrations?")
    return tuple(parse_qsl(urlsplit(href).query))


def test_pages_by_the_next_link(admin: Client) -> None:
    # The page with the hidden record is short, so it has no link although there is more: pages have to be asked for
    # until one is empty.
    first = admin.get("/os-migrations", ("limit", "3"))
    assert names(first.body["migrations"]) == NEWEST_FIRST[:3]
    following = next_query(first)
    assert following == (("limit", "3"), ("marker", ROWS["running"]["uuid"]))
    second = admin.get("/os-migrations", *following)
    assert names(second.body["migrations"]) == ["finished", "twin-two"]
    assert next_query(second) is None
    third = admin.get("/os-migrations", ("limit", "3"), ("marker", ROWS["twin-two"]["uuid"]))
    assert names(third.body["migrations"]) == ["twin-one", "evacuated", "old"]
    assert next_query(third) == (("limit", "3"), ("marker", ROWS["old"]["uuid"]))
    assert admin.migrations(("limit", "3"), ("marker", ROWS["old"]["uuid"])) == []


def test_the_next_link_repeats_the_filters(admin: Client) -> None:
    answer = admin.get("/os-migrations", ("migration_type", "resize"), ("limit", "1"), ("host", "host1"))
    assert next_query(answer) == (
        ("host", "host1"),
        ("limit", "1"),
        ("migration_type", "resize"),
        ("marker", ROWS["finished"]["uuid"]),
    )


def test_a_marker_need_not_match_the_filters(admin: Client) -> None:
    marker = ("marker", ROWS["finished"]["uuid"])
    assert names(admin.migrations(("host", "host3"), marker)) == ["twin-two", "twin-one", "evacuated"]
    assert names(admin.migrations(("changes-since", "2026-03-01T10:03:00"), marker)) == ["twin-two", "twin-one"]


def test_without_a_limit_all_is_one_page(admin: Client) -> None:
    assert next_query(admin.get("/os-migrations")) is None


@pytest.mark.parametrize("limit", ["8", "9", "1000", "100000"])
def test_no_next_link_when_the_page_is_not_full(admin: Client, limit: str) -> None:
    # Nova read nine rows and hid one: with a limit of eight the hidden one is among the eight.
    answer = admin.get("/os-migrations", ("limit", limit))
    assert len(answer.body["migrations"]) == (7 if limit == "8" else 8)
    assert next_query(answer) is None


def test_limit_0_is_an_empty_page_without_a_link(admin: Client) -> None:
    answer = admin.get("/os-migrations", ("limit", "0"))
    assert (answer.status, answer.body) == (200, {"migrations": []})


def test_a_limit_beyond_the_maximum_is_capped(cloud: CloudUnderTest, admin: Client) -> None:
    with cloud.max_limit(3):
        answer = admin.get("/os-migrations", ("limit", "5"))
    assert names(answer.body["migrations"]) == NEWEST_FIRST[:3]
    assert next_query(answer) == (("limit", "5"), ("marker", ROWS["running"]["uuid"]))


def test_the_maximum_is_the_limit_where_none_is_given(cloud: CloudUnderTest, admin: Client) -> None:
    with cloud.max_limit(3):
        answer = admin.get("/os-migrations")
        old = admin.get("/os-migrations", microversion="2.58")
    assert names(answer.body["migrations"]) == NEWEST_FIRST[:3]
    assert next_query(answer) == (("marker", ROWS["running"]["uuid"]),)
    assert len(old.body["migrations"]) == len(NEWEST_FIRST)
    assert set(old.body) == {"migrations"}


def test_an_empty_marker_is_none(admin: Client) -> None:
    assert names(admin.migrations(("marker", ""))) == NEWEST_FIRST


def test_the_marker_of_a_deleted_server_still_marks_the_place(
    cloud: CloudUnderTest, admin: Client, boot: Callable[[str], str]
) -> None:
    # nova/db/main/api.py migration_get_by_uuid reads deleted rows; a marker is gone only when the row is (archived).
    server = boot("paged")
    number = "5c0ffee0-0000-4000-8000-000000000001"
    cloud.insert(**{**ROWS["evacuated"], "uuid": number, "instance_uuid": server})
    cloud.delete(server)
    assert names(admin.migrations(("marker", number))) == ["evacuated", "old"]


def test_the_marker_of_no_row_is_gone(admin: Client) -> None:
    number = "5c0ffee0-0000-4000-8000-000000000404"
    answer = admin.get("/os-migrations", ("marker", number))
    assert answer.status == 400
    assert answer.body == {"badRequest": {"code": 400, "message": f"Marker {number} could not be found."}}


@pytest.fixture
def pair(cloud: CloudUnderTest) -> Iterator[str]:
    """Give the uuid of a cross-cell resize in VERIFY_RESIZE: two rows, of which the source cell's is stale."""
    number = "5c0ffee0-0000-4000-8000-000000000003"
    created = ROWS["old"]["created_at"] - 3600
    columns = {**ROWS["old"], "uuid": number, "created_at": created, "user_id": "cross-cell"}
    cloud.insert_stale_twin(**{**columns, "status": "post-migrating", "updated_at": created + 1})
    cloud.insert(**{**columns, "status": "finished", "updated_at": created + 2})
    yield number
    cloud.remove(number)


def test_a_cross_cell_pair_shortens_a_page(admin: Client, pair: str) -> None:
    # nova/compute/api.py get_migrations_sorted drops the older twin after the limit was applied.
    answer = admin.get("/os-migrations", ("user_id", "cross-cell"), ("limit", "2"))
    assert [(record["uuid"], record["status"]) for record in answer.body["migrations"]] == [(pair, "finished")]
    assert next_query(answer) is None


def test_the_stale_twin_of_a_cross_cell_pair_is_found_by_its_status(admin: Client, pair: str) -> None:
    assert [record["uuid"] for record in admin.migrations(("status", "post-migrating"))] == [pair]
