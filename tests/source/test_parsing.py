"""Every record is understood or rejected with a reason; nothing makes the parser raise."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.cloud import Rejection, RejectReason
from exporter.domain.lifecycle import MigrationType
from exporter.domain.migration import Migration
from exporter.source.parsing import parse, parse_all, parse_time, record_name, uuid_of
from tests.source.cloud import SERVER, record

NULL_SURROGATE = json.loads('"\\ud800"')


def test_a_record_of_2_80_is_understood_field_by_field() -> None:
    assert parse(record(7)) == Migration(
        uuid="00000000-0000-4000-8000-000000000007",
        migration_type=MigrationType.RESIZE,
        status="migrating",
        server_id=SERVER,
        created_at=1795168800.0,
        updated_at=1795168805.25,
        source_host="host1",
        dest_host="host2",
        initiator_project_id="p",
        old_flavor_id=1,
        new_flavor_id=2,
    )


def test_a_record_of_2_59_has_no_initiator() -> None:
    old = {key: value for key, value in record().items() if key not in ("user_id", "project_id")}
    migration = parse(old)
    assert isinstance(migration, Migration)
    assert migration.initiator_project_id is None


def test_a_record_just_begun_has_no_update_no_hosts_and_no_flavors() -> None:
    empty = dict.fromkeys(
        ("updated_at", "source_compute", "dest_compute", "old_instance_type_id", "new_instance_type_id")
    )
    migration = parse(record(migration_type="evacuation", status="accepted", **empty))
    assert isinstance(migration, Migration)
    assert (migration.updated_at, migration.source_host, migration.dest_host) == (None, None, None)
    assert (migration.old_flavor_id, migration.new_flavor_id) == (None, None)


def test_an_empty_host_is_no_host() -> None:
    migration = parse(record(source_compute="", dest_compute=""))
    assert isinstance(migration, Migration)
    assert (migration.source_host, migration.dest_host) == (None, None)


def test_an_unknown_status_and_unknown_fields_are_welcome() -> None:
    migration = parse(record(status="teleporting (déjà vu)", links=[], warp={"factor": 9}))
    assert isinstance(migration, Migration)
    assert migration.status == "teleporting (déjà vu)"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"uuid": None}, RejectReason.NO_UUID),
        ({"uuid": ""}, RejectReason.NO_UUID),
        ({"uuid": 7}, RejectReason.NO_UUID),
        ({"uuid": "not-a-uuid"}, RejectReason.NO_UUID),
        ({"uuid": "00000000-0000-4000-8000-000000000001\n"}, RejectReason.NO_UUID),
        ({"uuid": ["00000000-0000-4000-8000-000000000001"]}, RejectReason.NO_UUID),
        ({"instance_uuid": None}, RejectReason.NO_SERVER),
        ({"instance_uuid": "../../flavors"}, RejectReason.NO_SERVER),
        ({"migration_type": None}, RejectReason.BAD_TYPE),
        ({"migration_type": "teleport"}, RejectReason.BAD_TYPE),
        ({"migration_type": ["resize"]}, RejectReason.BAD_TYPE),
        ({"status": None}, RejectReason.BAD_STATUS),
        ({"status": ""}, RejectReason.BAD_STATUS),
        ({"status": ["running"]}, RejectReason.BAD_STATUS),
        ({"status": "x" * 256}, RejectReason.BAD_STATUS),
        ({"status": NULL_SURROGATE}, RejectReason.BAD_STATUS),
        ({"created_at": None}, RejectReason.BAD_TIME),
        ({"created_at": 1795168800}, RejectReason.BAD_TIME),
        ({"created_at": "2026-02-30T00:00:00"}, RejectReason.BAD_TIME),
        ({"updated_at": ""}, RejectReason.BAD_TIME),
        ({"updated_at": "0000-01-01T00:00:00"}, RejectReason.BAD_TIME),
        ({"source_compute": {"name": "host1"}}, RejectReason.BAD_FIELD),
        ({"dest_compute": 5}, RejectReason.BAD_FIELD),
        ({"dest_compute": "h" * 256}, RejectReason.BAD_FIELD),
        ({"project_id": NULL_SURROGATE}, RejectReason.BAD_FIELD),
        ({"old_instance_type_id": "1"}, RejectReason.BAD_FIELD),
        ({"old_instance_type_id": 1.5}, RejectReason.BAD_FIELD),
        ({"new_instance_type_id": True}, RejectReason.BAD_FIELD),
        ({"new_instance_type_id": 10**30}, RejectReason.BAD_FIELD),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, dict) else "",
)
def test_an_odd_field_costs_its_record_and_gives_a_reason(fields: Mapping[str, object], reason: RejectReason) -> None:
    rejection = parse(record(**fields))
    assert isinstance(rejection, Rejection)
    assert rejection.reason is reason
    assert next(iter(fields)) in rejection.detail


@pytest.mark.parametrize("field", ["uuid", "instance_uuid", "migration_type", "status", "created_at"])
def test_an_absent_field_costs_its_record(field: str) -> None:
    raw = record()
    del raw[field]
    assert isinstance(parse(raw), Rejection)


def test_one_odd_record_does_not_cost_the_others() -> None:
    migrations, rejections = parse_all([record(1), None, record(2, status=[]), record(3)])
    assert [migration.uuid[-1] for migration in migrations] == ["1", "3"]
    assert [rejection.reason for rejection in rejections] == [RejectReason.NOT_AN_OBJECT, RejectReason.BAD_STATUS]


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T10:00:00",
        "2026-11-20T10:00:00.000000",
        "2026-11-20T10:00:00Z",
        "2026-11-20T10:00:00.000000Z",
        "2026-11-20 10:00:00",
        "2026-11-20T12:00:00+02:00",
        "2026-11-20T04:30:00.000-05:30",
    ],
)
def test_every_way_to_write_one_moment_is_that_moment(text: str) -> None:
    assert parse_time(text) == 1795168800.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-20",
        "2026-13-01T00:00:00",
        "2025-02-29T00:00:00",
        "2026-11-20T25:00:00",
        "2026-11-20T10:00:60",
        "99999-01-01T00:00:00",
        "0000-00-00T00:00:00",
        "2026-11-20T10:00:00+99:00",
        "\uff12\uff10\uff12\uff16-11-20T10:00:00",
    ],
)
def test_an_impossible_date_is_no_time(text: str) -> None:
    assert parse_time(text) is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"])
def test_the_ends_of_the_calendar_do_not_overflow(text: str) -> None:
    assert parse_time(text) is None or math.isfinite(parse_time(text) or 0.0)


def test_a_rejected_record_is_named_by_what_it_has() -> None:
    assert record_name(record(7)) == "00000000-0000-4000-8000-000000000007"
    assert record_name(record(7, uuid=None)) == "id 7"
    assert record_name(record(7, uuid=None, id=None)) == f"server {SERVER} at 2026-11-20T10:00:00.000000"
    assert record_name(["x"]) == "(list)"


def test_only_a_proper_uuid_can_be_gone_on_after() -> None:
    assert uuid_of(record(7)) == "00000000-0000-4000-8000-000000000007"
    assert [uuid_of(raw) for raw in (None, [], {}, {"uuid": 7}, {"uuid": "x"})] == [None] * 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
DATES = st.from_regex(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)


@given(JSON)
def test_no_json_value_makes_the_parser_raise(raw: object) -> None:
    assert isinstance(parse(raw), Migration | Rejection)


@given(st.dictionaries(st.sampled_from(sorted(record())), JSON | DATES, max_size=4))
def test_no_mutation_of_a_record_makes_the_parser_raise_or_lie(fields: dict[str, object]) -> None:
    parsed = parse(record(**fields))
    if isinstance(parsed, Rejection):
        assert len(parsed.detail) < 120 and len(parsed.record) < 200
        f"{parsed.record} {parsed.detail}".encode()
    else:
        assert math.isfinite(parsed.stamp)
        "".join(text or "" for text in (parsed.status, parsed.source_host, parsed.dest_host)).encode()


def test_a_record_nested_without_end_is_rejected() -> None:
    nested: object = []
    for _ in range(100_000):
        nested = [nested]
    assert isinstance(parse(nested), Rejection)
    assert isinstance(parse(record(status=nested)), Rejection)


def test_ten_thousand_records_take_well_under_a_second() -> None:
    raws = [record(number) for number in range(10_000)]
    started = time.perf_counter()
    migrations, _ = parse_all(raws)
    assert len(migrations) == 10_000
    assert time.perf_counter() - started < 1.0
