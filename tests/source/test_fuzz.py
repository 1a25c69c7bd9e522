"""Mutated answers: whatever stands in them, nothing but CloudError leaves the source, and no record is lost without a word.

Derandomised: the same examples on every machine, and a failure stays one until it is mended.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import pytest
import requests
import responses
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from exporter.domain.cloud import Answer, CloudError, Deletion, Rejection
from exporter.domain.lifecycle import MigrationType
from exporter.domain.migration import Migration
from exporter.domain.server import Action, Progress, Server
from exporter.source.errors import Place
from exporter.source.nova import NovaCloud
from exporter.source.paging import ACTION_ROWS, SERVER_ROWS
from exporter.source.parsing import MAX_INTEGER, MAX_TEXT, parse, parse_all, parse_time, record_name, uuid_of
from exporter.source.replies import Reply, deleted_row, is_not_found, page_of, reply_of, rows_in, servers_in
from exporter.source.server_parsing import action_in, actions_of, hosts_up_in, in_order, progress_in, servers_of
from exporter.source.transport import date_of
from tests.source.cloud import KEYSTONE, NOVA, SERVER, Cloud
from tests.source.record_payloads import MICROVERSIONS, PAYLOADS
from tests.test_poller import Play

T = TypeVar("T")

LATER = 2000.0
PLACE = Place("prod", KEYSTONE, asked="GET /os-migrations")

fuzz = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
#: With a login for most examples, which is why a failing one is not made smaller.
slow_fuzz = settings(fuzz, max_examples=60, phases=[Phase.explicit, Phase.generate])


# --- payloads, and what becomes of them ---


def bodies(*names: str) -> list[Any]:
    """Return the bodies that a real Nova answered with."""
    files = [PAYLOADS / version / f"{name}.json" for version in MICROVERSIONS for name in names]
    return [json.loads(file.read_text())["body"] for file in files]


LISTINGS = bodies("migrations", "page")
SERVERS = bodies("servers_deleted")
MOVING = bodies("servers_resize", "servers_verify_resize", "server")
SERVICES = bodies("services")
ACTIONS = bodies("actions", "actions_of_deleted")
STEPS = bodies("action", "action_failed")
PROGRESS = bodies("progress")
ERRORS = bodies("forbidden", "marker_gone", "server_gone", "servers_forbidden", "action_not_found")

HOSTS = [f"host{number}" for number in range(1, 6)]
REQUEST = "req-22222222-2222-4222-8222-222222222222"


def nested(depth: int) -> object:
    """Return lists in lists."""
    inner: object = []
    for _ in range(depth):
        inner = [inner]
    return inner


#: Stands for lists in lists, too deep for Python's own functions.
DEEP = ("deep",)

ODD: Sequence[object] = (
    None, True, False, 0, -1, 1.5, 2**31, 2**63, -(2**63) - 1, 10**400, 1e308, -0.0, math.inf, -math.inf, math.nan,
    "", " ", "\0", "\ud800", "x" * 256, "x" * 10_000, "running", "resize", "None", "2026-11-20T10:00:00",
    "2026-02-30T00:00:00", "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59", SERVER, SERVER.upper(),
    [], {}, [None], {"": None}, {"message": "x"}, {"rel": "next"}, DEEP, {"message": 1},
)  # fmt: skip


def made(odd: object) -> Any:
    """Return a value of ODD that nobody else has; a copy of anything else, or nothing where that is nested too deeply."""
    if odd is DEEP:
        return nested(10_000)
    try:
        return copy.deepcopy(odd)
    except RecursionError:
        return None


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container in a value with each of its keys; not into what is nested without end."""
    waiting = [(value, 0)]
    while waiting:
        within, depth = waiting.pop()
        if depth > 20 or not isinstance(within, dict | list):
            continue
        for key in list(within) if isinstance(within, dict) else range(len(within)):
            yield within, key
            waiting.append((within[key], depth + 1))


def spoil(within: Any, key: Any, how: int, odd: object, other: object) -> None:
    """Change one place of a value: replace, drop, rename, double, or swap it for another."""
    match how:
        case 0:
            within[key] = odd
        case 1:
            del within[key]
        case 2 if isinstance(within, dict):
            within[str(odd)[:20] if not isinstance(odd, list | dict) else ""] = within.pop(key)
        case 3 if isinstance(within, list):
            within.insert(key, made(within[key]))
        case 4:
            within[key] = {"wrapped": within[key]} if isinstance(within[key], list) else [within[key]]
        case _:
            within[key] = other


