"""What is sent to Nova, request by request, and what is made of its answers."""

from __future__ import annotations

import logging

import pytest
import requests

from exporter.domain.cloud import CloudError, Deletion, ErrorKind, RejectReason
from exporter.source.errors import Place
from exporter.source.login import choose_microversion
from exporter.source.nova import NovaCloud, moment
from exporter.source.paging import Budget
from tests.source.cloud import NOVA, NOW, PASSWORD, SERVER, TOKEN, Cloud, record, uuid_of

LATER = 2000.0
DETAIL = {"all_tenants": "1", "deleted": "True", "uuid": SERVER, "limit": "1"}
GONE = {"itemNotFound": {"code": 404, "message": f"Instance {SERVER} could not be found."}}
FORBIDDEN = {
    "forbidden": {"code": 403, "message": "Policy doesn't allow os_compute_api:os-migrations:index to be performed."}
}


@pytest.fixture
def nova(cloud: Cloud) -> NovaCloud:
    cloud.keystone()
    cloud.discovery()
    return cloud.ask()


def fails(cloud: Cloud, nova: NovaCloud, **answer: object) -> CloudError:
    cloud.nova("/os-migrations", **answer)
    with pytest.raises(CloudError) as error:
        nova.with_status("running", LATER)
    return error.value


def test_the_login_sends_nothing_to_nova_but_discovery(cloud: Cloud, nova: NovaCloud) -> None:
    assert nova.open(LATER) == "2.80"
    assert [call.request.method for call in cloud.mock.calls] == ["GET", "POST", "GET"]
    assert nova.open(LATER) == "2.80"
    assert len(cloud.mock.calls) == 3


