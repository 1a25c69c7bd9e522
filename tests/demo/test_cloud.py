"""The simulated cloud as tests and the demo use it: log, troubles, restarts, tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import openstack
import pytest
import requests
from keystoneauth1.exceptions import EndpointNotFound
from keystoneauth1.identity.v3 import ApplicationCredential, Password
from keystoneauth1.session import Session

from exporter.demo import Credentials, SimulatedCloud
from exporter.demo.keystone import ADMIN_ACCOUNT, READER_ACCOUNT
from exporter.demo.microversion import Microversion
from exporter.demo.policy import MIGRATIONS, allowing
from exporter.demo.settings import Trouble


@pytest.fixture
def cloud() -> Iterator[SimulatedCloud]:
    with SimulatedCloud() as started:
        yield started


def connect(cloud: SimulatedCloud, credentials: Credentials | None = None) -> Any:
    who = credentials or cloud.credentials
    return openstack.connect(
        auth_url=cloud.auth_url,
        username=who.username,
        password=who.password,
        project_name=who.project_name,
        user_domain_name=who.user_domain_name,
        project_domain_name=who.project_domain_name,
        region_name=who.region_name,
        load_yaml_config=False,
        load_envvars=False,
    )


def ask(connection: Any) -> Any:
    return connection.compute.get("/os-migrations", microversion="2.80")


def test_requests_are_written_down(cloud: SimulatedCloud) -> None:
    connection = connect(cloud)
    ask(connection)
    cloud.journal.forget()
    connection.compute.get("/os-migrations?limit=1", microversion="2.80")
    (seen,) = cloud.journal.requests
    assert (seen.method, seen.path, seen.query, seen.microversion, seen.status) == (
        "GET", "/os-migrations", "limit=1", "compute 2.80", 200,
    )  # fmt: skip


def test_trouble_comes_once_and_goes(cloud: SimulatedCloud) -> None:
    connection = connect(cloud)
    cloud.expect(Trouble(path="/os-migrations", query="limit=1", status=503, headers={"Retry-After": "1"}))
    assert ask(connection).status_code == 200
    assert connection.compute.get("/os-migrations?limit=1", microversion="2.80").status_code == 503
    assert connection.compute.get("/os-migrations?limit=1", microversion="2.80").status_code == 200


def test_a_late_answer(cloud: SimulatedCloud) -> None:
    connection = connect(cloud)
    ask(connection)
    cloud.expect(Trouble(path="/os-migrations", delay=0.3))
    begin = time.monotonic()
    assert ask(connection).status_code == 200
    assert time.monotonic() - begin >= 0.3


def test_a_revoked_token_is_renewed_by_the_client(cloud: SimulatedCloud) -> None:
    connection = connect(cloud)
    ask(connection)
    cloud.keystone.revoke_all()
    assert ask(connection).status_code == 200


def test_an_expired_token_is_worth_nothing() -> None:
    now = [time.time()]
    with SimulatedCloud(clock=lambda: now[0]) as cloud:
        cloud.keystone.token_lifetime = 60.0
        who = cloud.credentials
        domain = {"name": "Default"}
        user = {"name": who.username, "password": who.password, "domain": domain}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": who.project_name, "domain": domain}}
        granted = requests.post(
            f"{cloud.auth_url}/auth/tokens", json={"auth": {"identity": identity, "scope": scope}}, timeout=10
        )
        headers = {"X-Auth-Token": granted.headers["X-Subject-Token"]}
        url = f"{granted.json()['token']['catalog'][0]['endpoints'][0]['url']}/os-migrations"
        assert requests.get(url, headers=headers, timeout=10).status_code == 200
        now[0] += 61
        assert requests.get(url, headers=headers, timeout=10).status_code == 401


def test_it_comes_back_on_the_same_port(cloud: SimulatedCloud) -> None:
    connection = connect(cloud)
    ask(connection)
    cloud.stop()
    with pytest.raises(Exception, match="Unable to establish connection"):
        ask(connection)
    cloud.start()
    assert ask(connection).status_code == 200


def test_an_application_credential(cloud: SimulatedCloud) -> None:
    assert ADMIN_ACCOUNT.application_credential_secret is not None
    auth = ApplicationCredential(
        auth_url=cloud.auth_url,
        application_credential_id=ADMIN_ACCOUNT.application_credential_id,
        application_credential_secret=ADMIN_ACCOUNT.application_credential_secret,
    )
    endpoint = Session(auth).get_endpoint(service_type="compute", region_name="RegionOne")
    assert endpoint is not None
    assert endpoint.rstrip("/").endswith("/compute/v2.1")


def test_the_story_plays_and_stops() -> None:
    cloud = SimulatedCloud(story_seed=1)
    with cloud:
        deadline = time.monotonic() + 10
        while not cloud.nova.count() and time.monotonic() < deadline:
            time.sleep(0.05)
    count = cloud.nova.count()
    assert count >= 1
    time.sleep(0.1)
    assert cloud.nova.count() == count


def test_an_older_nova_refuses_what_it_does_not_know(cloud: SimulatedCloud) -> None:
    cloud.change(max_microversion=Microversion(2, 59))
    connection = connect(cloud)
    assert connection.compute.get("/os-migrations", microversion="2.59").status_code == 200
    assert ask(connection).status_code == 406
    endpoint = connection.compute.get_endpoint_data()
    assert endpoint is not None and endpoint.max_microversion == (2, 59)


def test_before_2025_2_one_rule_shows_everything(cloud: SimulatedCloud) -> None:
    cloud.nova.insert(source_compute="host1")
    connection = connect(cloud, cloud.credentials_of(READER_ACCOUNT))
    assert ask(connection).status_code == 403
    cloud.change(policy=allowing("reader", MIGRATIONS, split=False))
    (shown,) = ask(connection).json()["migrations"]
    assert shown["source_compute"] == "host1"


def test_a_catalogue_without_nova(cloud: SimulatedCloud) -> None:
    cloud.keystone.services = frozenset({"identity"})
    who = cloud.credentials
    auth = Password(
        auth_url=cloud.auth_url,
        username=who.username,
        password=who.password,
        project_name=who.project_name,
        user_domain_name=who.user_domain_name,
        project_domain_name=who.project_domain_name,
    )
    with pytest.raises(EndpointNotFound):
        Session(auth).get_endpoint(service_type="compute")
