"""What Nova and Keystone refuse, and in which words."""

from __future__ import annotations

import pytest

from tests.contract.clouds import Answer, Client, CloudUnderTest, Login, authenticate
from tests.contract.rows import NEWEST_FIRST, names

Query = tuple[tuple[str, str], ...]

LISTING = "os_compute_api:os-migrations:index"


def refusal(answer: Answer) -> tuple[int, str, str]:
    """Give status, name and message of a refusal, whose body holds nothing else."""
    ((name, fault),) = answer.body.items()
    assert set(fault) == {"code", "message"}
    assert fault["code"] == answer.status
    return answer.status, name, fault["message"]


def invalid(name: str, value: str, fault: str) -> str:
    return f"Invalid input for query parameters {name}. Value: {value}. {fault}"


BAD_REQUESTS: list[tuple[Query, str]] = [
    ((("limit", "-1"),), invalid("limit", "-1", "'-1' does not match '^[0-9]*$'")),
    ((("limit", "many"),), invalid("limit", "many", "'many' does not match '^[0-9]*$'")),
    ((("limit", ""),), invalid("limit", "", "'' should be non-empty")),
    ((("limit", "1"), ("limit", "2")), invalid("limit", "['1', '2']", "['1', '2'] is too long")),
    ((("marker", "no-such"),), "Marker no-such could not be found."),
    ((("marker", "1"),), "Marker 1 could not be found."),
    ((("changes-since", "yesterday"),), invalid("changes-since", "yesterday", "'yesterday' is not a 'date-time'")),
    ((("changes-since", ""),), invalid("changes-since", "", "'' is not a 'date-time'")),
    (
        (("changes-since", "2026-03-01T10:04:00 00:00"),),
        invalid("changes-since", "2026-03-01T10:04:00 00:00", "'2026-03-01T10:04:00 00:00' is not a 'date-time'"),
    ),
    (
        (("changes-since", "2026-03-02"), ("changes-before", "2026-03-01")),
        "The value of changes-since must be less than or equal to changes-before.",
    ),
    ((("bogus", "1"),), "Additional properties are not allowed ('bogus' was unexpected)"),
    ((("uuid", "1"),), "Additional properties are not allowed ('uuid' was unexpected)"),
    ((("b", "1"), ("a", "1")), "Additional properties are not allowed ('a', 'b' were unexpected)"),
]


@pytest.mark.parametrize(("query", "message"), BAD_REQUESTS, ids=lambda value: None)
def test_bad_requests(admin: Client, query: Query, message: str) -> None:
    assert refusal(admin.get("/os-migrations", *query)) == (400, "badRequest", message)


@pytest.mark.parametrize(
    ("name", "microversion"), [("changes-before", "2.65"), ("user_id", "2.79"), ("project_id", "2.79")]
)
def test_a_parameter_of_a_later_microversion_is_unknown(admin: Client, name: str, microversion: str) -> None:
    answer = admin.get("/os-migrations", (name, "2026-03-01"), microversion=microversion)
    message = f"Additional properties are not allowed ('{name}' was unexpected)"
    assert refusal(answer) == (400, "badRequest", message)


@pytest.mark.parametrize("microversion", ["2.0", "1.1", "2.999", "3.0"])
def test_microversions_out_of_range(admin: Client, microversion: str) -> None:
    answer = admin.get("/os-migrations", microversion=microversion)
    status, name, message = refusal(answer)
    assert (status, name) == (406, "computeFault")
    assert message == f"Version {microversion} is not supported by the API. Minimum is 2.1 and maximum is 2.104."
    assert answer.headers["OpenStack-API-Version"] == f"compute {microversion}"


@pytest.mark.parametrize("microversion", ["2", "2.x", "2.080"])
def test_microversions_that_are_none(admin: Client, microversion: str) -> None:
    answer = admin.get("/os-migrations", microversion=microversion)
    message = f"API Version String {microversion} is of invalid format. Must be of format MajorNum.MinorNum."
    assert refusal(answer) == (400, "badRequest", message)


@pytest.mark.parametrize("token", [None, "bogus"])
def test_without_a_valid_token(admin: Client, token: str | None) -> None:
    answer = admin.get("/os-migrations", token=token)
    assert answer.status == 401
    assert answer.body == {
        "error": {
            "code": 401,
            "title": "Unauthorized",
            "message": "The request you have made requires authentication.",
        }
    }
    assert answer.headers["WWW-Authenticate"].startswith('Keystone uri="http')


def test_the_token_comes_before_the_microversion(admin: Client) -> None:
    assert admin.get("/os-migrations", microversion="2.999", token="bogus").status == 401


def test_a_reader_is_forbidden(reader: Client) -> None:
    message = f"Policy doesn't allow {LISTING} to be performed."
    assert refusal(reader.get("/os-migrations")) == (403, "forbidden", message)


def test_a_reader_that_may_list_its_own_project_may_not_list_all(cloud: CloudUnderTest, reader: Client) -> None:
    with cloud.readers_may(LISTING):
        answer = reader.get("/os-migrations")
        other = reader.get("/os-migrations", ("project_id", "another-project"))
    message = f"Policy doesn't allow {LISTING}:all_projects to be performed."
    assert refusal(answer) == refusal(other) == (403, "forbidden", message)


def test_the_query_is_judged_before_the_rights(reader: Client) -> None:
    assert reader.get("/os-migrations", ("bogus", "1")).status == 400


def test_a_reader_that_may_list_sees_no_hosts(cloud: CloudUnderTest, reader: Client) -> None:
    with cloud.readers_may(LISTING, f"{LISTING}:all_projects"):
        listed = reader.migrations()
    assert names(listed) == NEWEST_FIRST
    hosts = ("source_compute", "source_node", "dest_compute", "dest_node", "dest_host")
    assert {record[host] for record in listed for host in hosts} == {None}


def test_an_unknown_path(admin: Client) -> None:
    assert admin.get("/no-such-thing").status == 404


@pytest.mark.parametrize("fault", ["password", "username", "project_name"])
def test_a_wrong_login(cloud: CloudUnderTest, fault: str) -> None:
    given = {
        "username": cloud.admin.username,
        "password": cloud.admin.password,
        "project_name": cloud.admin.project_name,
    }
    answer = authenticate(cloud, Login(**{**given, fault: "wrong"}))
    assert answer.status_code == 401
    assert answer.json() == {
        "error": {
            "code": 401,
            "title": "Unauthorized",
            "message": "The request you have made requires authentication.",
        }
    }
