"""GET /os-migrations: which records, which fields, in which order."""

from __future__ import annotations

import pytest

from tests.contract.clouds import Client
from tests.contract.rows import INITIATOR, INITIATOR_PROJECT, NEWEST_FIRST, ROWS, identity, names

Query = tuple[tuple[str, str], ...]

FIELDS_2_1 = {
    "id", "instance_uuid", "status", "created_at", "updated_at", "source_compute", "source_node", "dest_compute",
    "dest_node", "dest_host", "old_instance_type_id", "new_instance_type_id",
}  # fmt: skip
FIELDS = {
    "2.1": FIELDS_2_1,
    "2.22": FIELDS_2_1,
    "2.23": FIELDS_2_1 | {"migration_type"},
    "2.58": FIELDS_2_1 | {"migration_type"},
    "2.59": FIELDS_2_1 | {"migration_type", "uuid"},
    "2.79": FIELDS_2_1 | {"migration_type", "uuid"},
    "2.80": FIELDS_2_1 | {"migration_type", "uuid", "user_id", "project_id"},
    "2.104": FIELDS_2_1 | {"migration_type", "uuid", "user_id", "project_id"},
}


def test_newest_first_and_of_the_same_instant_the_higher_id(admin: Client) -> None:
    assert names(admin.migrations()) == NEWEST_FIRST


@pytest.mark.parametrize("microversion", FIELDS)
def test_fields_of_each_microversion(admin: Client, microversion: str) -> None:
    listed = admin.migrations(microversion=microversion)
    assert len(listed) == len(NEWEST_FIRST)
    for record in listed:
        assert set(record) - {"links"} == FIELDS[microversion]


def test_before_paging_all_is_listed_in_no_promised_order(admin: Client) -> None:
    listed = admin.migrations(microversion="2.58")
    assert {record["id"] for record in listed} == {record["id"] for record in admin.migrations()}


def test_only_live_migrations_in_progress_have_links(admin: Client) -> None:
    linked = [record for record in admin.migrations() if "links" in record]
    assert names(linked) == ["queued", "running"]
    number, server = linked[1]["id"], identity("server-b")
    assert linked[1]["links"] == [
        {"rel": "self", "href": f"ROOT/v2.1/servers/{server}/migrations/{number}"},
        {"rel": "bookmark", "href": f"ROOT/servers/{server}/migrations/{number}"},
    ]
    assert not any("links" in record for record in admin.migrations(microversion="2.22"))


def test_values_and_the_form_of_times(admin: Client) -> None:
    shown = dict(zip(NEWEST_FIRST, admin.migrations(), strict=True))
    assert shown["running"]["created_at"] == "2026-03-01T10:00:04.500000"
    assert shown["running"]["updated_at"] == "2026-03-01T10:05:00.250000"
    assert shown["finished"]["created_at"] == "2026-03-01T10:00:03.000000"
    assert shown["never-updated"]["updated_at"] is None
    for name, record in shown.items():
        times = {"created_at", "updated_at", "hidden"}
        assert {key: value for key, value in record.items() if key in ROWS[name] and key not in times} == {
            key: value for key, value in ROWS[name].items() if key not in times
        }


FILTERS: list[tuple[Query, list[str]]] = [
    ((("status", "running"),), ["running"]),
    ((("status", "running (post-copy)"),), []),
    ((("status", "running"), ("status", "finished")), ["finished"]),
    ((("status", ""),), []),
    ((("host", "host2"),), ["running", "finished", "twin-one"]),
    ((("source_compute", "host2"),), ["finished"]),
    ((("host", "host3"), ("source_compute", "host1")), ["queued", "twin-two", "twin-one", "evacuated"]),
    ((("migration_type", "evacuation"),), ["evacuated"]),
    ((("migration_type", "bogus"),), []),
    ((("instance_uuid", identity("server-a")),), ["never-updated", "finished", "old"]),
    ((("instance_uuid", "no-uuid"),), []),
    ((("user_id", INITIATOR), ("status", "finished")), ["finished"]),
    ((("project_id", "another-project"),), ["evacuated"]),
    ((("project_id", INITIATOR_PROJECT), ("migration_type", "resize")), ["finished"]),
    ((("hidden", "0"), ("status", "confirmed")), ["twin-one"]),
    ((("hidden", "1"),), []),
    ((("hidden", "false"),), []),
    ((("instance_uuid", identity("server-a")), ("status", "finished"), ("host", "host1")), ["finished"]),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS, ids=lambda value: None)
def test_filters(admin: Client, query: Query, expected: list[str]) -> None:
    assert names(admin.migrations(*query)) == expected


CHANGES: list[tuple[Query, list[str]]] = [
    # Inclusive to the microsecond; a record that was never updated is in no answer.
    ((("changes-since", "2026-03-01T10:04:00"),), ["running", "finished"]),
    ((("changes-since", "2026-03-01T10:04:00.000001"),), ["running"]),
    ((("changes-since", "2026-03-01T10:03:00.000001Z"),), ["running", "finished", "twin-two"]),
    ((("changes-since", "2026-03-01T10:04:00Z"),), ["running", "finished"]),
    ((("changes-since", "2026-03-01T10:04:00+00:00"),), ["running", "finished"]),
    ((("changes-since", "2026-03-01T12:04:00+02:00"),), ["running", "finished"]),
    ((("changes-since", "20260301T100400Z"),), ["running", "finished"]),
    ((("changes-since", "2026-03-01 10:04"),), ["running", "finished"]),
    (
        (("changes-since", "2026-03-01"),),
        ["queued", "running", "finished", "twin-two", "twin-one", "evacuated"],
    ),
    ((("changes-since", "2026-03-02"),), []),
    ((("changes-before", "2026-01-01T00:00:00"),), ["old"]),
    (
        (("changes-since", "2026-03-01T10:02:00"), ("changes-before", "2026-03-01T10:03:00")),
        ["twin-one", "evacuated"],
    ),
    ((("changes-since", "2026-03-01T10:04:00"), ("changes-before", "2026-03-01T10:04:00")), ["finished"]),
    ((("changes-since", "2026-03-01"), ("status", "accepted")), []),
]


@pytest.mark.parametrize(("query", "expected"), CHANGES, ids=lambda value: None)
def test_changes(admin: Client, query: Query, expected: list[str]) -> None:
    assert names(admin.migrations(*query)) == expected


@pytest.mark.parametrize(
    "query",
    [(("changes-since", "2026-03-02"),), (("limit", "1"),), (("bogus", "1"),), (("user_id", "nobody"),)],
    ids=str,
)
def test_before_2_59_what_is_no_filter_is_ignored(admin: Client, query: Query) -> None:
    assert len(admin.migrations(*query, microversion="2.58")) == len(NEWEST_FIRST)
