"""Every failure has a kind, and a message with the cause and the cure; none has a secret."""

from __future__ import annotations

import json
from pathlib import Path

import openstack.exceptions as sdk
import pytest
import requests
import urllib3.exceptions as wire
from keystoneauth1 import exceptions as ksa

from exporter.domain.cloud import CloudError, ErrorKind
from exporter.source import connect as connecting
from exporter.source.errors import Place, address, cloud_error, quote
from tests.source.cloud import KEYSTONE, NOVA, PASSWORD, TOKEN, Cloud

LATER = 2000.0
PLACE = Place("prod", KEYSTONE, "RegionTwo", regions=("RegionOne (public)",), secrets=(PASSWORD,))


def login_error(cloud: Cloud, region: str | None = "RegionOne") -> CloudError:
    with pytest.raises(CloudError) as error:
        cloud.ask(cloud.connect(region)).open(LATER)
    assert PASSWORD not in str(error.value)
    assert TOKEN not in str(error.value)
    return error.value


def test_a_wrong_password_is_said_to_be_one(cloud: Cloud) -> None:
    cloud.keystone(status=401, body={"error": {"code": 401, "message": f"The password {PASSWORD} is wrong"}})
    error = login_error(cloud)
    assert error.kind is ErrorKind.AUTH
    assert str(error) == (
        f"Keystone at {KEYSTONE} refused the credentials of cloud 'prod' (HTTP 401): check username, password, project "
        "and domains, or the application credential, in clouds.yaml or the OS_* variables"
    )


def test_a_locked_account_is_an_auth_error(cloud: Cloud) -> None:
    cloud.keystone(status=403, body={})
    error = login_error(cloud)
    assert error.kind is ErrorKind.AUTH
    assert "locked" in str(error)


def test_a_login_that_keystone_cannot_read_is_quoted_without_the_password(cloud: Cloud) -> None:
    cloud.keystone(
        status=400, body={"error": {"code": 400, "message": f"Expecting to find domain in user, {PASSWORD}"}}
    )
    error = login_error(cloud)
    assert error.kind is ErrorKind.HTTP
    assert "Expecting to find domain in user, ***" in str(error)


def test_a_broken_keystone_is_an_http_error(cloud: Cloud) -> None:
    cloud.keystone(status=500, body={})
    assert login_error(cloud).kind is ErrorKind.HTTP
    assert cloud.naps == [0.5, 1.0]


@pytest.mark.parametrize(
    "body", [{}, {"token": None}, {"token": {"catalog": 7}}, [], {"token": {"catalog": [{"type": 7}]}}]
)
def test_a_token_of_another_shape_is_an_error(cloud: Cloud, body: object) -> None:
    cloud.keystone(body=body)
    assert login_error(cloud).kind in (ErrorKind.PROTOCOL, ErrorKind.CONNECTION)


def test_an_address_without_keystone_is_a_protocol_error(cloud: Cloud) -> None:
    cloud.mock.get(KEYSTONE, body="<html>It works!</html>")
    cloud.mock.get("http://keystone.test/identity", body="<html>It works!</html>")
    cloud.mock.post(f"{KEYSTONE}/auth/tokens", body="<html>It works!</html>")
    assert login_error(cloud).kind is ErrorKind.PROTOCOL


def test_a_keystone_that_is_down_is_a_connection_error(cloud: Cloud) -> None:
    cloud.mock.get(KEYSTONE, body=requests.ConnectionError(ConnectionRefusedError(111, "Connection refused")))
    error = login_error(cloud)
    assert error.kind is ErrorKind.CONNECTION
    assert f"no connection for GET {KEYSTONE}: Connection refused" in str(error)


def test_a_wrong_region_is_told_with_the_regions_there_are(cloud: Cloud) -> None:
    cloud.endpoints.append(("internal", "RegionTwo", NOVA))
    cloud.keystone()
    error = login_error(cloud, "Regionone")
    assert error.kind is ErrorKind.CONNECTION
    assert str(error) == (
        "the catalogue of cloud 'prod' has no public compute endpoint in region 'Regionone'; it has: RegionOne "
        "(public); RegionTwo (internal): check region_name and interface"
    )