def test_every_question_is_one_exact_request(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.migrations([], {"limit": "1"})
    cloud.migrations([], {"status": "running (post-copy)", "limit": "1000"})
    cloud.migrations([], {"changes-since": "2026-11-18T11:06:40Z", "limit": "1000"})
    cloud.migrations([], {"instance_uuid": SERVER, "limit": "1000"})
    nova.newest(LATER)
    nova.with_status("running (post-copy)", LATER)
    nova.changed_since(1_795_000_000.9, LATER)
    nova.of_server(SERVER, LATER)
    assert [request.url.split("?")[1] for request in cloud.sent()] == [
        "limit=1",
        "status=running+%28post-copy%29&limit=1000",
        "changes-since=2026-11-18T11%3A06%3A40Z&limit=1000",
        f"instance_uuid={SERVER}&limit=1000",
    ]
    for request in cloud.sent():
        assert request.headers["OpenStack-API-Version"] == "compute 2.80"
        assert request.headers["X-Auth-Token"] == TOKEN
        assert request.headers["User-Agent"].startswith("openstack-migration-exporter/")


def test_an_answer_holds_the_records_the_rejections_and_the_time_of_the_api(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.migrations([record(1), record(2, uuid=None)], {"status": "migrating", "limit": "1000"})
    answer = nova.with_status("migrating", LATER)
    assert [migration.uuid for migration in answer.migrations] == [uuid_of(1)]
    assert [rejection.reason for rejection in answer.rejections] == [RejectReason.NO_UUID]
    assert answer.date == NOW


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Nov 2026 00:00:00 GMT"])
def test_an_odd_date_is_no_date(cloud: Cloud, nova: NovaCloud, date: str) -> None:
    cloud.migrations([], {"limit": "1"}, headers={"Date": date})
    assert nova.newest(LATER).date is None


def test_pages_are_asked_for_by_uuid_and_never_by_the_next_link(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.migrations([record(3), record(2)], {"status": "error", "limit": "1000"}, more=True)
    cloud.migrations([record(1)], {"status": "error", "limit": "1000", "marker": uuid_of(2)})
    assert len(nova.with_status("error", LATER).migrations) == 3
    assert {request.url.split("?")[0] for request in cloud.sent()} == {f"{NOVA}/os-migrations"}


def test_the_page_size_of_a_cloud_is_remembered(cloud: Cloud, nova: NovaCloud) -> None:
    """A page that lost a duplicate has no next link: only an earlier page tells that it was full."""
    cloud.migrations([record(n) for n in range(10, 0, -1)], {"status": "error", "limit": "1000"}, more=True)
    cloud.migrations([], {"status": "error", "limit": "1000", "marker": uuid_of(1)})
    cloud.migrations([record(n) for n in range(9, 0, -1)], {"status": "running", "limit": "1000"})
    cloud.migrations([record(11)], {"status": "running", "limit": "1000", "marker": uuid_of(1)})
    nova.with_status("error", LATER)
    assert len(nova.with_status("running", LATER).migrations) == 10


def test_a_marker_that_is_gone_begins_the_listing_again(cloud: Cloud, nova: NovaCloud) -> None:
    first = {"status": "error", "limit": "1000"}
    cloud.migrations([record(2)], first, more=True)
    gone = {"badRequest": {"code": 400, "message": f"Marker {uuid_of(2)} could not be found."}}
    cloud.nova("/os-migrations", {**first, "marker": uuid_of(2)}, status=400, json=gone)
    cloud.migrations([record(1)], first)
    assert [migration.uuid for migration in nova.with_status("error", LATER).migrations] == [uuid_of(1)]
    assert len([call for call in cloud.mock.calls if call.request.method == "POST"]) == 1


def test_another_bad_request_on_a_later_page_is_an_error(cloud: Cloud, nova: NovaCloud) -> None:
    first = {"status": "error", "limit": "1000"}
    cloud.migrations([record(2)], first, more=True)
    odd = {"badRequest": {"code": 400, "message": "Invalid input for query parameters status."}}
    cloud.nova("/os-migrations", {**first, "marker": uuid_of(2)}, status=400, json=odd)
    with pytest.raises(CloudError, match="Invalid input for query parameters status") as error:
        nova.with_status("error", LATER)
    assert error.value.kind is ErrorKind.HTTP


def test_the_newest_record_is_one_request_of_one_record(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.migrations([record(9)], {"limit": "1"}, more=True)
    assert [migration.uuid for migration in nova.newest(LATER).migrations] == [uuid_of(9)]
    assert len(cloud.sent()) == 1


def test_an_odd_newest_record_is_not_an_empty_table(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.migrations([record(9, uuid=None)], {"limit": "1"})
    cloud.migrations([record(9, uuid=None), record(8), record(7)], {"limit": "1000"})
    answer = nova.newest(LATER)
    assert [migration.uuid for migration in answer.migrations] == [uuid_of(8)]
    assert len(answer.rejections) == 1


@pytest.mark.parametrize(
    ("maximum", "chosen"),
    [((2, 104), "2.80"), ((2, 80), "2.80"), ((2, 79), "2.79"), ((2, 60), "2.60"), ((2, 59), "2.59")],
)
def test_the_microversion_is_2_80_or_the_highest_there_is(maximum: tuple[int, int], chosen: str) -> None:
    assert choose_microversion(maximum, Place("prod")) == chosen


@pytest.mark.parametrize(("maximum", "named"), [("2.58", "2.58"), ("2.1", "2.1"), ("", "no microversions")])
def test_a_nova_older_than_queens_is_refused_by_name(cloud: Cloud, maximum: str, named: str) -> None:
    cloud.maximum = maximum
    cloud.keystone()
    cloud.discovery()
    with pytest.raises(CloudError, match=r"2\.59 .*Queens.* is the minimum") as error:
        cloud.ask().open(LATER)
    assert error.value.kind is ErrorKind.PROTOCOL
    assert named in str(error.value)


def test_an_older_cloud_is_spoken_to_in_its_own_microversion(cloud: Cloud) -> None:
    cloud.maximum = "2.65"
    cloud.keystone()
    cloud.discovery()
    cloud.migrations([], {"limit": "1"})
    cloud.ask().newest(LATER)
    assert cloud.sent()[0].headers["OpenStack-API-Version"] == "compute 2.65"


def test_a_deleted_server_is_found_among_the_deleted(cloud: Cloud, nova: NovaCloud) -> None:
    row = {"id": SERVER, "status": "DELETED", "OS-SRV-USG:terminated_at": "2026-11-20T10:00:00.000000"}
    cloud.nova("/servers/detail", DETAIL, json={"servers": [row]})
    assert nova.deletion_of(SERVER, LATER) == Deletion(at=1795168800.0)
    assert cloud.sent("/servers/detail")[0].headers["OpenStack-API-Version"] == "compute 2.80"


@pytest.mark.parametrize(("updated", "at"), [("2026-11-20T10:00:00Z", 1795168800.0), (None, None)])
def test_a_deletion_without_its_time_is_dated_by_the_last_update(
    cloud: Cloud, nova: NovaCloud, updated: str | None, at: float | None
) -> None:
    row = {"id": SERVER, "status": "DELETED", "OS-SRV-USG:terminated_at": None, "updated": updated}
    cloud.nova("/servers/detail", DETAIL, json={"servers": [row]})
    assert nova.deletion_of(SERVER, LATER) == Deletion(at)


@pytest.mark.parametrize(
    "row",
    [
        {"id": "another", "status": "DELETED"},
        {"id": SERVER, "status": "ACTIVE"},
        {"id": SERVER, "status": "SOFT_DELETED"},
    ],
)
def test_a_filter_that_nova_ignored_is_no_proof(cloud: Cloud, nova: NovaCloud, row: dict[str, str]) -> None:
    cloud.nova("/servers/detail", DETAIL, json={"servers": [row]})
    cloud.nova(f"/servers/{SERVER}", json={"server": {}})
    assert nova.deletion_of(SERVER, LATER) is None


def test_for_an_admin_a_server_that_is_not_found_is_deleted(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/servers/detail", DETAIL, json={"servers": []})
    cloud.nova(f"/servers/{SERVER}", status=404, json=GONE)
    assert nova.deletion_of(SERVER, LATER) == Deletion(at=None)


def test_a_404_that_is_not_novas_is_no_proof(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/servers/detail", DETAIL, json={"servers": []})
    cloud.nova(f"/servers/{SERVER}", status=404, body="<html>no such page</html>")
    assert nova.deletion_of(SERVER, LATER) is None


def test_for_others_a_server_that_is_not_found_proves_nothing(cloud: Cloud) -> None:
    cloud.roles = ["reader", "observer"]
    cloud.keystone()
    cloud.discovery()
    nova = cloud.ask()
    cloud.nova("/servers/detail", DETAIL, json={"servers": []})
    assert nova.deletion_of(SERVER, LATER) is None
    assert cloud.sent(f"/servers/{SERVER}") == []


def test_who_may_not_look_for_deleted_servers_has_no_proof_and_no_error(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/servers/detail", DETAIL, status=403, json=FORBIDDEN)
    assert nova.deletion_of(SERVER, LATER) is None
    assert nova.deletion_of(SERVER, LATER) is None
    assert len([call for call in cloud.mock.calls if call.request.method == "POST"]) == 1


def test_a_look_for_deleted_servers_that_fails_is_an_error(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/servers/detail", DETAIL, status=500)
    with pytest.raises(CloudError) as error:
        nova.deletion_of(SERVER, LATER)
    assert error.value.kind is ErrorKind.HTTP


@pytest.mark.parametrize("body", ["[]", "{}", '{"servers": {}}', "null"])
def test_an_answer_without_a_list_of_servers_is_an_error(cloud: Cloud, nova: NovaCloud, body: str) -> None:
    cloud.nova("/servers/detail", DETAIL, body=body)
    with pytest.raises(CloudError) as error:
        nova.deletion_of(SERVER, LATER)
    assert error.value.kind is ErrorKind.PROTOCOL


@pytest.mark.parametrize(
    "body",
    [
        "<html>Welcome</html>",
        "",
        "null",
        "[]",
        "{}",
        '{"migrations": {}}',
        '{"migrations": null}',
        '{"migrations": [NaN]}',
        '{"migrations": [1',
        '{"migrations": [-Infinity]}',
        "[" * 50_000,
        '{"migrations": [' + "9" * 5000 + "]}",
        "\xff\xfe\x00",
    ],
    ids=lambda body: body[:24],
)
def test_an_answer_that_is_no_list_of_migrations_is_a_protocol_error(cloud: Cloud, nova: NovaCloud, body: str) -> None:
    error = fails(cloud, nova, body=body.encode("latin-1"))
    assert error.kind is ErrorKind.PROTOCOL
    assert "is there a proxy or another service in front of the API?" in str(error)


@pytest.mark.parametrize("links", [None, {}, "next", [None], [{"rel": "self"}], [["rel", "next"]]])
def test_odd_links_are_no_next_link(cloud: Cloud, nova: NovaCloud, links: object) -> None:
    cloud.nova("/os-migrations", json={"migrations": [record()], "migrations_links": links})
    assert len(nova.with_status("running", LATER).migrations) == 1
    assert len(cloud.sent()) == 1


def test_a_key_given_twice_is_no_error(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/os-migrations", body='{"migrations": [1], "migrations": []}')
    assert nova.with_status("running", LATER).rejections == ()


def test_a_reader_is_told_which_rules_are_missing(cloud: Cloud, nova: NovaCloud) -> None:
    error = fails(cloud, nova, status=403, json=FORBIDDEN)
    assert error.kind is ErrorKind.FORBIDDEN
    assert "Policy doesn't allow os_compute_api:os-migrations:index" in str(error)
    assert ":index:all_projects and :index:host" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ErrorKind.HTTP),
        (401, ErrorKind.AUTH),
        (404, ErrorKind.HTTP),
        (406, ErrorKind.PROTOCOL),
        (413, ErrorKind.HTTP),
    ],
)
def test_every_refusal_has_its_kind(cloud: Cloud, nova: NovaCloud, status: int, kind: ErrorKind) -> None:
    assert fails(cloud, nova, status=status, body="<html>sorry</html>").kind is kind


def test_a_token_that_expired_is_renewed_once(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/os-migrations", status=401)
    cloud.migrations([record()], {"limit": "1"})
    assert len(nova.newest(LATER).migrations) == 1
    assert [request.operation for request in nova.requests()].count("authenticate") == 2


def test_a_token_that_is_always_refused_costs_one_new_login(cloud: Cloud, nova: NovaCloud) -> None:
    assert fails(cloud, nova, status=401).kind is ErrorKind.AUTH
    assert [request.operation for request in nova.requests()].count("authenticate") == 2
    assert len(cloud.sent()) == 2


def logins(cloud: Cloud) -> int:
    return len([call for call in cloud.mock.calls if call.request.method == "POST"])


def test_a_keystone_whose_clock_is_behind_costs_no_login_a_request(cloud: Cloud) -> None:
    """To us its tokens have expired when they are issued."""
    cloud.expires_at = "2026-01-01T00:00:00.000000Z"
    cloud.keystone()
    cloud.discovery()
    cloud.migrations([record()], {"limit": "1"})
    nova = cloud.ask()
    for _ in range(3):
        assert len(nova.newest(LATER).migrations) == 1
    assert logins(cloud) == 1


def test_there_a_token_that_the_cloud_refuses_is_renewed_all_the_same(cloud: Cloud) -> None:
    cloud.expires_at = "2026-01-01T00:00:00.000000Z"
    cloud.keystone()
    cloud.discovery()
    cloud.nova("/os-migrations", status=401)
    cloud.migrations([record()], {"limit": "1"})
    assert len(cloud.ask().newest(LATER).migrations) == 1
    assert logins(cloud) == 2


def test_a_page_of_more_records_than_were_asked_for_is_a_protocol_error(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.migrations([record(2), record(1)], {"limit": "1"})
    with pytest.raises(CloudError, match="2 migrations where at most 1 were asked for") as error:
        nova.newest(LATER)
    assert error.value.kind is ErrorKind.PROTOCOL


def test_the_questions_of_one_poll_have_a_budget_and_the_next_poll_has_its_own(cloud: Cloud) -> None:
    cloud.keystone()
    cloud.discovery()
    cloud.nova("/os-migrations", json={"migrations": [record(2), record(1)]})
    nova = cloud.ask(budget=lambda: Budget(records=3))
    assert len(nova.with_status("error", LATER).migrations) == 2
    with pytest.raises(CloudError, match="to read in one poll"):
        nova.with_status("running", LATER)
    assert len(nova.with_status("running", LATER + 1).migrations) == 2


def test_after_a_failure_the_next_question_begins_with_a_new_login(cloud: Cloud, nova: NovaCloud) -> None:
    """A role that was granted meanwhile is in a new token only."""
    fails(cloud, nova, status=403, json=FORBIDDEN)
    cloud.mock.remove("GET", f"{NOVA}/os-migrations")
    cloud.migrations([record()], {"limit": "1"})
    assert len(nova.newest(LATER).migrations) == 1
    assert len([call for call in cloud.mock.calls if call.request.method == "POST"]) == 2


def test_after_close_the_next_question_logs_in_again(cloud: Cloud, nova: NovaCloud) -> None:
    nova.open(LATER)
    nova.close()
    nova.close()
    nova.open(LATER)
    assert len([call for call in cloud.mock.calls if call.request.method == "POST"]) == 2


def test_every_request_is_told_once(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/os-migrations", status=503)
    with pytest.raises(CloudError):
        nova.newest(LATER)
    told = [(request.operation, request.code) for request in nova.requests()]
    login = [("discover", "200"), ("authenticate", "201"), ("discover", "200")]
    assert told == login + [("list_migrations", "503")] * 3
    assert nova.requests() == ()


def test_a_question_that_got_no_answer_is_told_by_its_kind(cloud: Cloud, nova: NovaCloud) -> None:
    assert fails(cloud, nova, body=requests.exceptions.ReadTimeout("slow")).kind is ErrorKind.TIMEOUT
    assert nova.requests()[-1].code == "timeout"


def test_rejections_are_logged_once_a_reason_and_minute(
    cloud: Cloud, nova: NovaCloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.nova(
        "/os-migrations", json={"migrations": [record(1, uuid=None), record(2, uuid=None), record(3, status=None)]}
    )
    with caplog.at_level(logging.WARNING, "exporter"):
        nova.with_status("running", LATER)
        nova.with_status("running", LATER)
        assert [message.split(": ")[1] for message in caplog.messages] == [
            "migration id 1 cannot be understood (no_uuid)",
            f"migration {uuid_of(3)} cannot be understood (bad_status)",
        ]
        cloud.now += 61
        nova.with_status("running", LATER)
    assert len(caplog.messages) == 4


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "1970-01-01T00:00:00Z"), (-5, "1970-01-01T00:00:00Z"), (1e18, "9999-12-31T00:00:00Z")]
)
def test_any_time_can_be_asked_since(seconds: float, text: str) -> None:
    assert moment(seconds) == text


def test_no_log_of_any_level_holds_a_token_or_a_password(
    cloud: Cloud, nova: NovaCloud, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.migrations([record()], {"limit": "1"})
    with caplog.at_level(logging.DEBUG):
        nova.newest(LATER)
        fails(cloud, nova, status=400, json={"badRequest": {"message": f"odd token {TOKEN}, odd password {PASSWORD}"}})
    assert TOKEN not in caplog.text
    assert PASSWORD not in caplog.text