@st.composite
def mutated(draw: st.DrawFn, values: Sequence[Any]) -> Any:
    """Return one of some values with one to five places changed, or something else altogether."""
    if draw(st.integers(0, 30)) == 0:
        return made(draw(st.sampled_from(ODD)))
    value = copy.deepcopy(draw(st.sampled_from(values)))
    for _ in range(draw(st.integers(1, 5))):
        there = list(places(value))
        if not there:
            break
        within, key = draw(st.sampled_from(there))
        elsewhere, name = draw(st.sampled_from(there))
        spoil(within, key, draw(st.integers(0, 5)), made(draw(st.sampled_from(ODD))), made(elsewhere[name]))
    return value


PIECES: Sequence[bytes] = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-", b"9" * 5000, b"[" * 10_000, b'{"a":' * 10_000, b'{"uuid":1,"uuid":2,',
    b'"status":"x","status":"y",', b"\xff", b"\xc3", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"\0", b"\xef\xbb\xbf", b"\xff\xfe",
    b'"', b"\\", b",", b"]", b"}", b"null", b"<html>", b"\r\n", b"/**/", b"",
)  # fmt: skip


@st.composite
def garbled(draw: st.DrawFn, values: Sequence[Any]) -> bytes:
    """Return the JSON of one of some values with one to five places of its bytes flipped, cut, filled or doubled."""
    text = json.dumps(draw(st.sampled_from(values))).encode()
    if draw(st.integers(0, 10)) == 0:
        text = text.decode().encode(draw(st.sampled_from(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp037"])))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 1, 1, 2, 10, 100, 100_000])))
        match draw(st.integers(0, 3)):
            case 0:
                text = (
                    text[:start]
                    + bytes(each ^ (1 << draw(st.integers(0, 7))) for each in text[start : start + 1])
                    + text[start + 1 :]
                )
            case 1:
                text = text[:start] + text[end:]
            case 2:
                text = text[:start] + draw(st.sampled_from(PIECES)) + text[start:]
            case _:
                text = text[:end] + text[start:]
    return text


def answer_of(content: bytes, status: int = 200, date: str | None = None) -> requests.Response:
    """Return an HTTP answer as it comes from the transport."""
    response = requests.Response()
    response.status_code = status
    response._content = content
    response.url = f"{NOVA}/os-migrations"
    if date is not None:
        response.headers["Date"] = date
    return response


# --- what is promised of whatever comes out ---


def keeps_its_promises(migration: Migration) -> None:
    texts = (migration.status, migration.source_host, migration.dest_host, migration.initiator_project_id)
    for text in texts:
        assert text is None or (type(text) is str and 0 < len(text) <= MAX_TEXT and text.encode())
    assert isinstance(migration.migration_type, MigrationType) and migration.status is not None
    for moment in (migration.created_at, migration.updated_at, migration.stamp):
        assert moment is None or (type(moment) is float and datetime.fromtimestamp(moment, UTC))
    for flavor in (migration.old_flavor_id, migration.new_flavor_id):
        assert flavor is None or (type(flavor) is int and abs(flavor) <= MAX_INTEGER)
    for uuid in (migration.uuid, migration.server_id):
        assert re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", uuid)


def is_text(text: object) -> bool:
    return type(text) is str and 0 < len(text) <= MAX_TEXT and bool(text.encode())


def is_time(moment: object) -> bool:
    return type(moment) is float and bool(datetime.fromtimestamp(moment, UTC))


def makes_sense(found: object) -> None:
    """See that whatever was made of an answer about servers holds what its type says, and nothing that cannot be stored."""
    match found:
        case Server():
            assert uuid_of({"uuid": found.id}) == found.id and is_text(found.status)
            optional = (found.name, found.project_id, found.vm_state, found.task_state, found.power_state, found.host)
            assert all(text is None or is_text(text) for text in optional)
        case Action():
            assert is_text(found.name) and is_text(found.request_id) and is_time(found.start)
            assert [step.start for step in found.steps] == sorted(step.start for step in found.steps)
            for step in found.steps:
                assert is_text(step.name) and is_time(step.start)
                assert (step.finish is None or is_time(step.finish)) and step.ok in (True, False, None)
        case Progress():
            for field in Progress.__dataclass_fields__:
                count = getattr(found, field)
                assert count is None or (type(count) is int and 0 <= count <= MAX_INTEGER)
            assert found.total is None or found.total >= 0
            assert found.remaining is None or found.remaining >= 0
        case _:
            raise AssertionError(found)


def read_servers(body: object) -> None:
    """Ask of an answer all that is ever asked of one about servers, whichever it is."""
    for key, understand in (("servers", servers_of), ("instanceActions", actions_of)):
        rows = unless(lambda key=key: rows_in(body, key), ValueError) or []  # type: ignore[misc]
        found: Sequence[Server | Action] = understand(rows)
        assert len(found) <= len(rows)
        for each in found:
            makes_sense(each)
    ordered = in_order(actions_of(unless(lambda: rows_in(body, "instanceActions"), ValueError) or []))
    assert [each.start for each in ordered] == sorted(each.start for each in ordered)
    action = unless(lambda: action_in(body), ValueError)
    if action is not None:
        makes_sense(action)
    for uuid, progress in (unless(lambda: progress_in(body), ValueError) or {}).items():
        assert uuid_of({"uuid": uuid}) == uuid
        makes_sense(progress)
    up = unless(lambda: hosts_up_in(body, HOSTS), ValueError) or {}
    assert set(up) <= set(HOSTS) and set(map(type, up.values())) <= {bool}
    for rows_of in (SERVER_ROWS, ACTION_ROWS):
        page = unless(lambda rows_of=rows_of: page_of(Reply(200, body, None), rows_of), ValueError)  # type: ignore[misc]
        for marker in map(rows_of.marker_of, page.records if page else ()):
            assert marker is None or is_text(marker)


def says_why(rejection: Rejection) -> None:
    for text in (rejection.record, rejection.detail):
        assert text.isprintable() and 0 < len(text) < 250


def accounts_for(records: Sequence[object]) -> None:
    """See that each record is understood or rejected, in its order, whatever the others are."""
    understood, rejected = parse_all(records)
    assert len(understood) + len(rejected) == len(records)
    for each in understood:
        keeps_its_promises(each)
    for each in rejected:
        says_why(each)
    assert [*understood, *rejected] == sorted(
        (parse(each) for each in records), key=lambda each: isinstance(each, Rejection)
    )


def unless(ask: Callable[[], T], *documented: type[Exception]) -> T | None:
    """Return an answer; None where what is documented was raised."""
    try:
        return ask()
    except documented:
        return None


def read(reply: Reply) -> None:
    """Ask of an answer all that is ever asked of one."""
    page = unless(lambda: page_of(reply), ValueError)
    if page is not None:
        accounts_for(page.records)
        assert type(page.has_next) is bool
        assert all(uuid is None or type(uuid) is str for uuid in map(uuid_of, page.records))
    unless(lambda: servers_in(reply.body), ValueError)
    deletion = unless(lambda: deleted_row(reply.body, SERVER), ValueError)
    assert deletion is None or (isinstance(deletion, Deletion) and (deletion.at is None or math.isfinite(deletion.at)))
    assert is_not_found(reply) in (True, False)


# --- the parser ---


@fuzz
@given(mutated(LISTINGS))
def test_no_mutated_listing_loses_a_record_or_raises(body: object) -> None:
    read(Reply(200, body, None))
    accounts_for(body if isinstance(body, list) else [body])


@fuzz
@given(mutated([listing["migrations"] for listing in LISTINGS]))
def test_every_mutated_record_is_understood_or_rejected_with_a_reason(records: object) -> None:
    accounts_for(records if isinstance(records, list) else [records])


@pytest.mark.parametrize("field", sorted(LISTINGS[-1]["migrations"][0]))
def test_every_odd_value_of_every_field_is_understood_or_rejected(field: str) -> None:
    good = LISTINGS[-1]["migrations"][0]
    accounts_for([{**good, field: made(odd)} for odd in ODD] + [{**good, str(odd)[:9]: field} for odd in ODD])


@fuzz
@given(mutated(LISTINGS[0]["migrations"]), st.integers(0, 10))
def test_the_rest_of_a_page_survives_an_odd_record(odd: object, at: int) -> None:
    good = [record for listing in LISTINGS for record in listing["migrations"]]
    understood, rejected = parse_all([*good[:at], odd, *good[at:]])
    alone, wrong = parse_all([odd])
    expected = list(parse_all(good)[0])
    assert list(understood) == [*expected[:at], *alone, *expected[at:]]
    assert rejected == wrong


@fuzz
@given(mutated(SERVERS))
def test_no_mutated_list_of_servers_raises(body: object) -> None:
    read(Reply(200, body, None))


@fuzz
@given(mutated([{"servers": [{"id": SERVER, "status": "DELETED", "updated": "2026-11-20T10:00:00Z"}]}]))
def test_a_deletion_is_proven_by_the_row_of_that_server_alone(body: Any) -> None:
    proof = unless(lambda: deleted_row(body, SERVER), ValueError)
    if proof is not None:
        assert any(
            row.get("id") == SERVER and row.get("status") == "DELETED"
            for row in body["servers"]
            if isinstance(row, dict)
        )
    read(Reply(200, body, None))


@fuzz
@given(mutated(MOVING + SERVICES + ACTIONS + STEPS + PROGRESS))
def test_no_mutated_answer_about_servers_raises_or_lies(body: object) -> None:
    read_servers(body)


@pytest.mark.parametrize("key", ["servers", "services", "instanceActions", "migrations"])
def test_an_odd_field_costs_its_row_at_most(key: str) -> None:
    (good, *_) = next(body[key] for body in MOVING + SERVICES + ACTIONS + PROGRESS if key in body)
    whole = {
        "servers": lambda rows: len(servers_of(rows)),
        "services": lambda rows: len(hosts_up_in({key: rows}, HOSTS)),
        "instanceActions": lambda rows: len(actions_of(rows)),
        "migrations": lambda rows: len(progress_in({key: rows})),
    }[key]
    assert whole([good]) == 1
    for field in good:
        for odd in ODD:
            assert whole([{**good, field: made(odd)}, made(odd), good]) >= 1
            read_servers({key: [good, made(odd), {**good, field: made(odd)}]})


@pytest.mark.parametrize("field", sorted(STEPS[0]["instanceAction"]["events"][0]))
def test_an_odd_field_costs_its_step_at_most(field: str) -> None:
    events = STEPS[0]["instanceAction"]["events"]
    for odd in ODD:
        spoilt = [{**events[0], field: made(odd)}, made(odd), *events[1:]]
        action = action_in({"instanceAction": {**STEPS[0]["instanceAction"], "events": spoilt}})
        assert action is not None and len(action.steps) in (len(events) - 1, len(events))
        makes_sense(action)


@fuzz
@given(
    garbled(LISTINGS + SERVERS + ERRORS + MOVING + SERVICES + ACTIONS + STEPS + PROGRESS),
    st.sampled_from([200, 200, 200, 400, 401, 403, 404, 406, 500, 503]),
    st.booleans(),
)
def test_no_garbled_bytes_let_anything_but_the_documented_out(content: bytes, status: int, allowed: bool) -> None:
    """Python refuses what is nested too deeply with RecursionError; NovaCloud turns it into CloudError."""
    response = answer_of(content, status)
    reply = unless(
        lambda: reply_of(response, (status,) if allowed else (), PLACE), CloudError, ValueError, RecursionError
    )
    if reply is not None:
        read(reply)
        read_servers(reply.body)
        assert type(reply.explanation) is str


@fuzz
@given(
    st.text(st.characters(max_codepoint=255))
    | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,5} [A-Z][a-z]{2} [0-9]{1,9} [0-9:]{1,12} [A-Z+0-9-]{1,20}")
)
def test_no_date_of_the_api_raises(date: str) -> None:
    found = date_of(answer_of(b"", date=date))
    assert found is None or math.isfinite(found)


@fuzz
@given(
    st.text(st.characters(exclude_categories=()))
    | st.from_regex(r"[0-9]{1,5}-[0-9]{2}-[0-9]{2}[T ][0-9:.]{8,20}(Z|[+-][0-9:]{2,9})?")
)
def test_every_time_that_is_read_can_be_shown(text: str) -> None:
    found = parse_time(text)
    assert found is None or datetime.fromtimestamp(found, UTC)


@fuzz
@given(mutated([{"id": 1, "uuid": None, "instance_uuid": SERVER}]))
def test_every_record_has_a_name(record: object) -> None:
    assert record_name(record).isprintable()


# --- the poller ---


@slow_fuzz
@given(mutated([[record, {**record, "status": "running"}] for record in LISTINGS[0]["migrations"]]))
def test_no_mutated_record_fails_a_poll(records: object) -> None:
    understood, _ = parse_all(records if isinstance(records, list) else [records])
    play = Play(per_host=True)
    play.cloud.put(*understood[:1])
    assert play.poll()
    play.cloud.put(*understood)
    assert play.poll(after=600.0)
    assert play.poll(after=7 * 86400.0)


# --- the whole source, over a canned transport ---


def answering(mock: responses.RequestsMock) -> Cloud:
    """Return a cloud that one can log in to."""
    cloud = Cloud(mock)
    cloud.keystone()
    cloud.discovery()
    return cloud


def ask_about_servers(nova: NovaCloud) -> None:
    """Ask all that a poller asks about servers, likewise."""
    for servers in (
        unless(lambda: nova.servers_with_status("RESIZE", LATER), CloudError),
        unless(lambda: [nova.server(SERVER, LATER)], CloudError),
        unless(lambda: nova.actions(SERVER, 0.0, LATER), CloudError),
        unless(lambda: [nova.steps(SERVER, REQUEST, LATER)], CloudError),
        unless(lambda: list((nova.progress(SERVER, LATER) or {}).values()), CloudError),
    ):
        for each in servers or ():
            if each is not None:
                makes_sense(each)
    assert set(unless(lambda: nova.hosts_up(HOSTS, LATER), CloudError) or {}) <= set(HOSTS)


def ask_everything(nova: NovaCloud) -> None:
    """Ask all that a poller asks; every answer keeps its promises, and nothing but CloudError is raised."""
    questions: Sequence[Callable[[], Answer | Deletion | None]] = (
        lambda: nova.newest(LATER),
        lambda: nova.with_status("running", LATER),
        lambda: nova.changed_since(0.0, LATER),
        lambda: nova.of_server(SERVER, LATER),
        lambda: nova.deletion_of(SERVER, LATER),
    )
    ask_about_servers(nova)
    for question in questions:
        answer = unless(question, CloudError)
        if isinstance(answer, Answer):
            for migration in answer.migrations:
                keeps_its_promises(migration)
            for rejection in answer.rejections:
                says_why(rejection)


@slow_fuzz
@given(
    garbled(LISTINGS),
    garbled(SERVERS + MOVING),
    garbled(SERVICES + ACTIONS + STEPS + PROGRESS),
    garbled(ERRORS),
    st.sampled_from([200, 200, 200, 400, 403, 404, 500]),
)
def test_nothing_but_cloud_errors_leaves_the_source(
    listing: bytes, servers: bytes, other: bytes, error: bytes, status: int
) -> None:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        cloud = answering(mock)
        good = status == 200
        cloud.nova("/os-migrations", body=listing if good else error, status=status)
        cloud.nova("/servers/detail", body=servers if good else error, status=status)
        cloud.nova(f"/servers/{SERVER}", body=error, status=404)
        actions = f"/servers/{SERVER}/os-instance-actions"
        for path in ("/os-services", actions, f"{actions}/{REQUEST}", f"/servers/{SERVER}/migrations"):
            cloud.nova(path, body=other if good else error, status=status)
        nova = cloud.ask(page_size=3)
        ask_everything(nova)
        nova.close()


def documents() -> dict[str, Any]:
    """Return what Keystone and Nova say of themselves at a login."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        cloud = answering(mock)
        cloud.ask().open(LATER)
        said = {str(call.request.url).rstrip("/"): json.loads(call.response.text) for call in cast(Any, mock.calls)}
    return {"identity": said[KEYSTONE], "token": said[f"{KEYSTONE}/auth/tokens"], "compute": said[NOVA]}


DOCUMENTS = documents()


@slow_fuzz
@given(st.data())
@pytest.mark.parametrize("which", sorted(DOCUMENTS))
def test_no_mutated_login_lets_anything_but_cloud_errors_out(which: str, data: st.DataObject) -> None:
    content = data.draw(st.one_of(garbled([DOCUMENTS[which]]), mutated([DOCUMENTS[which]]).map(as_json)))
    sent = {name: json.dumps(document).encode() for name, document in DOCUMENTS.items()} | {which: content}
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        cloud = Cloud(mock)
        mock.get(KEYSTONE, body=sent["identity"])
        mock.post(f"{KEYSTONE}/auth/tokens", body=sent["token"], status=201, headers={"X-Subject-Token": "t"})
        for url in (NOVA, f"{NOVA}/"):
            mock.get(url, body=sent["compute"])
        cloud.migrations([], {"limit": "1"})
        nova = cloud.ask()
        unless(lambda: nova.open(LATER), CloudError)
        unless(lambda: nova.newest(LATER), CloudError)
        nova.close()


def as_json(value: object) -> bytes:
    """Return JSON, or nothing of what is nested too deeply to be written."""
    try:
        return json.dumps(value).encode()
    except (RecursionError, ValueError):
        return b"[" * 10_000