def test_a_catalogue_without_compute_is_told(cloud: Cloud) -> None:
    cloud.endpoints = []
    cloud.keystone()
    error = login_error(cloud)
    assert error.kind is ErrorKind.CONNECTION
    assert "the catalogue of cloud 'prod' has no compute endpoint: does Keystone know" in str(error)


def test_a_mended_catalogue_is_found_without_a_restart(cloud: Cloud) -> None:
    """openstacksdk keeps the disabled service for the life of a connection (service_description.py, `__get__`)."""
    cloud.endpoints = []
    cloud.keystone()
    nova = cloud.ask()
    with pytest.raises(CloudError):
        nova.open(LATER)
    cloud.endpoints = [("public", "RegionOne", NOVA)]
    cloud.mock.reset()
    cloud.keystone()
    cloud.discovery()
    assert nova.open(LATER) == "2.80"


def test_a_nova_that_is_down_at_discovery_is_a_connection_error(cloud: Cloud) -> None:
    cloud.keystone()
    cloud.mock.get(NOVA, body=requests.ConnectionError(ConnectionRefusedError(111, "Connection refused")))
    error = login_error(cloud)
    assert error.kind is ErrorKind.CONNECTION
    assert f"no connection for GET {NOVA}: Connection refused: is the API up" in str(error)


@pytest.mark.parametrize(("status", "kind"), [(503, ErrorKind.HTTP), (404, ErrorKind.HTTP), (200, ErrorKind.PROTOCOL)])
def test_an_endpoint_that_tells_no_versions_is_an_error(cloud: Cloud, status: int, kind: ErrorKind) -> None:
    cloud.keystone()
    for url in (NOVA, "http://nova.test/compute", "http://nova.test/compute/", "http://nova.test", "http://nova.test/"):
        cloud.mock.get(url, status=status, body="<html>sorry</html>")
    error = login_error(cloud)
    assert (error.kind, "tells no microversions" in str(error)) == (kind, True)
    assert f"HTTP {status}" in str(error)


def clouds_yaml(path: Path, **more: object) -> Path:
    auth = {"auth_url": KEYSTONE, "username": "exporter", "password": PASSWORD, "project_name": "ops"}
    domains = {"user_domain_name": "Default", "project_domain_name": "Default"}
    path.write_text(json.dumps({"clouds": {"prod": {"auth": auth | domains, "region_name": "RegionOne", **more}}}))
    return path


@pytest.mark.parametrize(
    "more",
    [
        {"compute_api_version": "2.1"},
        {"compute_api_version": "2"},
        {"compute_endpoint_override": NOVA},
        {"compute_endpoint_override": NOVA, "compute_api_version": "2.1"},
        {"compute_connect_retries": 5, "compute_status_code_retries": 5, "api_timeout": 1},
    ],
)
def test_no_setting_of_the_version_matters(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, object]
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds_yaml(tmp_path / "clouds.yaml", **more)))
    cloud.keystone()
    cloud.discovery()
    cloud.migrations([], {"limit": "1"})
    nova = cloud.ask(connecting.connect_named("prod"))
    assert nova.open(LATER) == "2.80"
    nova.newest(LATER)
    assert cloud.sent()[0].headers["OpenStack-API-Version"] == "compute 2.80"


def test_the_interface_is_honoured(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds_yaml(tmp_path / "clouds.yaml", interface="internal")))
    cloud.endpoints = [("public", "RegionOne", "http://public.test/v2.1"), ("internal", "RegionOne", NOVA)]
    cloud.keystone()
    cloud.discovery()
    assert cloud.ask(connecting.connect_named("prod")).open(LATER) == "2.80"


