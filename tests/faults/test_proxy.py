"""The proxy shows the cloud as it is, and spoils just what it was told to."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from exporter.demo import SimulatedCloud
from tests.faults import Clock, FaultProxy, faults

LATE = 30.0


class Client:
    """Logs in through the proxy and asks as the catalogue tells."""

    def __init__(self, cloud: SimulatedCloud, proxy: FaultProxy) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        known, domain = cloud.credentials, {"name": "Default"}
        user = {"name": known.username, "password": known.password, "domain": domain}
        body = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": known.project_name, "domain": domain}},
        }
        granted = self.session.post(f"{proxy.through(cloud.auth_url)}/auth/tokens", json={"auth": body}, timeout=LATE)
        self.token = granted.json()["token"]
        self.session.headers.update(
            {"X-Auth-Token": granted.headers["X-Subject-Token"], "OpenStack-API-Version": "compute 2.80"}
        )
        services = {service["type"]: service["endpoints"][0]["url"] for service in self.token["catalog"]}
        self.compute_url = services["compute"]

    def ask(self, timeout: float = LATE, /, **query: str) -> requests.Response:
        return self.session.get(f"{self.compute_url}/os-migrations", params=query, timeout=timeout)

    def listed(self, **query: str) -> list[dict[str, Any]]:
        migrations: list[dict[str, Any]] = self.ask(**query).json()["migrations"]
        return migrations


@pytest.fixture
def cloud() -> Iterator[SimulatedCloud]:
    with SimulatedCloud() as cloud:
        yield cloud


@pytest.fixture
def proxy(cloud: SimulatedCloud) -> Iterator[FaultProxy]:
    with FaultProxy(cloud.auth_url) as proxy:
        yield proxy


@pytest.fixture
def client(cloud: SimulatedCloud, proxy: FaultProxy) -> Client:
    return Client(cloud, proxy)


def test_everything_goes_through_the_proxy(cloud: SimulatedCloud, proxy: FaultProxy, client: Client) -> None:
    cloud.change(max_limit=1)
    for _ in range(2):
        cloud.nova.insert()
    door = proxy.through(cloud.auth_url).split("/")[2]
    page = client.ask().json()
    assert client.compute_url.split("/")[2] == door
    assert page["migrations_links"][0]["href"].split("/")[2] == door
    assert (
        client.session.get(client.compute_url, timeout=LATE).json()["version"]["links"][0]["href"].split("/")[2] == door
    )
    assert [asked.method for asked in proxy.seen] == ["POST", "GET", "GET"]


def test_two_addresses_have_a_door_each(cloud: SimulatedCloud) -> None:
    with SimulatedCloud() as other, FaultProxy(cloud.auth_url, other.auth_url) as proxy:
        doors = {proxy.through(each.auth_url) for each in (cloud, other)}
        assert len(doors) == 2
        assert all(requests.get(door, timeout=LATE).status_code == 200 for door in doors)


def test_a_rule_meets_the_requests_it_names_and_no_other(
    cloud: SimulatedCloud, proxy: FaultProxy, client: Client
) -> None:
    rule = proxy.spoil(
        faults.answers(503, b"", Retry_After="7"), path="/os-migrations", query="status=", skip=1, times=2
    )
    codes = [client.ask(status="running").status_code for _ in range(4)]
    assert (codes, rule.met, client.ask().status_code) == ([200, 503, 503, 200], 2, 200)


def test_when_the_rules_are_cleared_who_waits_goes_on(proxy: FaultProxy, client: Client) -> None:
    proxy.spoil(faults.silent(), path="/os-migrations")
    with pytest.raises(requests.ReadTimeout):
        client.ask(0.2)
    proxy.clear()
    assert client.ask().status_code == 200


def test_a_closed_door_refuses_and_opens_again_on_the_same_port(proxy: FaultProxy, client: Client) -> None:
    assert client.ask().status_code == 200
    proxy.refuse()
    for _ in range(2):
        with pytest.raises(requests.ConnectionError, match=r"refused|aborted|reset"):
            client.ask()
    proxy.accept()
    assert client.ask().status_code == 200


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"], ids=["at once", "within"])
def test_a_reset_is_a_reset(proxy: FaultProxy, client: Client, before: bytes) -> None:
    proxy.spoil(faults.resets(before))
    with pytest.raises(requests.RequestException, match="reset by peer"):
        client.ask()


def test_a_page_can_be_cut_with_and_without_being_told(
    cloud: SimulatedCloud, proxy: FaultProxy, client: Client
) -> None:
    cloud.nova.insert()
    whole = client.ask().content
    proxy.spoil(faults.cut(), times=1)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.ask()
    proxy.spoil(faults.cut(told=False), times=1)
    assert client.ask().content == whole[: len(whole) // 2]


def test_an_answer_drips_and_is_whole_in_the_end(proxy: FaultProxy, client: Client) -> None:
    proxy.spoil(faults.drips(0.001), path="/os-migrations")
    assert client.listed() == []


def test_a_late_answer_comes_late(proxy: FaultProxy, client: Client) -> None:
    proxy.spoil(faults.late(0.3))
    begun = time.monotonic()
    assert client.listed() == []
    assert time.monotonic() - begun >= 0.3


def test_the_same_page_for_ever(cloud: SimulatedCloud, proxy: FaultProxy, client: Client) -> None:
    cloud.change(max_limit=1)
    migrations = [cloud.nova.insert() for _ in range(2)]
    proxy.spoil(faults.repeats(), path="/os-migrations")
    first = client.listed()
    assert [row["uuid"] for row in first] == [migrations[1].uuid]
    assert client.listed(marker=migrations[1].uuid) == first


@pytest.mark.parametrize("packed", [False, True])
def test_a_flood_has_its_size(proxy: FaultProxy, client: Client, packed: bool) -> None:
    proxy.spoil(faults.floods(b"[", b" ", 1_000_000, packed), path="/os-migrations")
    answer = client.ask()
    assert len(answer.content) >= 1_000_000
    assert ("Content-Encoding" in answer.headers) is packed
    assert packed is False or len(gzip.compress(answer.content)) < 10_000


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
def test_a_shifted_clock_shifts_every_time(cloud: SimulatedCloud, proxy: FaultProxy, ahead: float) -> None:
    client = Client(cloud, proxy)
    cloud.nova.insert(created_at=1_800_000_000.5, updated_at=1_800_000_010.5)  # 2027-01-15T08:00:00.500000
    (plain,), expires = client.listed(), client.token["expires_at"]
    proxy.clock = Clock(ahead)
    hour = "09" if ahead > 0 else "07"
    (shifted,) = client.listed(**{"changes-since": f"2027-01-15T{hour}:00:10Z"})
    assert client.listed(**{"changes-since": f"2027-01-15T{hour}:00:11Z"}) == []
    assert shifted == plain | {
        "created_at": f"2027-01-15T{hour}:00:00.500000",
        "updated_at": f"2027-01-15T{hour}:00:10.500000",
    }
    assert Client(cloud, proxy).token["expires_at"][:13] != expires[:13]
    date = Clock(ahead).date("Fri, 15 Jan 2027 08:00:00 GMT")
    assert date == f"Fri, 15 Jan 2027 {hour}:00:00 GMT"


def test_whole_seconds_are_what_mysql_keeps(cloud: SimulatedCloud, proxy: FaultProxy, client: Client) -> None:
    cloud.nova.insert(created_at=1_800_000_000.5)
    proxy.clock = Clock(whole_seconds=True)
    (row,) = client.listed()
    assert row["created_at"] == "2027-01-15T08:00:00.000000"


def test_a_body_can_be_changed(cloud: SimulatedCloud, proxy: FaultProxy, client: Client) -> None:
    cloud.nova.insert()
    proxy.spoil(faults.changes(lambda body: {**body, "migrations": []}), path="/os-migrations")
    assert client.listed() == []
    assert json.loads(client.ask().content) == {"migrations": []}
