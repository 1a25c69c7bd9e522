"""Requests are tried again where that helps, and only there."""

from __future__ import annotations

import ssl
from email.utils import formatdate

import pytest
import requests
import urllib3.exceptions as wire

from exporter.domain.cloud import CloudError, ErrorKind
from exporter.source.nova import NovaCloud
from exporter.source.transport import OPERATIONS, operation_of
from tests.source.cloud import KEYSTONE, NOVA, NOW, Cloud, record

LATER = 2000.0


@pytest.fixture
def nova(cloud: Cloud) -> NovaCloud:
    cloud.keystone()
    cloud.discovery()
    nova = cloud.ask()
    nova.open(LATER)
    return nova


def refused() -> requests.ConnectionError:
    return requests.ConnectionError(wire.MaxRetryError(_pool(), "/", ConnectionRefusedError(111, "Connection refused")))


def _pool() -> object:
    return "pool"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_cloud_in_trouble_is_asked_again(cloud: Cloud, nova: NovaCloud, status: int) -> None:
    cloud.nova("/os-migrations", status=status)
    cloud.nova("/os-migrations", status=status)
    cloud.migrations([record()], {"limit": "1"})
    assert len(nova.newest(LATER).migrations) == 1
    assert cloud.naps == [0.5, 1.0]


@pytest.mark.parametrize(
    "failure", [refused(), requests.ConnectionError(wire.ProtocolError("aborted", ConnectionResetError(104, "reset")))]
)
def test_a_connection_that_fails_is_tried_again(cloud: Cloud, nova: NovaCloud, failure: Exception) -> None:
    cloud.nova("/os-migrations", body=failure)
    cloud.migrations([record()], {"limit": "1"})
    assert len(nova.newest(LATER).migrations) == 1
    assert cloud.naps == [0.5]


def test_a_question_is_tried_three_times_at_most(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/os-migrations", body=refused())
    with pytest.raises(CloudError, match="Connection refused") as error:
        nova.newest(LATER)
    assert error.value.kind is ErrorKind.CONNECTION
    assert len(cloud.sent()) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 406, 409, 413])
def test_a_refusal_is_not_asked_again(cloud: Cloud, nova: NovaCloud, status: int) -> None:
    cloud.nova("/os-migrations", status=status)
    with pytest.raises(CloudError):
        nova.newest(LATER)
    assert cloud.naps == []


@pytest.mark.parametrize("failure", [requests.ReadTimeout(), requests.ConnectTimeout()])
def test_a_timeout_is_not_tried_again(cloud: Cloud, nova: NovaCloud, failure: Exception) -> None:
    cloud.nova("/os-migrations", body=failure)
    with pytest.raises(CloudError, match=r"no answer within 5 s \(poll.timeout\)") as error:
        nova.newest(LATER)
    assert error.value.kind is ErrorKind.TIMEOUT
    assert len(cloud.sent()) == 1


def test_a_broken_certificate_is_not_tried_again(cloud: Cloud, nova: NovaCloud) -> None:
    broken = ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate")
    cloud.nova("/os-migrations", body=requests.exceptions.SSLError(wire.SSLError(broken)))
    with pytest.raises(CloudError, match="self-signed certificate: check cacert") as error:
        nova.newest(LATER)
    assert error.value.kind is ErrorKind.CONNECTION
    assert len(cloud.sent()) == 1


def test_the_api_says_how_long_to_wait(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/os-migrations", status=429, headers={"Retry-After": "7"})
    cloud.migrations([record()], {"limit": "1"})
    nova.newest(LATER)
    assert cloud.naps == [7.0]


@pytest.mark.parametrize("seconds", [9.0, -9.0])
def test_the_api_says_until_when_to_wait_by_its_own_clock(cloud: Cloud, nova: NovaCloud, seconds: float) -> None:
    until = formatdate(NOW + seconds, usegmt=True)
    cloud.nova("/os-migrations", status=503, headers={"Retry-After": until})
    cloud.migrations([record()], {"limit": "1"})
    nova.newest(LATER)
    assert cloud.naps == [max(0.0, seconds)]


def test_a_date_to_wait_for_says_nothing_where_the_api_tells_no_time(cloud: Cloud, nova: NovaCloud) -> None:
    until = formatdate(NOW + 9, usegmt=True)
    cloud.nova("/os-migrations", status=503, headers={"Retry-After": until, "Date": ""})
    cloud.migrations([record()], {"limit": "1"})
    nova.newest(LATER)
    assert cloud.naps == [0.5]


@pytest.mark.parametrize(
    "header", ["soon", "-5", "1e9", "", "٣", "Fri, 99 Nov 2026 10:00:00 GMT", "Fri, 01 Jan 99999 00:00:00 GMT"]
)
def test_an_odd_wait_is_our_own(cloud: Cloud, nova: NovaCloud, header: str) -> None:
    cloud.nova("/os-migrations", status=503, headers={"Retry-After": header})
    cloud.migrations([record()], {"limit": "1"})
    nova.newest(LATER)
    assert cloud.naps == [0.5]


def test_no_wait_goes_beyond_the_deadline(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.nova("/os-migrations", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(CloudError, match="HTTP 429") as error:
        nova.newest(LATER)
    assert error.value.kind is ErrorKind.HTTP
    assert cloud.naps == []


def test_nothing_is_sent_after_the_deadline(cloud: Cloud, nova: NovaCloud) -> None:
    cloud.migrations([], {"limit": "1"})
    with pytest.raises(CloudError) as error:
        nova.newest(cloud.now)
    assert error.value.kind is ErrorKind.DEADLINE
    assert cloud.sent() == []


def test_a_deadline_that_passes_between_two_pages_ends_the_listing(cloud: Cloud, nova: NovaCloud) -> None:
    def slow(_: object) -> tuple[int, dict[str, str], str]:
        cloud.now += 600
        return 200, {}, '{"migrations": [], "migrations_links": [{"rel": "next"}]}'

    cloud.migrations([record(2)], {"status": "error", "limit": "1000"}, more=True)
    cloud.mock.add_callback("GET", f"{NOVA}/os-migrations", callback=slow)
    with pytest.raises(CloudError) as error:
        nova.with_status("error", cloud.now + 300)
    assert error.value.kind is ErrorKind.DEADLINE


def test_the_login_is_tried_again_too(cloud: Cloud) -> None:
    cloud.mock.get(KEYSTONE, status=503)
    cloud.keystone()
    cloud.discovery()
    nova = cloud.ask()
    assert nova.open(LATER) == "2.80"
    assert [(request.operation, request.code) for request in nova.requests()][:2] == [
        ("discover", "503"),
        ("discover", "200"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/v3/auth/tokens", "authenticate"),
        ("GET", "/", "discover"),
        ("GET", "/v2.1/", "discover"),
        ("GET", "/v2.1/os-migrations?limit=1", "list_migrations"),
        ("GET", "/v2.1/servers/detail?uuid=x", "list_servers"),
        ("GET", "/v2.1/servers/x", "show_server"),
        ("GET", "/v2.1/servers/x/migrations", "list_server_migrations"),
        ("GET", "/v2.1/servers/x/os-instance-actions", "list_server_actions"),
        ("GET", "/v2.1/servers/x/os-instance-actions/req-1", "show_server_action"),
        ("GET", "/v2.1/os-services?binary=nova-compute", "list_services"),
    ],
)
def test_every_request_has_a_name_from_a_closed_list(method: str, path: str, operation: str) -> None:
    assert operation_of(method, f"http://nova.test{path}") == operation
    assert operation in OPERATIONS
