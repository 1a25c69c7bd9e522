"""Headers, versions, microversions: what surrounds an answer."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from time import time

import openstack
import pytest
import requests

from tests.contract.clouds import TIMEOUT, Client, CloudUnderTest
from tests.contract.rows import NEWEST_FIRST, names


def test_headers_of_an_answer(admin: Client) -> None:
    headers = admin.get("/os-migrations").headers
    assert headers["Content-Type"] == "application/json"
    assert headers["OpenStack-API-Version"] == "compute 2.80"
    assert headers["X-OpenStack-Nova-API-Version"] == "2.80"
    assert headers["x-openstack-request-id"].startswith("req-")
    assert headers["x-compute-request-id"] == headers["x-openstack-request-id"]
    assert {part.strip() for part in headers["Vary"].split(",")} == {
        "OpenStack-API-Version",
        "X-OpenStack-Nova-API-Version",
    }
    assert abs(parsedate_to_datetime(headers["Date"]).timestamp() - time()) < 5


def test_headers_of_a_refusal(admin: Client) -> None:
    headers = admin.get("/os-migrations", ("limit", "-1")).headers
    assert headers["Content-Type"] == "application/json; charset=UTF-8"
    assert headers["OpenStack-API-Version"] == "compute 2.80"


@pytest.mark.parametrize(
    ("headers", "served"),
    [
        ({}, "2.1"),
        ({"OpenStack-API-Version": "compute 2.59"}, "2.59"),
        ({"OpenStack-API-Version": "compute latest"}, "2.104"),
        ({"OpenStack-API-Version": "volume 3.1"}, "2.1"),
        ({"OpenStack-API-Version": "volume 3.1, compute 2.60"}, "2.60"),
        ({"X-OpenStack-Nova-API-Version": "2.61"}, "2.61"),
        ({"X-OpenStack-Nova-API-Version": "2.61", "OpenStack-API-Version": "compute 2.62"}, "2.62"),
    ],
    ids=str,
)
def test_how_a_microversion_is_asked_for(admin: Client, headers: dict[str, str], served: str) -> None:
    answer = admin.get("/os-migrations", microversion=None, headers=headers)
    assert answer.status == 200
    assert answer.headers["OpenStack-API-Version"] == f"compute {served}"


def test_the_root_names_the_versions(admin: Client) -> None:
    answer = requests.get(admin.compute_url.removesuffix("/v2.1") + "/", timeout=TIMEOUT)
    assert answer.status_code == 200
    shown = {version["id"]: version for version in answer.json()["versions"]}
    assert set(shown) == {"v2.0", "v2.1"}
    assert set(shown["v2.1"]) == {"id", "status", "version", "min_version", "updated", "links"}
    current = shown["v2.1"]
    assert (current["status"], current["version"], current["min_version"]) == ("CURRENT", "2.104", "2.1")
    assert (shown["v2.0"]["version"], shown["v2.0"]["min_version"]) == ("", "")
    assert current["links"] == [{"rel": "self", "href": f"{admin.compute_url}/"}]


@pytest.mark.parametrize("path", ["", "/"])
def test_the_version_document_needs_no_token(admin: Client, path: str) -> None:
    answer = requests.get(admin.compute_url + path, timeout=TIMEOUT)
    assert answer.status_code == 200
    version = answer.json()["version"]
    assert set(version) == {"id", "status", "version", "min_version", "updated", "links", "media-types"}
    assert (version["id"], version["status"]) == ("v2.1", "CURRENT")
    assert (version["version"], version["min_version"]) == ("2.104", "2.1")
    assert version["links"][0] == {"rel": "self", "href": f"{admin.compute_url}/"}


def test_openstacksdk_logs_in_and_asks(cloud: CloudUnderTest) -> None:
    with openstack.connect(
        auth_url=cloud.auth_url,
        username=cloud.admin.username,
        password=cloud.admin.password,
        project_name=cloud.admin.project_name,
        user_domain_name="Default",
        project_domain_name="Default",
        region_name=cloud.region,
        load_yaml_config=False,
        load_envvars=False,
    ) as connection:
        answer = connection.compute.get("/os-migrations", microversion="2.80")
        assert names(answer.json()["migrations"]) == NEWEST_FIRST
        endpoint = connection.compute.get_endpoint_data()
        assert endpoint is not None and endpoint.max_microversion == (2, 104)
        assert names([record.to_dict() for record in connection.compute.migrations()]) == NEWEST_FIRST