def test_a_cloud_that_vanished_from_the_file_is_an_auth_error(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds_yaml(tmp_path / "clouds.yaml")))
    with pytest.raises(CloudError, match="cloud 'test' was not found; known clouds: prod") as error:
        cloud.ask(connecting.connect_named("test")).open(LATER)
    assert error.value.kind is ErrorKind.AUTH


@pytest.mark.parametrize(
    ("exception", "kind"),
    [
        (CloudError(ErrorKind.DEADLINE, "over"), ErrorKind.DEADLINE),
        (ksa.ConnectTimeout("x"), ErrorKind.TIMEOUT),
        (requests.ReadTimeout("x"), ErrorKind.TIMEOUT),
        (TimeoutError(), ErrorKind.TIMEOUT),
        (ksa.SSLError("x"), ErrorKind.CONNECTION),
        (ksa.ConnectFailure("x"), ErrorKind.CONNECTION),
        (ksa.UnknownConnectionError("x", ValueError()), ErrorKind.CONNECTION),
        (requests.exceptions.ChunkedEncodingError("x"), ErrorKind.CONNECTION),
        (wire.ProtocolError("x"), ErrorKind.CONNECTION),
        (OSError("x"), ErrorKind.CONNECTION),
        (ksa.Unauthorized(), ErrorKind.AUTH),
        (ksa.AuthorizationFailure(), ErrorKind.AUTH),
        (ksa.Forbidden(), ErrorKind.AUTH),
        (ksa.NotFound(), ErrorKind.HTTP),
        (ksa.ServiceUnavailable(), ErrorKind.HTTP),
        (ksa.EndpointNotFound(), ErrorKind.CONNECTION),
        (ksa.EmptyCatalog(), ErrorKind.CONNECTION),
        (sdk.ServiceDisabledException(), ErrorKind.CONNECTION),
        (sdk.EndpointNotFound(), ErrorKind.CONNECTION),
        (ksa.DiscoveryFailure("x"), ErrorKind.PROTOCOL),
        (sdk.NotSupported("x"), ErrorKind.PROTOCOL),
        (sdk.ServiceDiscoveryException("x"), ErrorKind.PROTOCOL),
        (ksa.MissingRequiredOptions([]), ErrorKind.AUTH),
        (ksa.NoMatchingPlugin("x"), ErrorKind.AUTH),
        (sdk.ConfigException("x"), ErrorKind.AUTH),
        (sdk.HttpException("x"), ErrorKind.PROTOCOL),
        (sdk.ForbiddenException("x", http_status=403), ErrorKind.FORBIDDEN),
        (sdk.SDKException("x"), ErrorKind.PROTOCOL),
        (ksa.ClientException("x"), ErrorKind.PROTOCOL),
        (json.JSONDecodeError("x", "y", 0), ErrorKind.PROTOCOL),
        (requests.exceptions.JSONDecodeError("x", "y", 0), ErrorKind.PROTOCOL),
        (KeyError("x"), ErrorKind.PROTOCOL),
        (RecursionError(), ErrorKind.PROTOCOL),
        (AttributeError("a bug"), ErrorKind.PROTOCOL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_exception_has_a_kind(exception: Exception, kind: ErrorKind) -> None:
    error = cloud_error(exception, PLACE)
    assert error.kind is kind
    assert str(error)


def test_what_others_wrote_is_quoted_short_and_without_secrets() -> None:
    assert quote(f"my\n {PASSWORD} and {TOKEN}.", PLACE) == "my *** and ***."
    assert len(quote("x" * 1000, PLACE)) == 200


def test_an_address_is_shown_without_credentials_and_query() -> None:
    assert address(f"http://user:{PASSWORD}@nova.test:8774/v2.1?token={TOKEN}#x") == "http://nova.test:8774/v2.1"
    assert address(None) == ""


def test_the_place_of_an_error_does_not_print_its_secrets() -> None:
    assert PASSWORD not in repr(PLACE)
